"""What a running step sees: drafts, metrics, progress, checkpoints, a gateway. Implements core's Context.

Curve points, log events and progress are gathered and written in batches: a step may report a thousand
numbers a second without paying for a thousand transactions.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tenfold.core.asset import Asset, Draft, Piece, view
from tenfold.core.facts import Event, Metric, Partial, RunStep
from tenfold.core.keys import canonical_json
from tenfold.core.ports import Blobs, Clock, GatewayHandle, Gateways, Ledger
from tenfold.core.progress import Progress
from tenfold.engines.lease import Interrupted
from tenfold.errors import ConfigError, UsageError

_FLUSH_S = 0.5
_FLUSH_ROWS = 256
_YOUNG_S = 600.0
"""A piece that was used this lately is not noted as used again."""


class StepContext:
    """One attempt at one asset."""

    def __init__(
        self,
        *,
        row: RunStep,
        key: str,
        seed: int,
        cpu: int,
        scratch: Mapping[str, Any],
        blobs: Blobs,
        ledger: Ledger,
        clock: Clock,
        gateways: Gateways | None,
        emit: Callable[[Progress], None],
        stopping: threading.Event,
    ) -> None:
        self.asset = row.asset
        self.run_id = row.run_id
        self.seed = seed
        self.cpu = cpu
        self.scratch = scratch
        self.results: dict[str, Metric] = {}
        """Metrics without a step, committed together with the asset."""
        self._row = row
        self._key = key
        self._blobs = blobs
        self._ledger = ledger
        self._clock = clock
        self._gateways = gateways
        self._emit = emit
        self._stopping = stopping
        self._pending: list[Any] = []
        self._flushed_at_s = clock.monotonic()
        self._folders: list[Path] = []
        self._progress: RunStep | None = None
        self._lock = threading.Lock()

    def draft(self, kind: str) -> Draft:
        folder = self._blobs.staging()
        self._folders.append(folder)
        return Draft(kind, folder)

    def metric(self, name: str, value: float, *, unit: str = "", step: int | None = None) -> None:
        metric = Metric(
            key=self._key,
            run_id=self.run_id,
            asset=self.asset,
            name=name,
            value=_number(value, f"{self.asset}.{name}"),
            unit=unit,
            step=step,
            at_s=self._clock.now(),
        )
        if step is None:
            self.results[name] = metric
        else:
            self._add(metric)

    def progress(self, done: float, total: float, note: str = "") -> None:
        share = min(max(done / total, 0.0), 1.0) if total else 0.0
        self._emit(
            Progress(
                asset=self.asset, status="running", done=share, note=note, at_s=self._clock.now()
            )
        )
        self._progress = replace(self._row, done=share)
        self._maybe_flush()

    def log(self, event: str, **fields: Any) -> None:
        self._add(
            Event(
                run_id=self.run_id,
                asset=self.asset,
                event=event,
                fields={name: _loggable(value) for name, value in fields.items()},
                at_s=self._clock.now(),
            )
        )

    def checkpoint(self, draft: Draft, step: int) -> None:
        manifest = draft.commit(self._blobs)
        self.flush()
        self._ledger.put(Partial(key=self._key, output=manifest, step=step, at_s=self._clock.now()))
        self._maybe_flush()  # a good moment to stop, if a stop was asked for

    def resume(self) -> tuple[Asset, int] | None:
        partial = self._ledger.partial(self._key)
        if partial is None or not all(
            self._blobs.has(ref) for ref in partial.output.files.values()
        ):
            return None
        return view(f"{self.asset} (checkpoint)", partial.output, self._blobs), partial.step

    def keep(self, key: str, draft: Draft) -> Asset:
        manifest = draft.commit(self._blobs)
        self._ledger.put(Partial(key=key, output=manifest, step=0, at_s=self._clock.now()))
        self._maybe_flush()
        return view(f"{self.asset} (piece)", manifest, self._blobs)

    def piece(self, key: str) -> Asset | None:
        partial = self._ledger.partial(key)
        if partial is None or partial.output.kind != Piece.kind:
            return None
        if not all(self._blobs.has(ref) for ref in partial.output.files.values()):
            return None
        now_s = self._clock.now()
        if now_s - partial.at_s > _YOUNG_S:  # or garbage collection may take it before we commit
            self._ledger.put(replace(partial, at_s=now_s))
        return view(f"{self.asset} (piece)", partial.output, self._blobs)

    def gateway(
        self, model: Asset, *, tiers: Sequence[str] = ()
    ) -> AbstractContextManager[GatewayHandle]:
        if self._gateways is None:
            raise UsageError("this engine has no gateways to offer", where=self.asset)
        return self._gateways(model, tiers=tiers, source=f"{self.run_id}/{self.asset}")

    def flush(self) -> None:
        with self._lock:
            pending, self._pending = self._pending, []
            progress, self._progress = self._progress, None
            self._flushed_at_s = self._clock.monotonic()
        self._ledger.append(pending)
        if progress is not None:
            self._ledger.put(progress)

    def clean(self) -> None:
        """Remove staging folders, whatever became of the step."""
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _add(self, fact: Any) -> None:
        with self._lock:
            self._pending.append(fact)
        self._maybe_flush()

    def _maybe_flush(self) -> None:
        if self._stopping.is_set():
            raise Interrupted
        late = self._clock.monotonic() - self._flushed_at_s > _FLUSH_S
        if late or len(self._pending) >= _FLUSH_ROWS:
            self.flush()


def _number(value: Any, where: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ConfigError("a metric must be a number", where=where, seen=value) from None


def _loggable(value: Any) -> Any:
    """As JSON can say it. A log line never fails a step, whatever is put into it."""
    try:
        canonical_json(value)
        return value
    except ConfigError:
        return repr(value)
