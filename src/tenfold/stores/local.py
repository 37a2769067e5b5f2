"""Blobs on a local disk.

    STORE/format.json            which layout this is, so that an older tenfold refuses a newer store
    STORE/blobs/ab/abcdef...     read-only files named by their SHA-256
    STORE/staging/PLACE-PID-UUID/ drafts being written, on the same filesystem so that a commit is a rename
    STORE/views/DIGEST/          hard links under the files' own names, for tools that want a folder

A blob is written to a temporary name, fsynced and renamed, then its folder is fsynced: after a crash it
is whole or not there. Knows nothing about assets beyond their manifest, and nothing about the ledger.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tenfold.core.asset import FileRef, Manifest
from tenfold.core.place import here
from tenfold.errors import BlobMissing, StoreError, StoreFull, StoreTooNew

FORMAT = 1
_CHUNK_BYTES = 1 << 20


class LocalBlobs:
    """The default store. Safe for any number of processes at once."""

    def __init__(self, root: Path) -> None:
        """Opens or creates a store. Raises StoreTooNew, StoreError."""
        self.root = root
        self._blobs = f"{root}/blobs"
        with _explained(root, "open"):
            root.mkdir(parents=True, exist_ok=True)
            self._check_format()
            for name in ("blobs", "staging", "views"):
                (root / name).mkdir(exist_ok=True)

    def put(self, path: Path) -> FileRef:
        with _explained(path, "store"):
            # Adopt bytes, not another name for a file that somebody elsewhere can still write to.
            if path.is_symlink() or path.stat().st_nlink > 1:
                copy = path.with_name(f".{uuid.uuid4().hex}")
                shutil.copyfile(path, copy)
                copy.replace(path)
            ref = _digest_file(path)
            _fsync(path)
            self._adopt(path, ref)
        return ref

    def put_bytes(self, data: bytes) -> FileRef:
        ref = FileRef(hashlib.sha256(data).hexdigest(), len(data))
        if self.has(ref):
            self._touch(self._blob(ref.sha256))
            return ref
        temporary = self.root / "staging" / f"{uuid.uuid4().hex}.blob"
        with _explained(temporary, "store"):
            try:
                with temporary.open("xb") as stream:
                    stream.write(data)
                    stream.flush()
                    os.fsync(stream.fileno())
                self._adopt(temporary, ref)
            finally:
                temporary.unlink(missing_ok=True)
        return ref

    def open(self, sha256: str) -> BinaryIO:
        return self.path(sha256).open("rb")

    def has(self, ref: FileRef) -> bool:
        # Text, not pathlib: a plan asks this for every file of every unchanged asset.
        try:
            return os.stat(f"{self._blobs}/{ref.sha256[:2]}/{ref.sha256}").st_size == ref.num_bytes
        except FileNotFoundError:
            return False

    def path(self, sha256: str) -> Path:
        path = self._blob(sha256)
        if not path.is_file():
            raise BlobMissing(
                f"the blob {sha256[:12]} is not in the store",
                where=str(self.root),
                hint="run the factory again: what is missing is rebuilt",
            )
        return path

    def folder(self, manifest: Manifest) -> Path:
        final = self.root / "views" / manifest.digest
        if final.is_dir():
            return final
        building = self.root / "staging" / uuid.uuid4().hex
        with _explained(building, "lay out"):
            building.mkdir()
            try:
                for name, ref in manifest.files.items():
                    target = building / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _link(self.path(ref.sha256), target)
                with contextlib.suppress(FileExistsError, OSError):  # another process was first
                    building.rename(final)
            finally:
                shutil.rmtree(building, ignore_errors=True)
        if not final.is_dir():
            raise StoreError("the folder view could not be made", where=str(final))
        return final

    def staging(self) -> Path:
        path = self.root / "staging" / f"{here()}-{os.getpid()}-{uuid.uuid4().hex}"
        with _explained(path, "write to"):
            path.mkdir()
        return path

    def listing(self) -> Iterator[tuple[FileRef, float]]:
        for prefix in sorted(p for p in (self.root / "blobs").iterdir() if p.is_dir()):
            for path in sorted(prefix.iterdir()):
                with contextlib.suppress(FileNotFoundError):  # collected meanwhile
                    stat = path.stat()
                    yield FileRef(path.name, stat.st_size), stat.st_mtime

    def delete(self, sha256: str) -> None:
        with _explained(self.root, "delete from"):
            self._blob(sha256).unlink(missing_ok=True)

    def verify(self, ref: FileRef) -> bool:
        """Read the blob and compare its digest with its name."""
        return self.has(ref) and _digest_file(self._blob(ref.sha256)) == ref

    def sweep_leftovers(self, older_than_s: float, keep: set[str]) -> int:
        """Remove staging folders of dead processes and views of assets not in `keep`; how many.

        A folder whose process still lives stays, however old: a long training writes only at its end.
        """
        limit = time.time() - older_than_s
        removed = 0
        for path in [*(self.root / "staging").iterdir(), *(self.root / "views").iterdir()]:
            if path.name in keep or _is_in_use(path.name):
                continue
            try:
                if path.stat().st_mtime > limit:
                    continue
            except FileNotFoundError:  # committed or swept meanwhile
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            removed += 1
        return removed

    def _blob(self, sha256: str) -> Path:
        return self.root / "blobs" / sha256[:2] / sha256

    def _adopt(self, path: Path, ref: FileRef) -> None:
        target = self._blob(ref.sha256)
        if self.has(ref):
            self._touch(
                target
            )  # young again for garbage collection: somebody is about to refer to it
            path.unlink()
            return
        if not target.parent.is_dir():
            target.parent.mkdir(exist_ok=True)
            _fsync(target.parent.parent)
        path.chmod(0o444)
        path.rename(target)
        _fsync(target.parent)

    def _touch(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            os.utime(path)

    def _check_format(self) -> None:
        marker = self.root / "format.json"
        if not marker.exists():
            temporary = self.root / f".format-{uuid.uuid4().hex}"
            temporary.write_text(json.dumps({"tenfold_store": FORMAT}) + "\n")
            temporary.rename(marker)
            return
        try:
            found = int(json.loads(marker.read_text())["tenfold_store"])
        except (ValueError, KeyError, TypeError):
            raise StoreError(
                "this folder is not a tenfold store",
                where=str(marker),
                hint="point `store:` at another folder",
            ) from None
        if found > FORMAT:
            raise StoreTooNew(
                f"the store was made by a newer tenfold: its format is {found}, this one knows {FORMAT}",
                where=str(marker),
                hint="pip install -U tenfold",
            )


def _digest_file(path: Path) -> FileRef:
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return FileRef(sha256, stream.tell())


def _is_in_use(name: str) -> bool:
    """Of a staging folder: was it made in this place, by a process that is still there?"""
    mark = f"{here()}-"
    pid = name.removeprefix(mark).partition("-")[0]
    if not name.startswith(mark) or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another filesystem, or one without hard links
        shutil.copyfile(source, target)


def _fsync(path: Path) -> None:
    """Of a file or a folder. Read-only is enough, and all that a copy of a blob allows."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(path: Path, verb: str) -> Iterator[None]:
    """Turn what the operating system says into what the user should do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreFull(
                "the disk is full",
                where=str(path),
                hint="free some space or run `tenfold gc`; what was stored before is intact",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreError(
                f"no permission to {verb} the store",
                where=str(path),
                seen=error.strerror,
                hint="check the owner and mode of the folder, or set `store:` to another one",
            ) from error
        raise StoreError(
            f"could not {verb} the store", where=str(path), seen=error.strerror or str(error)
        ) from error
