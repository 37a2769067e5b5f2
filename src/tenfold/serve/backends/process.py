"""An engine's process as seen from the gateway: started, spoken to, and known to be dead when it is.

It knows frames and processes; which request a reply belongs to is `embedded`'s.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence

from tenfold.errors import BackendError
from tenfold.serve.engine.messages import (
    HEADER,
    Dead,
    Ready,
    Reply,
    Request,
    body_bytes,
    error_of,
    frame,
    replies,
)

_CLOSE_TIMEOUT_S = 5.0
_LAST_LINES = 20
_LONGEST_LINE_BYTES = 4096
"""More without an end is cut here. Reading must never stop: an engine whose pipe is full stands still."""

log = logging.getLogger("tenfold.serve.engine")


class EngineProcess:
    """One child. `dead` is true from the moment that no reply can come any more."""

    def __init__(
        self,
        child: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.pid = child.pid
        self.dead = False
        self.obituary = ""
        """How it ended: the exit code and what it wrote last to stderr."""
        self._child = child
        self._reader = reader
        self._writer = writer
        self._last_lines: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
        self._listening = asyncio.ensure_future(self._listen())
        self._reading: asyncio.Task[None] | None = None

    async def ready(self) -> Ready:
        """The first message. Raises BackendError with what kept the model from loading."""
        try:
            reply = await self._receive()
        except (asyncio.IncompleteReadError, OSError):
            await self._reap()
            raise BackendError(
                "the engine process ended before its model was loaded", seen=self.obituary
            ) from None
        if isinstance(reply, Dead):
            await self._reap()
            cause = error_of(reply.fault)
            raise BackendError(
                f"the engine cannot load its model: {cause.fact}",
                where=cause.where,
                seen=reply.fault.seen,
                hint=cause.hint,
            )
        if not isinstance(reply, Ready):
            raise BackendError("the engine did not introduce itself", seen=type(reply).__name__)
        return reply

    def follow(
        self, on_reply: Callable[[Reply], None], on_death: Callable[[EngineProcess], None]
    ) -> None:
        """From now on, call back with each reply, and once when the process is gone."""
        self._reading = asyncio.ensure_future(self._follow(on_reply, on_death))

    def send(self, message: Request) -> None:
        """Write without waiting: requests are small. To a dead engine: nothing, its death is known."""
        if not self.dead:
            self._writer.write(frame(message))

    async def gone(self) -> None:
        """Wait until a dead process has been reaped and its death been told."""
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def close(self) -> None:
        """Hang up, which ends the engine; kill it if it does not notice."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await self._reap()

    async def kill(self) -> None:
        """End it in the middle of whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self._child.kill()
        await self.close()

    async def _follow(
        self, on_reply: Callable[[Reply], None], on_death: Callable[[EngineProcess], None]
    ) -> None:
        try:
            while True:
                reply = await self._receive()
                if isinstance(reply, Dead):
                    log.error("engine %d: %s", self.pid, reply.fault.fact)
                    self._last_lines.append(reply.fault.fact)
                    break
                on_reply(reply)
        except (asyncio.IncompleteReadError, OSError):
            pass  # hung up: how it ended is found out below
        finally:
            self.dead = True
        await self._reap()
        log.error("engine %d died: %s", self.pid, self.obituary)
        on_death(self)

    async def _receive(self) -> Reply:
        header = await self._reader.readexactly(HEADER.size)
        return replies.decode(await self._reader.readexactly(body_bytes(header)))

    async def _reap(self) -> None:
        self.dead = True
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        try:
            await asyncio.wait_for(self._child.wait(), _CLOSE_TIMEOUT_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
            await self._child.wait()
        await self._listening
        last = "\n".join(self._last_lines)
        self.obituary = f"exit code {self._child.returncode}" + (f"\n{last}" if last else "")

    async def _listen(self) -> None:
        """Its stderr into the log and, for the obituary, the last lines of it, whatever their length."""
        assert self._child.stderr is not None  # asked for in `launch`
        rest = b""
        while part := await self._child.stderr.read(_LONGEST_LINE_BYTES):
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self._heard(line)
            if len(rest) >= _LONGEST_LINE_BYTES:  # a progress bar never ends its line
                self._heard(rest)
                rest = b""
        if rest:
            self._heard(rest)

    def _heard(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()[:_LONGEST_LINE_BYTES]
        self._last_lines.append(text)
        log.warning("engine %d: %s", self.pid, text)


async def launch(
    arguments: Sequence[str],
    timeout_s: float,
    *,
    on_reply: Callable[[Reply], None],
    on_death: Callable[[EngineProcess], None],
) -> tuple[EngineProcess, Ready]:
    """Start an engine and wait until its model is loaded. Raises BackendError, leaving no process."""
    ours, theirs = socket.socketpair()
    with theirs:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tenfold.serve.engine",
            "--fd",
            str(theirs.fileno()),
            "--parent",
            str(os.getpid()),
            *arguments,
            pass_fds=[theirs.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    process = EngineProcess(child, reader, writer)
    try:
        ready = await asyncio.wait_for(process.ready(), timeout_s)
    except TimeoutError:
        await process.kill()
        raise BackendError(f"the engine did not load its model in {timeout_s:g} s") from None
    except BaseException:  # a cancelled start, too, must leave no process
        await process.kill()
        raise
    process.follow(on_reply, on_death)
    return process, ready
