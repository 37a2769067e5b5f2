"""Flights between the workers of a host, over a Unix socket in each: "follow this key".

A worker that finds a key claimed asks the claim's holder, which sends the parts of its flight as they come, or
the stored answer where the flight has landed. Only processes of the same user reach the socket. It knows how
to say things, not when: that is flights.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tenfold.errors import StoreError, TenfoldError
from tenfold.serve.cache.flight import Flight, Lost, Vacant
from tenfold.serve.cache.flights import Flights
from tenfold.serve.cache.stored import Stored, decode, encode

MAX_FRAME_BYTES = 256 * 1024 * 1024
BEATS = 4
"""A leader that has nothing to say says so this often within the silence that others bear."""

_FRAME = struct.Struct(">cI")
KNOWN, BEAT, BEGIN, PART, STORED, END, FAIL, UNKNOWN = (b"%c" % code for code in b"KTBPSEFU")


class Relay:
    """The socket of this worker, and the way to those of others."""

    def __init__(
        self,
        folder: Path,
        flights: Flights,
        look: Callable[[bytes], Stored | None],
        *,
        silence_s: float = 5.0,
        pack: Callable[[Any], Any] = lambda outcome: outcome,
        unpack: Callable[[Any], Any] = lambda packed: packed,
        errors: Sequence[type[TenfoldError]] = (),
    ) -> None:
        """`folder` holds the claims and the sockets. `look` finds an answer in any tier of this process.

        `pack` turns an outcome into what msgpack can say, `unpack` back. An error of a class in `errors`
        arrives as itself, any other as Lost. A worker silent for `silence_s` is taken for dead.
        """
        self._folder = folder
        self._flights = flights
        self._look = look
        self._silence_s = silence_s
        self._pack = pack
        self._unpack = unpack
        self._errors = {kind.__name__: kind for kind in errors}
        self._server: asyncio.AbstractServer | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises StoreError, also where the folder's name is too long for a socket."""
        for left in self._folder.glob("*.sock"):
            if not lives(left.stem):
                left.unlink(missing_ok=True)
        path = self._path(os.getpid())
        try:
            path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._accept, path)
        except OSError as error:
            raise StoreError(
                f"workers cannot follow each other: {error}",
                where=str(path),
                hint="a socket's path may have 100 characters; choose a shorter folder",
            ) from None

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path(os.getpid()).unlink(missing_ok=True)
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def fetch(self, pid: int, flight: Flight) -> bool:
        """Publish in `flight` what the process `pid` publishes under its key (see flights.Fetch)."""
        reader, writer = await asyncio.open_unix_connection(self._path(pid))
        try:
            writer.write(bytes([len(flight.key)]) + flight.key)
            while True:
                kind, payload = await self._frame(reader)
                if kind == UNKNOWN:
                    return False
                if kind == PART:
                    flight.publish(payload)
                elif kind == BEGIN:
                    flight.begin(payload[:1] == b"\1", payload[1:])
                elif kind == STORED:
                    flight.stored = decode(payload)
                elif kind == END:
                    outcome = msgspec.msgpack.decode(payload)  # None: it was stored already
                    flight.end(None if outcome is None else self._unpack(outcome), flight.stored)
                    return True
                elif kind == FAIL:
                    error = self._error(payload[1:])
                    if isinstance(error, Vacant):
                        return False
                    flight.fail(error, shared=payload[:1] == b"\1")
                    return True
        except (asyncio.IncompleteReadError, msgspec.DecodeError) as error:
            raise ConnectionError(f"the leading worker broke off: {error}") from None
        finally:
            writer.close()

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        gone: asyncio.Task[bytes] | None = None
        try:
            async with asyncio.timeout(self._silence_s):
                (length,) = await reader.readexactly(1)
                key = await reader.readexactly(length)
            # It says no more: whatever comes now is its end, and then nobody needs the answer.
            gone = asyncio.create_task(reader.read(1))
            gone.add_done_callback(lambda _: task.cancel())
            await self._serve(key, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._serving.discard(task)
            if gone is not None:
                gone.cancel()
            writer.close()

    async def _serve(self, key: bytes, writer: StreamWriter) -> None:
        flight = self._flights.find(key)
        if flight is None:
            stored = self._look(key)
            if stored is None:
                _say(writer, UNKNOWN)
            else:
                _say(writer, STORED, encode(stored))
                _say(writer, END, msgspec.msgpack.encode(None))
            await writer.drain()
            return
        with contextlib.closing(flight.follow()) as follower:
            _say(writer, KNOWN)
            try:
                await self._beating(follower.begun, writer)
                _say(writer, BEGIN, bytes([flight.stream]) + flight.head)
                with contextlib.suppress(StopAsyncIteration):
                    while True:
                        _say(writer, PART, await self._beating(follower.__anext__, writer))
                        await writer.drain()
            except (Vacant, Exception) as error:
                if isinstance(error, OSError):
                    raise
                shared = flight.shared or not isinstance(error, Vacant)
                _say(writer, FAIL, bytes([shared]) + self._packed(error))
            else:
                if flight.stored is not None:
                    _say(writer, STORED, encode(flight.stored))
                outcome = None if flight.outcome is None else self._pack(flight.outcome)
                _say(writer, END, msgspec.msgpack.encode(outcome))
            await writer.drain()

    async def _frame(self, reader: StreamReader) -> tuple[bytes, bytes]:
        async with asyncio.timeout(self._silence_s):
            kind, length = _FRAME.unpack(await reader.readexactly(_FRAME.size))
            if length > MAX_FRAME_BYTES:
                raise ConnectionError("the leading worker speaks something else")
            return kind, await reader.readexactly(length) if length else b""

    async def _beating(self, step: Callable[[], Any], writer: StreamWriter) -> Any:
        """What `step` gives, with a word to the other side while it takes its time."""
        while True:
            try:
                async with asyncio.timeout(self._silence_s / BEATS):
                    return await step()
            except TimeoutError:
                _say(writer, BEAT)
                await writer.drain()

    def _packed(self, error: BaseException) -> bytes:
        fields = vars(error) if type(error).__name__ in self._errors else {}
        return msgspec.msgpack.encode([type(error).__name__, str(error), fields], enc_hook=repr)

    def _error(self, packed: bytes) -> Exception:
        name, text, fields = msgspec.msgpack.decode(packed)
        if name == Vacant.__name__:
            return Vacant()
        kind = self._errors.get(name)
        if kind is None:
            return Lost(text)
        error = kind.__new__(kind, text)
        error.__dict__.update(fields)
        return error

    def _path(self, pid: int) -> Path:
        return self._folder / f"{pid}.sock"


def _say(writer: StreamWriter, kind: bytes, payload: bytes = b"") -> None:
    writer.write(_FRAME.pack(kind, len(payload)) + payload)


def lives(pid: str) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True
