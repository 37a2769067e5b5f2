"""One opened thing of a source: its place, its unpacked bytes, and lines of them in bounded memory.

Formats read from here and from nowhere else, so that truncation, bombs and overlong lines are the same for
all of them. Knows no format.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import BinaryIO

from tenfold.data.sources import encoding
from tenfold.data.sources.connector import RAW_BYTES, Quarantined
from tenfold.data.sources.limits import Limits
from tenfold.data.sources.unpacking import Fault, Unpacked


class Stream:
    """`place` names it; `limits` bound it. Read it forwards, once."""

    def __init__(self, place: str, packed: BinaryIO, limits: Limits) -> None:
        self.place, self.limits = place, limits
        self._packed = packed
        self._read_bytes = 0
        self._unpacked = Unpacked(packed, limits)
        self._reader: io.BufferedReader = io.BufferedReader(self._unpacked, 1 << 18)

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end, whatever kind of end it is."""
        data = self._reader.read(size)
        self._read_bytes += len(data)
        return data

    def tell(self) -> int:
        """Bytes that `read` has given out."""
        return self._read_bytes

    def random_access(self) -> BinaryIO | Quarantined:
        """For formats that are read from their end. Packed things and members of archives must be small."""
        if self._unpacked.plain and self._packed.seekable():
            self._packed.seek(0)
            return self._packed
        data = self.whole(self.limits.file_bytes)
        return data if isinstance(data, Quarantined) else io.BytesIO(data)

    def whole(self, limit: int) -> bytes | Quarantined:
        """All of it where it is complete and at most `limit` bytes; where not, why not."""
        data = self._reader.read(limit + 1)
        if fault := self.fault():
            return Quarantined(self.place, fault.cause, fault.fact, data)
        if len(data) > limit:
            return Quarantined(self.place, "too_long", f"more than {limit} bytes", data)
        if not data:
            return Quarantined(self.place, "empty", "nothing in it", b"")
        return data

    def fault(self) -> Fault | None:
        """Why it ended early, once; who asks reports it."""
        return self._unpacked.take_fault()

    def resume(self) -> bool:
        """After `corrupt`: go on behind the damage."""
        return self._unpacked.resume()

    def lines(self) -> Iterator[tuple[int, bytes | Quarantined]]:
        """Number, from 1, and the line with its end; overlong and cut lines come quarantined.

        UTF-16 and UTF-32 with a byte order mark come as UTF-8; the mark itself does not come. A line ends
        at LF. An overlong line is skipped piece by piece: memory stays at `limits.record_bytes`.
        """
        head = self._reader.peek(4)[:4]
        marked = encoding.mark(head)
        reader: io.BufferedReader = self._reader
        broken: _Wide | None = None
        if marked is not None:
            reader.read(marked[1])
            if marked[0] != "utf-8":
                broken = _Wide(reader, marked[0])
                reader = io.BufferedReader(broken, 1 << 18)
        limit, number = self.limits.record_bytes, 0
        while True:
            line = reader.readline(limit + 1)
            if line.endswith(b"\n"):
                number += 1
                if len(line) <= limit:
                    yield number, line
                    continue
            fault = self.fault() or (broken.fault if broken else None)
            if fault is not None:
                place = f"{self.place}:{number + 1}"
                yield number + 1, Quarantined(place, fault.cause, fault.fact, line)
                return
            if not line:
                return
            if not line.endswith(b"\n"):
                number += 1
            if len(line) > limit:
                fact = f"a line of more than {limit} bytes"
                yield number, Quarantined(f"{self.place}:{number}", "too_long", fact, line[:RAW_BYTES])
                while line and not line.endswith(b"\n"):
                    line = reader.readline(1 << 20)
            else:
                yield number, line


class _Wide(io.RawIOBase):
    """UTF-16 or UTF-32 as UTF-8, piece by piece; ends with a fault where it is broken."""

    def __init__(self, reader: io.BufferedReader, name: str) -> None:
        self._reader, self._name = reader, name
        self._decoder = codecs.getincrementaldecoder(name)()
        self._ready = b""
        self.fault: Fault | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        while not self._ready and self.fault is None:
            data = self._reader.read(1 << 16)
            try:
                self._ready = self._decoder.decode(data, final=not data).encode()
            except UnicodeDecodeError as error:
                self.fault = Fault("encoding", f"marked as {self._name}, but broken: {error.reason}")
            if not data:
                break
        count = min(len(view), len(self._ready))
        view[:count], self._ready = self._ready[:count], self._ready[count:]
        return count
