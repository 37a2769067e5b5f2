"""Running a plan: settle what is unchanged, let the engine make the rest, keep the books.

Knows the order of the books (a run, its steps, its verdicts), not how an asset is made.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from tenfold import settings
from tenfold.core.facts import Run, RunStep, Verdict
from tenfold.core.graph import Graph, Node
from tenfold.core.plan import Plan
from tenfold.core.ports import Blobs, Clock, Gateways, Ledger, Meter
from tenfold.core.progress import Progress
from tenfold.engines.attempt import Attempts
from tenfold.engines.lease import Leases, process_alive
from tenfold.engines.local import LocalEngine
from tenfold.errors import InfrastructureError
from tenfold.factory.catalogue import source_sha256
from tenfold.factory.judging import Judging
from tenfold.factory.past import Past


@dataclass(frozen=True, kw_only=True)
class Builder:
    """What every run of a factory shares."""

    factory: str
    directory: Path
    graph: Graph
    ledger: Ledger
    blobs: Blobs
    clock: Clock
    meter: Meter
    gateways: Gateways | None
    subject_key: Path | None
    judging: Judging
    cpu: int
    strict_environment: bool

    def build(
        self,
        plan: Plan,
        past: Past,
        targets: Sequence[str],
        *,
        force: Sequence[str] = (),
        keep_going: bool = False,
        emit: Callable[[Progress], None],
    ) -> tuple[Run, dict[str, RunStep]]:
        """Carry out a plan. The run is on record from its first moment; a fault ends it as `failed`."""
        self.close_abandoned()
        run = self._open_run(targets)
        settled = self._settled(plan, run, emit)
        verdicts = self._verdicts_of(settled, run)
        if len(settled) == len(plan.steps):
            finished = replace(run, status="succeeded", finished_at_s=self.clock.now())
            self.ledger.put(finished, *settled.values())
            self.ledger.append(verdicts)
            return finished, settled
        waiting = [
            RunStep(
                run_id=run.id,
                asset=s.asset,
                step=s.step,
                needs=s.needs,
                status="waiting",
                reason=s.reason,
            )
            for s in plan.steps
            if s.asset not in settled
        ]
        try:
            self.ledger.put(run, *settled.values(), *waiting)
            self.ledger.append(verdicts)
            done = self._execute(plan, past, run, settled, frozenset(force), keep_going, emit)
        except BaseException as error:
            interrupted = not isinstance(error, Exception)
            with contextlib.suppress(InfrastructureError):  # what failed may be the ledger itself
                self._close_run(
                    run,
                    "interrupted" if interrupted else "failed",
                    "interrupted" if interrupted else str(error),
                )
            raise
        failed = [row.asset for row in done.values() if row.status == "failed"]
        status = "failed" if failed else "succeeded"
        return self._close_run(
            run, status, f"failed: {', '.join(failed)}" if failed else None
        ), done

    def close_abandoned(self) -> None:
        """Runs whose process died without a word become `interrupted`."""
        host = socket.gethostname()
        for run in self.ledger.read(Run, status="running", host=host):
            if not process_alive(run.pid):
                self._close_run(run, "interrupted", "its process died")

    def _open_run(self, targets: Sequence[str]) -> Run:
        now_s = self.clock.now()
        stamp = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%d-%H%M%S")
        return Run(
            id=f"{stamp}-{secrets.token_hex(3)}",
            factory=self.factory,
            status="running",
            started_at_s=now_s,
            host=socket.gethostname(),
            pid=os.getpid(),
            targets=tuple(targets),
        )

    def _close_run(self, run: Run, status: str, error: str | None) -> Run:
        closed = replace(run, status=status, error=error, finished_at_s=self.clock.now())
        stopped = [
            replace(row, status="failed", error=error, finished_at_s=closed.finished_at_s)
            for row in self.ledger.read(RunStep, run_id=run.id, status="running")
        ]
        unmet = [
            replace(row, status="blocked", reason=f"not started: the run was {status}")
            for row in self.ledger.read(RunStep, run_id=run.id, status="waiting")
        ]
        self.ledger.put(closed, *stopped, *unmet)
        return closed

    def _settled(
        self, plan: Plan, run: Run, emit: Callable[[Progress], None]
    ) -> dict[str, RunStep]:
        """What the plan decides by itself: unchanged and blocked assets."""
        rows = {}
        now_s = self.clock.now()
        for step in plan.steps:
            if step.action not in ("skip", "blocked"):
                continue
            skipped = step.action == "skip"
            rows[step.asset] = RunStep(
                run_id=run.id,
                asset=step.asset,
                step=step.step,
                needs=step.needs,
                status="skipped" if skipped else "blocked",
                reason=step.reason,
                key=step.key,
                digest=step.digest,
                done=1.0 if skipped else 0.0,
                finished_at_s=now_s,
            )
            emit(
                Progress(
                    asset=step.asset,
                    status=rows[step.asset].status,
                    done=rows[step.asset].done,
                    reason=step.reason,
                    at_s=now_s,
                )
            )
        return rows

    def _verdicts_of(self, rows: Mapping[str, RunStep], run: Run) -> list[Verdict]:
        """Verdicts of unchanged assets that came out differently than last time: a rule has changed."""
        found = []
        for name, row in rows.items():
            node = self.graph.nodes[name]
            if row.key is None or not node.checks:
                continue
            before = {v.rule: v.state for v in self.ledger.read(Verdict, key=row.key)}
            found += [
                verdict
                for verdict in self.judging.verdicts(node, row.key, run.id)
                if before.get(verdict.rule) != verdict.state
            ]
        return found

    def _execute(
        self,
        plan: Plan,
        past: Past,
        run: Run,
        settled: dict[str, RunStep],
        force: frozenset[str],
        keep_going: bool,
        emit: Callable[[Progress], None],
    ) -> dict[str, RunStep]:
        settings.share_cores()
        stopping = threading.Event()
        attempts = Attempts(
            factory=self.factory,
            run_id=run.id,
            ledger=self.ledger,
            blobs=self.blobs,
            clock=self.clock,
            meter=self.meter,
            leases=Leases(self.ledger, self.clock),
            gateways=self.gateways,
            scratch={
                "factory": self.factory,
                "directory": self.directory,
                "subject_key": self.subject_key,
            },
            cpu=self.cpu,
            strict_environment=self.strict_environment,
            forced=force,
            observed=past.observed,
            judge=self.judging.verdicts,
            source_of=lambda node: source_sha256(node.step),
            emit=emit,
            stopping=stopping,
        )

        def block(node: Node, reason: str) -> RunStep:
            row = RunStep(
                run_id=run.id,
                asset=node.name,
                step=node.step.name,
                needs=node.needs,
                status="blocked",
                reason=reason,
                finished_at_s=self.clock.now(),
            )
            self.ledger.put(row)
            emit(Progress(asset=node.name, status="blocked", reason=reason))
            return row

        return LocalEngine(self.cpu, stopping).execute(
            self.graph,
            [step.asset for step in plan.steps],
            attempts,
            settled=settled,
            block=block,
            veto=past.veto,
            keep_going=keep_going,
        )
