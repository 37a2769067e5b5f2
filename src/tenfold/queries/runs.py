"""Runs: the list, and one run with its steps, timings, usage, curves, results, checks and log.

Knows the ledger's records; where a chart puts its pixels is the console's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tenfold.core.facts import Event, Metric, Run, RunStep, Usage, Verdict
from tenfold.errors import UnknownName
from tenfold.queries.past import Past

STEP_STATUSES = ("ran", "skipped", "running", "waiting", "failed", "blocked")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    id: str
    factory: str
    status: str
    started_at_s: float
    finished_at_s: float | None
    wall_s: float
    """Up to now while it runs."""
    host: str
    targets: tuple[str, ...]
    error: str | None
    counts: dict[str, int]
    """Steps by status, only those that occur."""
    joules: float
    usd: float
    red: int
    """Checks that came out red."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One asset's row in a run."""

    asset: str
    step: str
    status: str
    reason: str
    needs: tuple[str, ...]
    key: str | None
    digest: str | None
    kind: str
    num_bytes: int
    started_at_s: float | None
    finished_at_s: float | None
    wall_s: float
    done: float
    attempt: int
    error: str | None
    usage: Usage
    """Of this run: zero for a step that was skipped."""
    verdicts: tuple[Verdict, ...]
    from_run: str | None
    """The run that did the work, when it was not this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The points of one metric over training steps."""

    asset: str
    name: str
    unit: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    summary: RunSummary
    steps: tuple[StepView, ...]
    curves: tuple[Curve, ...]
    results: dict[str, tuple[Metric, ...]]
    """Scalar metrics by asset, also those of skipped steps: they are facts of the same key."""
    events: tuple[Event, ...]
    environment: dict[str, object] = field(default_factory=dict)
    """Of the newest step that ran: Python, platform, packages."""

    def metric(self, step: str, name: str) -> Metric | None:
        """The scalar `name` of the first step whose name begins with `step`, if it was recorded."""
        for view in self.steps:
            if view.step.startswith(step):
                for metric in self.results.get(view.asset, ()):
                    if metric.name == name:
                        return metric
        return None


def find_run(past: Past, run_id: str | None) -> Run:
    """The run, or the newest one for None. Raises UnknownName."""
    if run_id is not None:
        found = past.ledger.read(Run, id=run_id)
        if found:
            return found[-1]
    runs = past.runs()
    if run_id is None and runs:
        return runs[0]
    hint = None if runs else "there is no run yet: tenfold run"
    raise UnknownName("run", run_id or "latest", [run.id for run in runs], hint=hint)


def run_summaries(past: Past, now_s: float, limit: int) -> list[RunSummary]:
    return [summarise(past, run, past.steps(run.id), now_s) for run in past.runs(limit)]


def summarise(past: Past, run: Run, steps: list[RunStep], now_s: float) -> RunSummary:
    usages = [usage for step in steps if (usage := _usage(past, run, step)) is not None]
    verdicts = past.verdicts(step.key for step in steps if step.key)
    return RunSummary(
        id=run.id,
        factory=run.factory,
        status=run.status,
        started_at_s=run.started_at_s,
        finished_at_s=run.finished_at_s,
        wall_s=max(0.0, (run.finished_at_s or now_s) - run.started_at_s),
        host=run.host,
        targets=run.targets,
        error=run.error,
        counts={s: n for s in STEP_STATUSES if (n := sum(x.status == s for x in steps))},
        joules=sum(usage.joules for usage in usages),
        usd=sum(usage.usd for usage in usages),
        red=sum(v.state == "red" for found in verdicts.values() for v in found),
    )


def run_detail(past: Past, run: Run, now_s: float, *, max_events: int) -> RunDetail:
    steps = past.steps(run.id)
    keys = [step.key for step in steps if step.key]
    verdicts = past.verdicts(keys)
    views = []
    environment: dict[str, object] = {}
    for step in steps:
        result = past.result(step.key)
        end = step.finished_at_s or (now_s if step.status == "running" else None)
        wall_s = max(0.0, end - step.started_at_s) if step.started_at_s and end else 0.0
        if result is not None and result.run_id == run.id:
            environment = _flat(result.environment)
        views.append(
            StepView(
                asset=step.asset,
                step=step.step,
                status=step.status,
                reason=step.reason,
                needs=step.needs,
                key=step.key,
                digest=step.digest or (result.output.digest if result else None),
                kind=result.output.kind if result else "",
                num_bytes=result.output.num_bytes if result else 0,
                started_at_s=step.started_at_s,
                finished_at_s=step.finished_at_s,
                wall_s=wall_s,
                done=step.done,
                attempt=step.attempt,
                error=step.error,
                usage=_usage(past, run, step) or Usage(),
                verdicts=tuple(verdicts.get(step.key or "", ())),
                from_run=result.run_id if result and result.run_id != run.id else None,
            )
        )
    scalars = past.scalars(keys)
    events = past.ledger.read(Event, run_id=run.id, newest=True, limit=max_events)
    return RunDetail(
        summary=summarise(past, run, steps, now_s),
        steps=tuple(views),
        curves=tuple(curves(past, run.id, keys)),
        results={
            step.asset: tuple(scalars[step.key].values())
            for step in steps
            if step.key and step.key in scalars
        },
        events=tuple(reversed(events)),
        environment=environment,
    )


def curves(past: Past, run_id: str | None, keys: list[str]) -> list[Curve]:
    """Every metric that has steps, of a run and of the keys it met, oldest first."""
    found: dict[int, Metric] = {}
    if run_id is not None:
        found.update((m.seq, m) for m in past.ledger.read(Metric, run_id=run_id))
    if keys:
        found.update((m.seq, m) for m in past.ledger.read(Metric, key=sorted(set(keys))))
    series: dict[tuple[str, str], dict[int, Metric]] = {}
    for _, metric in sorted(found.items()):
        if metric.step is not None:  # a step repeated after a crash replaces its first record
            series.setdefault((metric.asset, metric.name), {})[metric.step] = metric
    return [
        Curve(
            asset=asset,
            name=name,
            unit=next(reversed(points.values())).unit,
            steps=tuple(sorted(points)),
            values=tuple(points[step].value for step in sorted(points)),
        )
        for (asset, name), points in series.items()
    ]


def _flat(environment: Mapping[str, object]) -> dict[str, object]:
    """Packages beside the machine's own facts, one name each."""
    found: dict[str, object] = {}
    for name, value in environment.items():
        found.update(value if isinstance(value, Mapping) else {name: value})
    return found


def _usage(past: Past, run: Run, step: RunStep) -> Usage | None:
    result = past.result(step.key)
    return result.usage if result is not None and result.run_id == run.id else None
