"""The records of batches: what was asked, how far it is, what came of it.

Who runs a batch is the only one to write its record; whoever wants it cancelled leaves a note beside it. So no
two processes ever write the same file. Knows folders and no HTTP but refusals. Blocking: call it off the event
loop.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tenfold.serve.batch.durable import private_folder, sync_folder, write_whole
from tenfold.serve.batch.files import LEFTOVER_S, FileRecord
from tenfold.serve.batch.home import Home, is_id, new_id
from tenfold.serve.refusal import Refusal, loggable

ENDPOINTS = ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses")
WINDOW = "24h"
WINDOW_S = 24 * 3600.0
MAX_OPEN = 100
"""Batches of one tenant that have not ended."""
MAX_BATCHES = 10_000
"""Of one tenant. A list is made by reading every record."""
ENDED = frozenset({"failed", "completed", "expired", "cancelled"})


class LineFault(msgspec.Struct, frozen=True):
    """Why a batch cannot begin."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None

    def shown(self) -> dict[str, Any]:
        return {
            "code": self.code, "line": self.line, "message": self.message, "param": self.param,
        }  # fmt: skip


class BatchRecord(msgspec.Struct):
    id: str
    tenant: str
    key_name: str
    """The key that made it: its limits, budget and models hold for every line."""
    endpoint: str
    input_file_id: str
    created_at_s: float
    expires_at_s: float
    """When the completion window closes."""
    keep_s: float
    """How long what it writes is kept."""
    output_id: str
    error_id: str
    """Ids of what it writes, chosen beforehand so that doing it again makes no second file."""
    metadata: dict[str, str] | None = None
    status: str = "validating"
    model: str | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    errors: list[LineFault] = []
    at_s: dict[str, float] = {}
    """Status -> when it came to it."""
    has_output: bool = False
    has_errors: bool = False
    ends_as: str = ""
    """The status it will have once it is finalized."""
    cancelling_at_s: float | None = None

    def shown(self) -> dict[str, Any]:
        """As OpenAI's clients expect it."""
        ended = self.status in ENDED
        status = self.status
        if self.cancelling_at_s is not None and not ended:
            status = "cancelling"
        at = {name: int(second) for name, second in self.at_s.items()}
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "model": self.model,
            "errors": (
                {"object": "list", "data": [fault.shown() for fault in self.errors]}
                if self.errors
                else None
            ),
            "input_file_id": self.input_file_id,
            "completion_window": WINDOW,
            "status": status,
            "output_file_id": self.output_id if ended and self.has_output else None,
            "error_file_id": self.error_id if ended and self.has_errors else None,
            "created_at": int(self.created_at_s),
            "in_progress_at": at.get("in_progress"),
            "expires_at": int(self.expires_at_s),
            "finalizing_at": at.get("finalizing"),
            "completed_at": at.get("completed"),
            "failed_at": at.get("failed"),
            "expired_at": at.get("expired"),
            "cancelling_at": (
                None if self.cancelling_at_s is None else int(self.cancelling_at_s)
            ),
            "cancelled_at": at.get("cancelled"),
            "request_counts": {
                "total": self.total, "completed": self.completed, "failed": self.failed,
            },
            "metadata": self.metadata,
        }  # fmt: skip


class Batches:
    def __init__(self, home: Home, *, keep_s: float, now: Callable[[], float] = time.time) -> None:
        self.home = home
        self._keep_s = keep_s
        self._now = now

    def create(
        self,
        source: FileRecord,
        source_path: Path,
        key_name: str,
        endpoint: str,
        metadata: dict[str, str] | None,
        keep_s: float,
    ) -> BatchRecord:
        """Raises Refusal: 404 where the file went meanwhile, 429 with too many batches."""
        tenant, now_s = source.tenant, self._now()
        folder = private_folder(self.home.of_tenant(tenant) / "batches")
        record = BatchRecord(
            new_id("batch_"),
            tenant,
            key_name,
            endpoint,
            source.id,
            now_s,
            now_s + WINDOW_S,
            keep_s,
            new_id("file-"),
            new_id("file-"),
            metadata,
        )
        with self.home.alone(folder.parent):
            own = sum(place == folder.parent for _, place in self.home.announced())
            if own >= MAX_OPEN:
                raise Refusal(
                    429,
                    f"This organization has {own} batches that have not ended; wait for some.",
                    code="too_many_batches",
                )
            if sum(name.endswith(".json") for name in os.listdir(folder)) >= MAX_BATCHES:
                raise Refusal(
                    429,
                    f"This organization made {MAX_BATCHES:,} batches within "
                    f"{self._keep_s / 86_400:g} days.",
                    code="too_many_batches",
                )
            # By a name of its own, so that deleting the file does not end the batch.
            try:
                os.link(source_path, folder / f"{record.id}.in")
            except FileNotFoundError:
                raise Refusal(404, f"No such File object: {source.id}", code="not_found") from None
            self.home.announce(record.id, folder.parent)
            self.save(record)
        return record

    def get(self, tenant: str, id: str) -> BatchRecord:
        """Raises Refusal (404), also for what is another tenant's."""
        if is_id(id, "batch_"):
            record = self.read(self.home.of_tenant(tenant), id)
            if record is not None and record.tenant == tenant:
                return record
        raise Refusal(404, f"No such Batch object: {loggable(id)}", code="not_found", param="id")

    def read(self, tenant_folder: Path, id: str) -> BatchRecord | None:
        """With the wish to cancel it, where there is one. None: no such batch."""
        path = tenant_folder / "batches" / f"{id}.json"
        try:
            record = msgspec.json.decode(path.read_bytes(), type=BatchRecord)
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        if record.cancelling_at_s is None and record.status not in ENDED:
            with contextlib.suppress(FileNotFoundError, ValueError):
                record.cancelling_at_s = float(path.with_suffix(".cancel").read_text())
        return record

    def all(self, tenant: str) -> list[BatchRecord]:
        """The newest first."""
        place = self.home.of_tenant(tenant)
        folder = private_folder(place / "batches")
        names = [name[:-5] for name in os.listdir(folder) if name.endswith(".json")]
        found = [record for name in names if (record := self.read(place, name)) is not None]
        return sorted(found, key=lambda record: (record.created_at_s, record.id), reverse=True)

    def cancel(self, tenant: str, id: str) -> BatchRecord:
        """Ask whoever runs it to end it. Raises Refusal: 404, 400 when it has ended."""
        record = self.get(tenant, id)
        if record.status in ENDED:
            raise Refusal(
                400,
                f"Cannot cancel a batch with status '{record.status}'.",
                code="invalid_request",
            )
        if record.cancelling_at_s is None:
            record.cancelling_at_s = self._now()
            write_whole(self.path(record, ".cancel"), [str(record.cancelling_at_s).encode()])
        return record

    def save(self, record: BatchRecord, *, sync: bool = True) -> None:
        """For who has the claim. Without `sync` it survives the process, not the machine."""
        write_whole(self.path(record, ".json"), [msgspec.json.encode(record)], sync=sync)

    def path(self, record: BatchRecord, suffix: str) -> Path:
        return self.home.of_tenant(record.tenant) / "batches" / (record.id + suffix)

    def clear(self, record: BatchRecord) -> None:
        """Remove what a batch needed on its way."""
        for suffix in (".in", ".out", ".err", ".cancel"):
            with contextlib.suppress(FileNotFoundError):
                self.path(record, suffix).unlink()
        sync_folder(self.path(record, "").parent)

    def sweep(self) -> None:
        """Forget batches that ended long ago, and what was left by something that broke off."""
        now_s = self._now()
        for tenant in self.home.all_tenants():
            folder = private_folder(tenant / "batches")
            for name in os.listdir(folder):
                path = folder / name
                with contextlib.suppress(FileNotFoundError):
                    if name.endswith(".json"):
                        record = self.read(tenant, path.stem)
                        if record is None or record.status not in ENDED:
                            continue
                        if now_s - record.at_s.get(record.status, now_s) > self._keep_s:
                            path.unlink()
                    elif (
                        not path.with_suffix(".json").exists()
                        and time.time() - path.stat().st_mtime > LEFTOVER_S
                    ):
                        path.unlink()
