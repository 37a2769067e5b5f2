"""A tenant's files: stored whole, found by an id nobody can guess, counted, forgotten when they are old.

A file exists as soon as its record does, and its bytes are there before. Knows folders and no HTTP but
refusals. Blocking: call it off the event loop.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from tenfold.serve.batch.durable import TEMPORARY, private_folder, staged, sync_folder, write_whole
from tenfold.serve.batch.home import Home, is_id, new_id
from tenfold.serve.refusal import Refusal, loggable

MAX_FILES = 10_000
"""Of one tenant. A list is made by reading every record."""
LEFTOVER_S = 3600.0
"""After this, bytes without a record are from something that broke off."""


class FileRecord(msgspec.Struct, frozen=True):
    id: str
    tenant: str
    key_name: str
    filename: str
    purpose: str
    num_bytes: int
    created_at_s: float
    expires_at_s: float

    def shown(self) -> dict[str, Any]:
        """As OpenAI's clients expect it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.num_bytes,
            "created_at": int(self.created_at_s),
            "expires_at": int(self.expires_at_s),
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


class Files:
    def __init__(
        self, home: Home, *, tenant_bytes: int, now: Callable[[], float] = time.time
    ) -> None:
        self._home = home
        self._tenant_bytes = tenant_bytes
        self._now = now

    def folder(self, tenant: str) -> Path:
        return private_folder(self._home.of_tenant(tenant) / "files")

    def create(
        self,
        tenant: str,
        key_name: str,
        filename: str,
        purpose: str,
        parts: Iterable[bytes | memoryview],
        *,
        num_bytes: int,
        keep_s: float,
    ) -> FileRecord:
        """Raises Refusal (429) where the tenant has no room left, OSError where the disk has none."""
        folder = self.folder(tenant)
        # Written before others are kept waiting: a slow disk is this upload's own matter.
        with staged(folder, parts) as whole, self._home.alone(folder.parent):
            self._check_room(folder, num_bytes)
            now_s = self._now()
            record = FileRecord(
                new_id("file-"),
                tenant,
                key_name,
                filename,
                purpose,
                num_bytes,
                now_s,
                now_s + keep_s,
            )
            whole.replace(folder / record.id)
            self._write(folder, record)
        return record

    def adopt(self, source: Path, record: FileRecord) -> None:
        """Make a file of one that lies elsewhere on this disk; its size is looked up. Doing it again is fine."""
        folder = self.folder(record.tenant)
        with contextlib.suppress(FileNotFoundError):  # moved before
            source.rename(folder / record.id)
        num_bytes = (folder / record.id).stat().st_size
        self._write(folder, msgspec.structs.replace(record, num_bytes=num_bytes))

    def get(self, tenant: str, id: str) -> FileRecord:
        """Raises Refusal (404), also for what is another tenant's or too old."""
        if is_id(id, "file-"):
            record = self._read(self.path(tenant, id).with_suffix(".json"))
            if record is not None and record.tenant == tenant and record.expires_at_s > self._now():
                return record
        raise Refusal(404, f"No such File object: {loggable(id)}", code="not_found", param="id")

    def path(self, tenant: str, id: str) -> Path:
        """Where the bytes of a file are. `id` is one of ours."""
        return self._home.of_tenant(tenant) / "files" / id

    def all(self, tenant: str) -> list[FileRecord]:
        """The newest first."""
        folder, now_s = self.folder(tenant), self._now()
        found = (self._read(folder / name) for name in os.listdir(folder) if name.endswith(".json"))
        kept = [record for record in found if record is not None and record.expires_at_s > now_s]
        return sorted(kept, key=lambda record: (record.created_at_s, record.id), reverse=True)

    def delete(self, tenant: str, id: str) -> None:
        """Raises Refusal (404). A batch that reads the file goes on: it has the bytes by another name."""
        self.get(tenant, id)
        self._remove(self.path(tenant, id))

    def sweep(self) -> None:
        """Remove what is too old, and what was left by something that broke off."""
        now_s = self._now()
        for tenant in self._home.all_tenants():
            folder = private_folder(tenant / "files")
            for name in os.listdir(folder):
                path = folder / name
                if name.endswith(".json"):
                    record = self._read(path)
                    if record is not None and record.expires_at_s <= now_s:
                        self._remove(path.with_suffix(""))
                elif name.startswith(TEMPORARY) or not path.with_suffix(".json").exists():
                    with contextlib.suppress(FileNotFoundError):
                        if time.time() - path.stat().st_mtime > LEFTOVER_S:
                            path.unlink()

    def _check_room(self, folder: Path, num_bytes: int) -> None:
        count = taken = 0
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_id(entry.name, "file-"):
                    with contextlib.suppress(FileNotFoundError):
                        count, taken = count + 1, taken + entry.stat().st_size
        if count >= MAX_FILES or taken + num_bytes > self._tenant_bytes:
            raise Refusal(
                429,
                f"This organization's files have {taken:,} of {self._tenant_bytes:,} bytes in {count:,} of "
                f"{MAX_FILES:,} files; delete some first.",
                code="storage_limit_exceeded",
            )

    def _write(self, folder: Path, record: FileRecord) -> None:
        write_whole(folder / f"{record.id}.json", [msgspec.json.encode(record)])

    def _read(self, path: Path) -> FileRecord | None:
        try:
            return msgspec.json.decode(path.read_bytes(), type=FileRecord)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def _remove(self, path: Path) -> None:
        """The record first: without it there is no file."""
        for gone in (path.with_suffix(".json"), path):
            with contextlib.suppress(FileNotFoundError):
                gone.unlink()
        sync_folder(path.parent)
