"""One attempt at one asset: lease, key, step, commit. The same on every engine.

Order of commit: every blob is on disk under its final name before the one ledger transaction that makes
the asset exist. A crash at any moment leaves either the whole asset or none of it, and repeats at most
this one step. What a step raises passes through one boundary that says which step, which attempt and
which inputs, and keeps the traceback in the log.
"""

from __future__ import annotations

import contextlib
import errno
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tenfold.core.asset import Asset, Draft, Report, view
from tenfold.core.facts import Event, Metric, RunStep, StepResult, Usage, Verdict
from tenfold.core.graph import Node
from tenfold.core.plan import node_key
from tenfold.core.ports import Blobs, Clock, Gateways, Ledger, Meter
from tenfold.core.progress import Progress
from tenfold.engines.context import StepContext
from tenfold.engines.environment import environment
from tenfold.engines.lease import Interrupted, Leases
from tenfold.errors import LedgerError, StepFailed, StoreError, StoreFull, TenfoldError, UsageError

Judge = Callable[[Node, str, str, Mapping[str, float]], list[Verdict]]


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """Everything an attempt needs of the run it belongs to."""

    factory: str
    run_id: str
    ledger: Ledger
    blobs: Blobs
    clock: Clock
    meter: Meter
    leases: Leases
    gateways: Gateways | None
    scratch: Mapping[str, Any]
    cpu: int
    strict_environment: bool
    forced: frozenset[str]
    observed: Callable[[Node], Any]
    judge: Judge
    source_of: Callable[[Node], str]
    emit: Callable[[Progress], None]
    stopping: threading.Event

    def __call__(self, node: Node, inputs: Sequence[tuple[str, str]]) -> RunStep:
        """Make the asset, or find it made. Never raises for a fault of the step: that is a RunStep too."""
        observed = self.observed(node)
        key = node_key(node, inputs, observed, environment() if self.strict_environment else None)
        row = RunStep(
            run_id=self.run_id,
            asset=node.name,
            step=node.step.name,
            needs=node.needs,
            status="running",
            key=key,
            started_at_s=self.clock.now(),
        )
        with self.leases.hold(key, lambda holder: self._waiting(node, holder), self.stopping):
            result = self.ledger.result(key)
            if result is not None and node.name not in self.forced and self._intact(result):
                return self._finish(
                    row, status="skipped", digest=result.output.digest, reason="unchanged", done=1.0
                )
            for attempt in range(1, node.retries + 2):
                row = replace(row, attempt=attempt)
                self.ledger.put(row)
                self._tell(row, "")
                try:
                    return self._make(node, inputs, observed, row)
                except (Interrupted, KeyboardInterrupt):
                    self._finish(row, status="failed", error="interrupted")
                    raise
                except (StoreError, LedgerError):
                    raise  # not the step's fault, and the next step would meet it too
                except Exception as error:
                    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                        raise StoreFull(
                            "the disk is full",
                            where=error.filename or node.name,
                            hint="free some space and run again; what was made before is intact",
                        ) from error
                    final = attempt > node.retries or isinstance(error, UsageError)
                    failed = self._failed(node, inputs, row, error, final)
                    if final:
                        return failed
            raise AssertionError("unreachable: the last attempt returns or raises")

    def _make(
        self, node: Node, inputs: Sequence[tuple[str, str]], observed: Any, row: RunStep
    ) -> RunStep:
        assert row.key is not None
        seed = node.seed if node.seed is not None else int(row.key[:8], 16)
        ctx = StepContext(
            row=row,
            key=row.key,
            seed=seed,
            cpu=min(node.resources.cpu, self.cpu),
            scratch=self.scratch,
            blobs=self.blobs,
            ledger=self.ledger,
            clock=self.clock,
            gateways=self.gateways,
            emit=self.emit,
            stopping=self.stopping,
        )
        stop = self.meter.start()
        try:
            assets = [self._asset(name, digest) for name, digest in inputs]
            made = _draft_of(node.step.invoke(assets, ctx, node.config), ctx)
            if Asset.kind not in (node.step.output, made.kind) and made.kind != node.step.output:
                raise StepFailed(
                    f"the step says it makes a {node.step.output} but made a {made.kind}",
                    where=node.name,
                )
            manifest = made.commit(self.blobs)
            ctx.flush()
            usage = stop()
            now_s = self.clock.now()
            metrics = [*ctx.results.values(), *_usage_metrics(usage, row, now_s)]
            values = {metric.name: metric.value for metric in metrics}
            result = StepResult(
                key=row.key,
                factory=self.factory,
                asset=node.name,
                step=node.step.name,
                version=node.step.version,
                config=node.identity,
                inputs=tuple(inputs),
                output=manifest,
                run_id=self.run_id,
                finished_at_s=now_s,
                usage=usage,
                source_sha256=self.source_of(node),
                environment=environment(),
                observed=observed,
            )
            finished = replace(
                row, status="ran", digest=manifest.digest, finished_at_s=now_s, done=1.0
            )
            verdicts = self.judge(node, row.key, self.run_id, values)
            self.ledger.commit(result, metrics, verdicts, finished)
            self._tell(finished, "")
            return finished
        except Exception:
            with contextlib.suppress(Exception):  # what it said before it failed matters most
                ctx.flush()
            raise
        finally:
            stop()
            ctx.clean()

    def _asset(self, name: str, digest: str) -> Asset:
        manifest = self.ledger.manifest(digest)
        if manifest is None:
            raise StepFailed(f"the input {name} ({digest[:12]}) is not in the ledger")
        return view(name, manifest, self.blobs)

    def _intact(self, result: StepResult) -> bool:
        return all(self.blobs.has(ref) for ref in result.output.files.values())

    def _failed(
        self,
        node: Node,
        inputs: Sequence[tuple[str, str]],
        row: RunStep,
        error: Exception,
        final: bool,
    ) -> RunStep:
        explained = _explain(node, row, inputs, error)
        self.ledger.append(
            [
                Event(
                    run_id=self.run_id,
                    asset=node.name,
                    event="step.failed",
                    level="error",
                    at_s=self.clock.now(),
                    fields={
                        "attempt": row.attempt,
                        "message": explained,
                        "traceback": _readable("".join(traceback.format_exception(error))),
                    },
                )
            ]
        )
        return self._finish(row, status="failed" if final else "waiting", error=explained)

    def _finish(self, row: RunStep, **changes: Any) -> RunStep:
        finished = replace(row, finished_at_s=self.clock.now(), **changes)
        self.ledger.put(finished)
        self._tell(finished, finished.error or finished.reason)
        return finished

    def _waiting(self, node: Node, holder: str) -> None:
        self.emit(
            Progress(
                asset=node.name,
                status="waiting",
                note=f"{holder} is making it",
                at_s=self.clock.now(),
            )
        )

    def _tell(self, row: RunStep, reason: str) -> None:
        self.emit(
            Progress(
                asset=row.asset,
                status=row.status,
                done=row.done,
                reason=reason,
                at_s=self.clock.now(),
            )
        )


def _draft_of(value: Any, ctx: StepContext) -> Draft:
    """A step may return a draft, or a mapping, which becomes a report."""
    if isinstance(value, Draft):
        return value
    if isinstance(value, Mapping):
        draft = ctx.draft(Report.kind)
        draft.write_json(Report.FILE, value)
        return draft
    raise StepFailed(
        "a step must return a draft (ctx.draft(kind), Table.write(rows)) or a mapping",
        where=ctx.asset,
        seen=type(value).__name__,
    )


def _explain(node: Node, row: RunStep, inputs: Sequence[tuple[str, str]], error: Exception) -> str:
    given = ", ".join(f"{name} {digest[:12]}" for name, digest in inputs) or "nothing"
    said = (
        str(error)
        if isinstance(error, TenfoldError)
        else f"{type(error).__name__}: {error}\n  hint: the traceback is in the log:"
        f" tenfold show {row.run_id}"
    )
    return _readable(
        f"{node.name} ({node.step.name} {node.step.version}, attempt {row.attempt}, from {given}): {said}"
    )


def _readable(text: str) -> str:
    """Bytes of a file name that are not UTF-8 reach messages as lone surrogates: spell them out."""
    return text.encode(errors="backslashreplace").decode()


def _usage_metrics(usage: Usage, row: RunStep, at_s: float) -> list[Metric]:
    """Time, memory, energy and money of every step, under names of their own."""
    values = {
        "step.wall_s": (usage.wall_s, "s"),
        "step.cpu_s": (usage.cpu_s, "s"),
        "step.peak_rss_bytes": (float(usage.peak_rss_bytes), "bytes"),
        "step.joules": (usage.joules, "J"),
        "step.usd": (usage.usd, "USD"),
        "step.gco2e": (usage.gco2e, "gCO2e"),
    }
    return [
        Metric(
            key=row.key or "",
            run_id=row.run_id,
            asset=row.asset,
            name=name,
            value=value,
            unit=unit,
            at_s=at_s,
        )
        for name, (value, unit) in values.items()
    ]
