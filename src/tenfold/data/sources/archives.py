"""Archives as folders: the members of tar and zip files, each as a stream, none of them on disk.

Nothing is extracted, so no name in an archive can point anywhere. Encrypted, sparse and nested members are
quarantined. Knows no format inside.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Self, cast

from tenfold.data.sources.connector import Quarantined
from tenfold.data.sources.storage import TARS, fits, is_archive
from tenfold.data.sources.stream import Stream

_HEADER_BYTES = 1 << 20


def members(stream: Stream, match: tuple[str, ...]) -> Iterator[Stream | Quarantined]:
    """Members whose name fits, in the archive's order. Read each before the next is asked for."""
    found = _tar(stream) if fits(stream.place, TARS) else _zip(stream)
    for member in found:
        if isinstance(member, Quarantined):
            yield member
        elif is_archive(member.place):
            yield Quarantined(member.place, "nested_archive", "an archive within an archive")
        elif fits(member.place, match):
            yield member


class _Header(tarfile.TarInfo):
    """Refuses the long names and attributes that tarfile would read into memory whatever their size, and
    broken headers behind the first one, which tarfile takes for the archive's end."""

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) and any(buf):  # neither the end of the stream nor the zeros at the end
                raise tarfile.ReadError(str(error)) from None
            raise

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        extended = self.type in (
            tarfile.XHDTYPE,
            tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
            tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK,
        )
        if extended and self.size > _HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def _tar(stream: Stream) -> Iterator[Stream | Quarantined]:
    try:
        with tarfile.open(fileobj=cast(Any, stream), mode="r|", tarinfo=_Header) as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]  # it would keep them all
                yield from _tar_member(archive, info, stream)
        while rest := stream.read(1 << 20):  # to its end, where gzip has its checksum
            if rest.strip(b"\0"):
                raise tarfile.ReadError("more data behind its end")
    except (tarfile.TarError, ValueError, EOFError, OverflowError) as error:
        fault = stream.fault()
        yield Quarantined(
            stream.place,
            fault.cause if fault else "corrupt",
            fault.fact if fault else f"no whole tar archive: {error}",
        )


def _tar_member(
    archive: tarfile.TarFile, info: tarfile.TarInfo, stream: Stream
) -> Iterator[Stream | Quarantined]:
    place = f"{stream.place}/{_clean(info.name)}"
    if info.issparse():
        yield Quarantined(place, "special_file", "a sparse file, whose size is made of nothing")
    elif info.isreg() and (file := archive.extractfile(info)) is not None:
        yield Stream(place, cast(BinaryIO, _Member(file)), stream.limits)
    elif not info.isdir():
        yield Quarantined(place, "special_file", "a link or a device inside an archive")


def _zip(stream: Stream) -> Iterator[Stream | Quarantined]:
    file = stream.random_access()
    if isinstance(file, Quarantined):
        yield file
        return
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, OSError) as error:
        yield Quarantined(stream.place, "corrupt", f"no whole zip archive: {error}")
        return
    limits = stream.limits
    # What the headers claim; zipfile never gives out more than they do.
    if fact := limits.bomb(file.seek(0, 2), sum(info.file_size for info in archive.infolist())):
        yield Quarantined(stream.place, "bomb", fact)
        return
    for info in archive.infolist():
        place = f"{stream.place}/{_clean(info.filename)}"
        if info.is_dir():
            continue
        if info.flag_bits & 1:
            yield Quarantined(place, "password", "encrypted")
        elif fact := limits.bomb(info.compress_size, info.file_size):
            yield Quarantined(place, "bomb", fact)
        else:
            try:
                member = archive.open(info)
            except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
                yield Quarantined(place, "corrupt", f"cannot be unpacked: {error}")
                continue
            with member:
                yield Stream(place, cast(BinaryIO, _Member(member)), limits)


def _clean(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


class _Member:
    """A member, speaking of its faults as a stream understands them."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        try:
            data: bytes = self._file.read(size)
        except tarfile.TarError as error:
            raise EOFError(str(error)) from None
        except (zipfile.BadZipFile, NotImplementedError) as error:
            raise zlib.error(str(error)) from None
        return data

    def seekable(self) -> bool:
        return False
