"""Blobs in memory: the twin of the local store, for tests and notebooks. Same promises, no disk.

Tools that insist on a path get one in a temporary folder that goes away with the store.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import time
import uuid
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tenfold.core.asset import FileRef, Manifest
from tenfold.errors import BlobMissing


class MemoryBlobs:
    """Blobs in a dictionary, held to the same conformance tests as the local store."""

    def __init__(self) -> None:
        self._bytes: dict[str, bytes] = {}
        self._written: dict[str, float] = {}
        self._temporary: Path | None = None

    def put(self, path: Path) -> FileRef:
        ref = self.put_bytes(path.read_bytes())
        path.unlink()
        return ref

    def put_bytes(self, data: bytes) -> FileRef:
        ref = FileRef(hashlib.sha256(data).hexdigest(), len(data))
        self._bytes[ref.sha256] = data
        self._written[ref.sha256] = time.time()
        return ref

    def open(self, sha256: str) -> BinaryIO:
        return io.BytesIO(self._get(sha256))

    def has(self, ref: FileRef) -> bool:
        data = self._bytes.get(ref.sha256)
        return data is not None and len(data) == ref.num_bytes

    def path(self, sha256: str) -> Path:
        path = self._folder() / sha256
        if not path.exists():
            _write_once(path, self._get(sha256))
        return path

    def folder(self, manifest: Manifest) -> Path:
        folder = self._folder() / "views" / manifest.digest
        for name, ref in manifest.files.items():
            target = folder / name
            if not target.exists():  # somebody may have it mapped into memory: never write it again
                target.parent.mkdir(parents=True, exist_ok=True)
                _write_once(target, self._get(ref.sha256))
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def staging(self) -> Path:
        path = self._folder() / "staging" / uuid.uuid4().hex
        path.mkdir(parents=True)
        return path

    def listing(self) -> Iterator[tuple[FileRef, float]]:
        for sha256, data in sorted(self._bytes.items()):
            yield FileRef(sha256, len(data)), self._written[sha256]

    def delete(self, sha256: str) -> None:
        self._bytes.pop(sha256, None)
        self._written.pop(sha256, None)

    def verify(self, ref: FileRef) -> bool:
        data = self._bytes.get(ref.sha256)
        return data is not None and hashlib.sha256(data).hexdigest() == ref.sha256

    def sweep_leftovers(self, older_than_s: float, keep: set[str]) -> int:
        return 0

    def _get(self, sha256: str) -> bytes:
        try:
            return self._bytes[sha256]
        except KeyError:
            raise BlobMissing(
                f"the blob {sha256[:12]} is not in the store", where="memory"
            ) from None

    def _folder(self) -> Path:
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="tenfold-"))
            # Not TemporaryDirectory: that warns when it goes with its owner, which is the point here.
            weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
        return self._temporary


def _write_once(path: Path, data: bytes) -> None:
    """Whole or not there, and read-only, as in a real store."""
    building = path.with_name(f".{uuid.uuid4().hex}")
    building.write_bytes(data)
    building.chmod(0o444)
    building.replace(path)
