"""From an ask to an answer: through the tiers, else from a backend; streamed or whole; kept when complete.

What may be stored is decided here and nowhere else: one choice, no wish to vary, finished by itself
(`stop` or `length`), and every byte of it handed on. It knows no routes and no keys.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

from tenfold.errors import BackendError
from tenfold.serve.backends.base import Backend, Generation, ModelCard, Piece, TokenUsage
from tenfold.serve.cache.key import canonical_key, relevant
from tenfold.serve.cache.tier import Stored, Tiers
from tenfold.serve.gateway import embedding
from tenfold.serve.gateway.ask import Ask
from tenfold.serve.gateway.chat import Said, stamp
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.embedding import EmbeddingAsk
from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.gateway.fleet import Fleet, Member
from tenfold.serve.gateway.recorder import Recorder
from tenfold.serve.gateway.refusal import refusal_of
from tenfold.serve.gateway.transport import (
    EVENTS,
    JSON,
    NO_CACHE,
    Departure,
    Header,
    Receive,
    Send,
    respond,
)

DONE = b"data: [DONE]\n\n"
STORABLE = frozenset({"stop", "length"})


class Writer(Protocol):
    """Bytes of one answer in one protocol (ChatAnswer, CompletionAnswer)."""

    def __init__(self, id: str, created_s: int, model: bytes, include_usage: bool) -> None: ...
    def opening(self, index: int) -> bytes: ...
    def text(self, index: int, text: str) -> bytes: ...
    def more(self, index: int, delta: dict[str, Any]) -> bytes: ...
    def closing(self, index: int, finish_reason: str) -> bytes: ...
    def usage(self, usage: TokenUsage) -> bytes: ...
    @staticmethod
    def whole(model: bytes, choices: Sequence[Said], usage: TokenUsage) -> bytes: ...


@dataclass(slots=True)
class Choice:
    """One text as it comes in."""

    pieces: list[str] = field(default_factory=list)
    deltas: list[dict[str, Any]] = field(default_factory=list)
    last: Piece | None = None

    def said(self) -> Said:
        return "".join(self.pieces), _finish(self), self.deltas


@dataclass(frozen=True, slots=True)
class CacheWishes:
    """What `Cache-Control` of the request says."""

    look: bool = True
    store: bool = True


class Answering:
    def __init__(
        self, config: GatewayConfig, tiers: Tiers, fleet: Fleet, recorder: Recorder
    ) -> None:
        self._config = config
        self._tiers = tiers
        self._fleet = fleet
        self._recorder = recorder

    async def text(
        self,
        ask: Ask,
        writer: type[Writer],
        exchange: Exchange,
        wishes: CacheWishes,
        receive: Receive,
        send: Send,
    ) -> None:
        """Raises Refusal and whatever a backend raises, as long as nothing has been sent."""
        member, card = self._fleet.choose(ask.model)
        exchange.model_digest = card.digest
        exchange.backend = member.backend.name
        exchange.stream = ask.stream
        key = None
        if self._tiers and (
            not ask.varies or (self._config.cache_sampled and ask.num_choices == 1)
        ):
            content = ask.content()
            content[-1] = relevant(ask.extra)
            key = canonical_key(exchange.endpoint, exchange.tenant, card.name, card.digest, content)
            hit = None
            if wishes.look:
                exchange.asked = self._tiers.names
                hit = self._tiers.get(key)
            if hit is not None:
                exchange.tier, stored = hit
                await self._replay(ask, writer, exchange, card, stored, send)
                return
        storable = key if wishes.store else None
        with self._fleet.busy(member, ask.num_choices):
            self._recorder.begin(exchange)
            exchange.tier = "model"
            async with Departure(receive), asyncio.timeout(self._config.timeout_s):
                deliver = self._stream if ask.stream else self._whole
                await deliver(ask, writer, exchange, member, card, storable, send)

    async def embeddings(
        self,
        ask: EmbeddingAsk,
        exchange: Exchange,
        wishes: CacheWishes,
        receive: Receive,
        send: Send,
    ) -> None:
        member, card = self._fleet.choose(ask.model)
        exchange.model_digest = card.digest
        exchange.backend = member.backend.name
        key = None
        if self._tiers:
            content = ask.content()
            content[-1] = relevant(ask.extra)
            key = canonical_key(exchange.endpoint, exchange.tenant, card.name, card.digest, content)
            hit = None
            if wishes.look:
                exchange.asked = self._tiers.names
                hit = self._tiers.get(key)
            if hit is not None:
                exchange.tier, stored = hit
                exchange.cached_from = stored.response_id
                exchange.prompt_tokens = stored.prompt_tokens
                exchange.status = 200
                await respond(send, 200, self._headers(exchange, JSON), stored.body)
                return
        with self._fleet.busy(member):
            self._recorder.begin(exchange)
            exchange.tier = "model"
            async with Departure(receive), asyncio.timeout(self._config.timeout_s):
                made = await member.backend.embed(card.name, ask.texts)
            body = embedding.whole(ask, card.name, made)
        exchange.prompt_tokens = made.prompt_tokens
        exchange.compute_s = made.compute_s
        if key is not None and wishes.store:
            self._tiers.put(key, _stored(exchange, body, TokenUsage(made.prompt_tokens, 0)))
        exchange.status = 200
        await respond(send, 200, self._headers(exchange, JSON), body)

    async def _replay(
        self,
        ask: Ask,
        writer: type[Writer],
        exchange: Exchange,
        card: ModelCard,
        stored: Stored,
        send: Send,
    ) -> None:
        usage = TokenUsage(stored.prompt_tokens, stored.completion_tokens, stored.cached_tokens)
        _count(exchange, usage)
        exchange.cached_from = stored.response_id
        exchange.status = 200
        created_s = int(exchange.at_s)
        if not ask.stream:
            body = b'{"id":"%b","created":%d%b' % (exchange.id.encode(), created_s, stored.body)
            await respond(send, 200, self._headers(exchange, JSON), body)
            return
        out = writer(exchange.id, created_s, stamp(card.name, card.digest), ask.include_usage)
        frames = [out.opening(0)]
        frames += [out.text(0, piece) for piece in stored.pieces]
        frames.append(out.closing(0, stored.finish_reason))
        if ask.include_usage:
            frames.append(out.usage(usage))
        frames.append(DONE)
        await self._open_stream(exchange, send)
        await send({"type": "http.response.body", "body": b"".join(frames)})

    async def _whole(
        self,
        ask: Ask,
        writer: type[Writer],
        exchange: Exchange,
        member: Member,
        card: ModelCard,
        key: bytes | None,
        send: Send,
    ) -> None:
        choices = [Choice() for _ in range(ask.num_choices)]
        generations = ask.generations(exchange.id, card.name)
        async with aclosing(_pieces(member.backend, generations)) as pieces:
            async for index, piece in pieces:
                _take(choices[index], piece, exchange)
        usage = _usage(choices, ask.n, member.backend.name)
        _count(exchange, usage)
        said = [choice.said() for choice in choices]
        body = writer.whole(stamp(card.name, card.digest), said, usage)
        self._keep(key, exchange, choices, body, usage)
        exchange.status = 200
        whole = b'{"id":"%b","created":%d%b' % (exchange.id.encode(), int(exchange.at_s), body)
        await respond(send, 200, self._headers(exchange, JSON), whole)

    async def _stream(
        self,
        ask: Ask,
        writer: type[Writer],
        exchange: Exchange,
        member: Member,
        card: ModelCard,
        key: bytes | None,
        send: Send,
    ) -> None:
        choices = [Choice() for _ in range(ask.num_choices)]
        model = stamp(card.name, card.digest)
        out = writer(exchange.id, int(exchange.at_s), model, ask.include_usage)
        generations = ask.generations(exchange.id, card.name)
        opened = False
        try:
            async with aclosing(_pieces(member.backend, generations)) as pieces:
                async for index, piece in pieces:
                    frame = b""
                    if not opened:
                        # Only now: an error before the first token still gets a status of its own.
                        opened = True
                        await self._open_stream(exchange, send)
                        frame = b"".join(map(out.opening, range(len(choices))))
                    _take(choices[index], piece, exchange)
                    if piece.text:
                        frame += out.text(index, piece.text)
                    if piece.delta:
                        frame += out.more(index, piece.delta)
                    if piece.finish_reason is not None:
                        frame += out.closing(index, piece.finish_reason)
                    if frame:
                        await send(_more(frame))
            usage = _usage(choices, ask.n, member.backend.name)
        except Exception as error:
            if not opened:
                raise
            # The status is gone; the protocol's way to say it now is an error event and no [DONE].
            refusal = refusal_of(error)
            exchange.status, exchange.error = refusal.status, refusal.message
            await send({"type": "http.response.body", "body": b"data: %b\n\n" % refusal.body()})
            return
        _count(exchange, usage)
        end = (out.usage(usage) if ask.include_usage else b"") + DONE
        await send({"type": "http.response.body", "body": end})
        said = [choice.said() for choice in choices]
        self._keep(key, exchange, choices, writer.whole(model, said, usage), usage)

    async def _open_stream(self, exchange: Exchange, send: Send) -> None:
        exchange.status = 200
        headers = [*self._headers(exchange, EVENTS), NO_CACHE]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    def _headers(self, exchange: Exchange, content: Header) -> list[Header]:
        headers = [
            content,
            (b"x-request-id", exchange.id.encode()),
            (b"x-tenfold-request-id", exchange.id.encode()),
            (b"x-tenfold-tier", exchange.tier.encode()),
        ]
        book = self._recorder.book
        if book is not None and book.joules_per_request and content is JSON:
            joules = book.joules_per_request + exchange.compute_s * book.joules_per_compute_s
            headers.append((b"x-tenfold-joules-estimate", b"%.4g" % joules))
        return headers

    def _keep(
        self,
        key: bytes | None,
        exchange: Exchange,
        choices: Sequence[Choice],
        body: bytes,
        usage: TokenUsage,
    ) -> None:
        if key is None or len(choices) != 1 or _finish(choices[0]) not in STORABLE:
            return
        if choices[0].deltas:
            return  # a stored answer is text; a tool call may have effects that must happen again
        stored = _stored(exchange, body, usage, choices[0])
        self._tiers.put(key, stored)


def _stored(
    exchange: Exchange, body: bytes, usage: TokenUsage, choice: Choice | None = None
) -> Stored:
    return Stored(
        response_id=exchange.id,
        model_digest=exchange.model_digest,
        backend=exchange.backend,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        body=body,
        pieces=tuple(choice.pieces) if choice else (),
        finish_reason=_finish(choice) if choice else "",
    )


def _take(choice: Choice, piece: Piece, exchange: Exchange) -> None:
    if piece.text:
        if exchange.ttft_s is None and exchange.stream:
            exchange.ttft_s = time.monotonic() - exchange.started
        choice.pieces.append(piece.text)
        exchange.completion_tokens += 1  # until usage says it exactly
    if piece.delta:
        choice.deltas.append(piece.delta)
    if piece.finish_reason is not None:
        choice.last = piece
        exchange.compute_s += piece.compute_s


def _usage(choices: Sequence[Choice], n: int, backend: str) -> TokenUsage:
    """Prompt tokens once per prompt, completion tokens of every choice."""
    prompt = completion = cached = 0
    for index, choice in enumerate(choices):
        last = choice.last
        if last is None or last.usage is None or last.finish_reason == "cancelled":
            raise BackendError("the answer broke off before its end", where=backend)
        if index % n == 0:
            prompt += last.usage.prompt_tokens
            cached += last.usage.cached_tokens
        completion += last.usage.completion_tokens
    return TokenUsage(prompt, completion, cached)


def _finish(choice: Choice) -> str:
    return (choice.last.finish_reason or "") if choice.last is not None else ""


def _count(exchange: Exchange, usage: TokenUsage) -> None:
    exchange.prompt_tokens = usage.prompt_tokens
    exchange.completion_tokens = usage.completion_tokens


def _more(frame: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": frame, "more_body": True}


async def _pieces(
    backend: Backend, generations: Sequence[Generation]
) -> AsyncGenerator[tuple[int, Piece], None]:
    """The pieces of all generations as they come. Closing it closes every generation."""
    if len(generations) == 1:
        async with aclosing(backend.generate(generations[0])) as single:  # type: ignore[type-var]
            async for piece in single:
                yield 0, piece
        return
    queue: asyncio.Queue[tuple[int, Piece | Exception | None]] = asyncio.Queue(64)

    async def run(index: int, generation: Generation) -> None:
        last: Exception | None = None
        try:
            async with aclosing(backend.generate(generation)) as stream:  # type: ignore[type-var]
                async for piece in stream:
                    await queue.put((index, piece))
        except Exception as error:
            last = error
        await queue.put((index, last))

    tasks = [asyncio.create_task(run(*numbered)) for numbered in enumerate(generations)]
    try:
        running = len(tasks)
        while running:
            index, item = await queue.get()
            if isinstance(item, Piece):
                yield index, item
            elif item is None:
                running -= 1
            else:
                raise item
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
