"""Compressed streams, unpacked piece by piece, never trusted: truncation, damage and bombs end them early.

A stream that ends early gives all it could and then a `Fault`; its reader decides what the last piece is
worth. Knows gzip, bzip2, xz and Zstandard by their first bytes, no format inside them.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol

import pyarrow as pa

from tenfold.data.sources.limits import Limits

_PIECE_BYTES = 1 << 16
_OUT_BYTES = 1 << 20
_RATIO_FROM_BYTES = 64 << 20
_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"
_BZIP2 = b"BZh"
_XZ = b"\xfd7zXZ\x00"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a stream ended before its end."""

    cause: str
    """`truncated`, `corrupt`, `bomb` or `io`."""
    fact: str


class _Decompressor(Protocol):
    """As bz2 and lzma have it: one member, bounded output."""

    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib with the face of bz2 and lzma."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self.pending = b""
        """What the last call was given: where a broken member is searched for the next one."""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        self.pending = self._inner.unconsumed_tail + data
        return self._inner.decompress(self.pending, max_length)


class Unpacked(io.RawIOBase):
    """The unpacked bytes of a stream; plain streams pass through. Wrap it in io.BufferedReader.

    Members that follow each other are one stream, as gzip says (RFC 1952, 2.2). Reading past a fault gives
    nothing; `resume` goes on with the next gzip member, where there is one.
    """

    def __init__(self, packed: BinaryIO, limits: Limits) -> None:
        self._packed, self._limits = packed, limits
        self.fault: Fault | None = None
        self._reported: Fault | None = None
        self._came = self._went = 0
        self._ahead = self._take()
        self._make = self._maker()
        self._member: _Decompressor | None = self._make() if self._make else None
        self._zstd: Any = None
        if self._ahead.startswith(_ZSTD):
            self._zstd = pa.CompressedInputStream(
                pa.PythonFile(_Joined(self._ahead, self._take), mode="r"), "zstd"
            )

    @property
    def plain(self) -> bool:
        """It was not packed at all."""
        return self._make is None and self._zstd is None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.fault is not None:
            return 0
        want = min(len(buffer), _OUT_BYTES)
        try:
            data = self._plain(want) if self.plain else self._unpack(want)
        except (zlib.error, lzma.LZMAError, pa.ArrowException, ValueError) as error:
            self._fail("corrupt", f"not what its packing says: {error}")
            return 0
        except EOFError:
            self._fail("truncated", "the packed stream stops before its end")
            return 0
        except OSError as error:  # bz2 says OSError for bad data, Arrow for bad frames
            if "Truncated" in str(error):  # Arrow's words for a Zstandard frame cut short
                self._fail("truncated", "the packed stream stops before its end")
            elif error.errno is None:
                self._fail("corrupt", f"not what its packing says: {error}")
            else:
                self._fail("io", f"cannot be read: {error.strerror}")
            return 0
        self._went += len(data)
        if not self.plain:
            self._weigh()
        buffer[: len(data)] = data
        return len(data)

    def resume(self) -> bool:
        """After `corrupt`: on to the next gzip member. False: there is none, or it makes no sense."""
        broken = self._member
        if self.fault is None or self.fault.cause != "corrupt" or not isinstance(broken, _Gzip):
            return False
        data = broken.pending[1:]
        while True:
            found = data.find(_GZIP)
            if found >= 0:
                self._ahead, self._member, self.fault = data[found:], _Gzip(), None
                return True
            more = self._take()
            if not more:
                return False
            data = data[-2:] + more

    def take_fault(self) -> Fault | None:
        """The fault, once: who takes it reports it."""
        fault, self._reported = self._reported, None
        return fault

    def _maker(self) -> Any:
        if self._ahead.startswith(_GZIP):
            return _Gzip
        if self._ahead.startswith(_BZIP2):
            return bz2.BZ2Decompressor
        return lzma.LZMADecompressor if self._ahead.startswith(_XZ) else None

    def _take(self) -> bytes:
        data = self._packed.read(_PIECE_BYTES)
        self._came += len(data)
        return data

    def _plain(self, want: int) -> bytes:
        if not self._ahead:
            self._ahead = self._take()
        data, self._ahead = self._ahead[:want], self._ahead[want:]
        return data

    def _unpack(self, want: int) -> bytes:
        if self._zstd is not None:
            data: bytes = self._zstd.read(want)
            return data
        while True:
            if self._member is None:
                if not self._ahead:
                    self._ahead = self._take()
                if not self._ahead.strip(b"\0"):  # padding, as tapes and some writers leave it
                    if not self._ahead:
                        return b""
                    self._ahead = b""
                    continue
                self._member = self._make()
            piece = b""
            if self._member.needs_input:
                piece = self._ahead or self._take()
                if not piece:
                    raise EOFError
                self._ahead = b""
            data = self._member.decompress(piece, want)
            if self._member.eof:
                self._ahead, self._member = self._member.unused_data, None
            if data:
                return data

    def _weigh(self) -> None:
        limits = self._limits
        if self._went > limits.unpacked_bytes:
            self._fail("bomb", f"more than {limits.unpacked_bytes} bytes when unpacked")
        elif self._went > _RATIO_FROM_BYTES and self._went > limits.ratio * self._came:
            self._fail("bomb", f"{self._came} bytes unpack to more than {self._went}")

    def _fail(self, cause: str, fact: str) -> None:
        self.fault = self._reported = Fault(cause, fact)


class _Joined:
    """What was read ahead, then the rest: a file as Arrow wants it."""

    closed = False

    def __init__(self, ahead: bytes, take: Any) -> None:
        self._ahead, self._take = ahead, take

    def read(self, count: int = -1) -> bytes:
        data = self._ahead or self._take()
        data, self._ahead = data[:count], data[count:]
        return data

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        pass
