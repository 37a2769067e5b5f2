"""How the figures of a report came about: what was measured, what was modelled, on which machine."""

from __future__ import annotations

from collections.abc import Iterator

from tenfold.console import figures
from tenfold.queries import Queries
from tenfold.queries.runs import RunDetail

ENERGY = {
    "rapl": "read from the processor's own counters (RAPL): package energy, measured",
    "nvml": "read from the graphics card's own counters (NVML), measured",
    "cpu-time-model": "modelled from CPU time and the watts per busy and idle core that the factory"
    " file states; not measured",
    "none": "not metered",
}


def methods(queries: Queries, detail: RunDetail) -> list[tuple[str, str]]:
    """(what, how) pairs."""
    return list(_methods(queries, detail))


def _methods(queries: Queries, detail: RunDetail) -> Iterator[tuple[str, str]]:
    run = detail.summary
    yield "Run", f"{run.id} of factory {run.factory}, started {figures.moment(run.started_at_s)}"
    machine = ", ".join(f"{name} {value}" for name, value in detail.environment.items())
    host = run.host or "a host that gave no name"
    yield "Machine", host + (f": {machine}" if machine else "")
    skipped = [step for step in detail.steps if step.from_run]
    if skipped:
        runs = ", ".join(sorted({step.from_run for step in skipped if step.from_run}))
        yield (
            "Unchanged steps",
            f"{len(skipped)} of {len(detail.steps)} were not repeated: their figures are those of"
            f" the run that made them ({runs})",
        )
    yield "Time", "wall-clock seconds from the start to the end of each step"
    used = {step.usage.energy_method: step.usage for step in detail.steps if step.usage.joules}
    for method, usage in sorted(used.items()):
        spread = figures.share(usage.energy_uncertainty)
        yield (
            "Energy",
            f"{method}: {ENERGY.get(method, 'as the meter says')}; ± {spread} (one sigma)",
        )
    if any(step.usage.usd for step in detail.steps):
        yield "Cost", "energy and machine time at the tariff of the factory file, in US dollars"
    if detail.metric("evaluate.language", "bits_per_byte"):
        yield (
            "Bits per byte",
            "negative log-likelihood of held-out documents in base 2 over their bytes in UTF-8, so"
            " that models with different vocabularies compare; 95 % bootstrap interval over"
            " documents where one is shown",
        )
    if detail.metric("plan.replay", "requests_per_s.on"):
        yield (
            "Serving",
            "one stream of requests with a stated popularity law, sent twice to a real gateway in a"
            " process of its own: without tiers, then with them; percentiles are nearest-rank",
        )
    yield "Report", f"written {figures.moment(queries.now_s())} from the ledger"
