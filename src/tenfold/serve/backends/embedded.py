"""The embedded backend: our own engine in a child process, for machines without a model server.

This end of the line gives out ids, hands pieces to whoever waits for them, cancels what nobody reads any
more, and starts a new engine when one dies. It knows nothing about weights and never imports torch: a
crash in there fails the requests that were running, not the gateway.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from tenfold.errors import BackendError, ConfigError, UnknownName
from tenfold.serve.backends.base import Answer, Call, Embeddings, Generation, ModelCard, Piece
from tenfold.serve.backends.process import EngineProcess, launch
from tenfold.serve.engine.messages import (
    Cancel,
    Deltas,
    Embed,
    Embedded,
    Failed,
    Generate,
    Ready,
    Reply,
    error_of,
)

log = logging.getLogger("tenfold.serve.engine")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedConfig:
    num_slots: int = 8
    """Requests that run at once, 1 or more. Memory for caches grows with it."""
    max_waiting: int = 256
    """Requests that wait for a slot, 0 or more; beyond them a request fails at once."""
    context_tokens: int | None = None
    """None: all that the model was made for."""
    num_threads: int = 1
    """Threads of the engine's matrix products, 1 or more. One is fastest for small models, leaves the other
    cores to the gateway, and keeps answers independent of their neighbours (engine/network.py)."""
    max_restarts: int = 3
    """Engines started in a row without one request finished in between, before giving up."""
    start_timeout_s: float = 300.0
    """Loading that takes longer is a failure."""

    def __post_init__(self) -> None:
        least = {"num_slots": 1, "max_waiting": 0, "num_threads": 1, "max_restarts": 0}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ConfigError(f"{name} must be {bound} or more", seen=getattr(self, name))
        if self.context_tokens is not None and self.context_tokens < 2:
            raise ConfigError("context_tokens must be 2 or more", seen=self.context_tokens)


class Load(NamedTuple):
    """What the engine said last about itself."""

    busy_s: float
    num_running: int
    num_waiting: int


class EmbeddedBackend:
    """Serves the model in `folder` under the name `model`. Fields of a request's `extra` are not used."""

    speaks: frozenset[str] = frozenset()

    def __init__(
        self,
        folder: Path,
        *,
        model: str,
        digest: str = "",
        config: EmbeddedConfig | None = None,
        name: str = "embedded",
    ) -> None:
        self.name = name
        self.model = model
        self.config = config or EmbeddedConfig()
        self.ready: Ready | None = None
        """What the engine said when it was last started."""
        self.load = Load(0.0, 0, 0)
        self._folder = folder
        self._digest = digest
        self._process: EngineProcess | None = None
        self._starting = asyncio.Lock()
        self._stopped = True
        self._num_restarts = 0
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Queue[Piece | Embedded | Exception]] = {}

    async def start(self) -> None:
        """Load the model and wait until it is ready. Raises BackendError with what the engine said."""
        self._stopped = False
        self._num_restarts = 0
        await self._running()

    async def stop(self) -> None:
        """End the engine. Requests still running fail with BackendError."""
        self._stopped = True
        async with self._starting:
            process, self._process = self._process, None
            self._fail_all(BackendError(f"the engine for {self.model!r} was stopped"))
            if process is not None:
                await process.close()

    async def open(self, call: Call) -> Answer:
        raise NotImplementedError("this backend generates: use generate()")

    def cards(self) -> Sequence[ModelCard]:
        """The model, once it was loaded; before that only its name and digest are known."""
        if self.ready is not None:
            return (self.ready.card,)
        return (ModelCard(name=self.model, digest=self._digest),)

    def pids(self) -> Sequence[int]:
        process = self._process
        return () if process is None or process.dead else (process.pid,)

    async def generate(self, request: Generation) -> AsyncIterator[Piece]:
        """Pieces of text as they are made, the last with usage. Raises UnknownName, PromptTooLong,
        InputError, or BackendError when the engine dies or its queue is full."""
        self._check(request.model)
        process = await self._running()
        id, queue = self._open()
        finished = False
        try:
            process.send(Generate(id, _on_the_wire(request)))
            while True:
                piece = await queue.get()
                if not isinstance(piece, Piece):
                    finished = True
                    raise piece  # type: ignore[misc]
                finished = piece.finish_reason is not None
                yield piece
                if finished:
                    return
        finally:
            self._waiting.pop(id, None)
            if not finished:
                process.send(Cancel(id))

    async def embed(self, model: str, texts: Sequence[str]) -> Embeddings:
        """The mean of the final hidden states of each text, of length one. Raises as `generate` does."""
        self._check(model)
        process = await self._running()
        id, queue = self._open()
        finished = False
        try:
            process.send(Embed(id, list(texts)))
            got = await queue.get()
            finished = True
            if not isinstance(got, Embedded):
                raise got  # type: ignore[misc]
            return Embeddings(got.vectors, got.prompt_tokens, got.compute_s)
        finally:
            self._waiting.pop(id, None)
            if not finished:
                process.send(Cancel(id))

    def _check(self, model: str) -> None:
        if model != self.model:
            raise UnknownName("model", model, (self.model,))

    def _open(self) -> tuple[int, asyncio.Queue]:
        id = next(self._ids)
        queue = self._waiting[id] = asyncio.Queue()
        return id, queue

    async def _running(self) -> EngineProcess:
        """The engine, started anew if it died. One caller starts it, the others wait for that."""
        process = self._process
        if process is not None and not process.dead:
            return process
        async with self._starting:
            if self._stopped:
                raise BackendError(
                    f"the engine for {self.model!r} is not running", hint="await start() first"
                )
            if self._process is not None and not self._process.dead:
                return self._process
            if self._process is not None:
                await self._process.gone()  # its requests have failed: none can be mistaken for new
                self._count_restart(self._process)
            return await self._launch()

    def _count_restart(self, dead: EngineProcess) -> None:
        if self._num_restarts >= self.config.max_restarts:
            raise BackendError(
                f"the engine for {self.model!r} died {self._num_restarts + 1} times in a row",
                seen=dead.obituary,
                hint="mend the cause, then start() the backend again",
            )
        self._num_restarts += 1

    async def _launch(self) -> EngineProcess:
        config = self.config
        arguments = ["--folder", str(self._folder), "--name", self.model, "--digest", self._digest]
        arguments += ["--slots", str(config.num_slots), "--waiting", str(config.max_waiting)]
        arguments += ["--threads", str(config.num_threads)]
        if config.context_tokens is not None:
            arguments += ["--context", str(config.context_tokens)]
        process, self.ready = await launch(
            arguments, config.start_timeout_s, on_reply=self._take, on_death=self._bury
        )
        self._process = process
        if not self.ready.exact:
            log.warning(
                "%s: with %d threads, answers may differ in near ties with what else is running",
                self.model,
                config.num_threads,
            )
        return process

    def _take(self, reply: Reply) -> None:
        """Hand a reply to whoever waits. Nobody does when the request was closed meanwhile."""
        match reply:
            case Deltas():
                self.load = Load(reply.busy_s, reply.num_running, reply.num_waiting)
                for delta in reply.deltas:
                    if delta.finish_reason is not None:
                        self._num_restarts = 0
                    queue = self._waiting.get(delta.id)
                    if queue is not None:
                        queue.put_nowait(
                            Piece(
                                text=delta.text,
                                finish_reason=delta.finish_reason,
                                usage=delta.usage,
                                compute_s=delta.compute_s,
                            )
                        )
            case Embedded():
                self._num_restarts = 0
                if reply.id in self._waiting:
                    self._waiting[reply.id].put_nowait(reply)
            case Failed():
                if reply.id in self._waiting:
                    self._waiting[reply.id].put_nowait(error_of(reply.fault))

    def _bury(self, process: EngineProcess) -> None:
        if process is self._process:
            self._fail_all(
                BackendError(
                    f"the engine for {self.model!r} died while answering",
                    seen=process.obituary,
                    hint="ask again: the next request starts a new engine",
                )
            )

    def _fail_all(self, error: BackendError) -> None:
        for queue in self._waiting.values():
            queue.put_nowait(error)
        self._waiting.clear()


def _on_the_wire(request: Generation) -> Generation:
    """Seeds become 63-bit numbers, and a request without one gets its own."""
    seed = secrets.randbits(63) if request.seed is None else request.seed % 2**63
    return msgspec.structs.replace(request, seed=seed, extra={})
