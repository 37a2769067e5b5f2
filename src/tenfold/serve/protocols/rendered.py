"""Answers in bytes, made from what a generating backend says piece by piece. It knows no sockets.

What a server that forwards does over there is done here: choices are put together, the protocol's frames
are written, usage is counted. The result is an `Answer` like any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from tenfold.errors import BackendError
from tenfold.serve.backends.base import (
    Answer,
    Backend,
    Generation,
    ModelCard,
    Outcome,
    Piece,
    TokenUsage,
)
from tenfold.serve.protocols import embedding
from tenfold.serve.protocols.ask import Ask
from tenfold.serve.protocols.chat import Chat, ChatAnswer, Said, stamp
from tenfold.serve.protocols.completion import Completion, CompletionAnswer
from tenfold.serve.protocols.embedding import Embedding

DONE = b"data: [DONE]\n\n"


class Writer(Protocol):
    """Bytes of one answer in one protocol."""

    def __init__(self, id: str, created_s: int, model: bytes, include_usage: bool) -> None: ...
    def opening(self, index: int) -> bytes: ...
    def text(self, index: int, text: str) -> bytes: ...
    def more(self, index: int, delta: dict[str, Any]) -> bytes: ...
    def closing(self, index: int, finish_reason: str) -> bytes: ...
    def usage(self, usage: TokenUsage) -> bytes: ...
    @staticmethod
    def whole(model: bytes, choices: Sequence[Said], usage: TokenUsage) -> bytes: ...


class Choice:
    """One text as it comes in."""

    __slots__ = ("deltas", "last", "pieces")

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.deltas: list[dict[str, Any]] = []
        self.last: Piece | None = None

    def take(self, piece: Piece) -> None:
        if piece.text:
            self.pieces.append(piece.text)
        if piece.delta:
            self.deltas.append(piece.delta)
        if piece.finish_reason is not None:
            self.last = piece

    @property
    def finish_reason(self) -> str:
        return (self.last.finish_reason or "") if self.last is not None else ""

    def said(self) -> Said:
        return "".join(self.pieces), self.finish_reason, self.deltas


async def render(
    backend: Backend,
    card: ModelCard,
    ask: Ask,
    dialect: Chat | Completion | Embedding,
    id: str,
    created_s: int,
) -> Answer:
    """The answer of a backend that generates, begun. Raises Refusal for what it cannot do, and whatever the
    backend raises before its first piece."""
    if isinstance(dialect, Embedding):
        return await _embedded(backend, card, ask, dialect)
    writer: type[Writer] = ChatAnswer if isinstance(dialect, Chat) else CompletionAnswer
    rendered = Rendered(
        backend.name,
        ask,
        writer(id, created_s, stamp(card.name, card.digest), ask.include_usage),
        stamp(card.name, card.digest),
        b'{"id":"%b","created":%d' % (id.encode(), created_s),
        pieces_of(backend, dialect.generations(ask, id, card.name)),
    )
    rendered.outcome.response_id = id
    await rendered.begin()
    return rendered


async def _embedded(backend: Backend, card: ModelCard, ask: Ask, dialect: Embedding) -> Answer:
    made = await backend.embed(card.name, dialect.texts(ask))
    answer = Whole(embedding.whole(ask, card.name, made))
    answer.outcome.usage = TokenUsage(made.prompt_tokens, 0)
    answer.outcome.compute_s = made.compute_s
    answer.outcome.complete = True
    return answer


class Whole:
    """An answer that is all there: one JSON body."""

    stream = False

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.outcome = Outcome()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body

    def close(self) -> None:
        """Nothing is under way."""


class Rendered:
    """A text answer, whole or streamed, from a stream of pieces."""

    def __init__(
        self,
        name: str,
        ask: Ask,
        out: Writer,
        model: bytes,
        head: bytes,
        pieces: AsyncGenerator[tuple[int, Piece], None],
    ) -> None:
        self.stream = ask.stream
        self.outcome = Outcome()
        self._name = name
        self._n = max(1, getattr(ask.typed, "n", None) or 1)
        self._out = out
        self._model = model
        self._head = head
        self._pieces = pieces
        self._first: tuple[int, Piece] | None = None
        self._choices = [Choice() for _ in range(ask.num_choices)]
        self._closing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Wait for the first piece: until then an error can still have a status of its own."""
        self._first = await anext(self._pieces)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._events() if self.stream else self._body()

    def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._pieces.aclose())

    async def _all(self) -> AsyncGenerator[tuple[int, Piece], None]:
        async with aclosing(self._pieces) as pieces:
            if self._first is not None:
                yield self._first
            async for numbered in pieces:
                yield numbered

    async def _events(self) -> AsyncIterator[bytes]:
        out = self._out
        frame = b"".join(map(out.opening, range(len(self._choices))))
        async for index, piece in self._all():
            self._choices[index].take(piece)
            if piece.text:
                frame += out.text(index, piece.text)
            if piece.delta:
                frame += out.more(index, piece.delta)
            if piece.finish_reason is not None:
                frame += out.closing(index, piece.finish_reason)
            if frame:
                yield frame
                frame = b""
        usage = self._ended()
        self.outcome.usage_event = out.usage(usage)
        yield self.outcome.usage_event + DONE

    async def _body(self) -> AsyncIterator[bytes]:
        async for index, piece in self._all():
            self._choices[index].take(piece)
        usage = self._ended()
        said = [choice.said() for choice in self._choices]
        yield self._head + self._out.whole(self._model, said, usage)

    def _ended(self) -> TokenUsage:
        """Prompt tokens once per prompt, completion tokens of every choice."""
        prompt = completion = cached = 0
        for index, choice in enumerate(self._choices):
            last = choice.last
            if last is None or last.usage is None or last.finish_reason == "cancelled":
                raise BackendError("the answer broke off before its end", where=self._name)
            if index % self._n == 0:
                prompt += last.usage.prompt_tokens
                cached += last.usage.cached_tokens
            completion += last.usage.completion_tokens
            self.outcome.compute_s += last.compute_s
            if choice.deltas:
                self.outcome.side_effects = True
        self.outcome.finish_reasons = tuple(choice.finish_reason for choice in self._choices)
        self.outcome.complete = True
        self.outcome.usage = TokenUsage(prompt, completion, cached)
        return self.outcome.usage


async def pieces_of(
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
