"""The report: one run as one HTML file that needs nothing else, to be sent, archived or printed.

Style, drawings and the little script travel inside it; it opens from a disk, without a network and
without this package. It shows what was recorded and says how; what was not recorded is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from tenfold.console.pages import environment, text_of
from tenfold.console.report.methods import methods
from tenfold.console.report.plots import Plot, plots
from tenfold.console.report.tiles import tiles
from tenfold.console.views.drawing import run_drawing
from tenfold.console.views.run import run_gantt
from tenfold.errors import UsageError
from tenfold.queries import Queries
from tenfold.queries.lineage import DataCount
from tenfold.queries.runs import RunDetail
from tenfold.queries.summary import sections
from tenfold.queries.traffic import Traffic

BUCKET_S = 86_400.0
"""Of no matter: only the sums are shown."""
STYLES = ("tokens.css", "charts.css", "report.css")
SCRIPTS = ("theme.js", "charts.js")


def write_report(queries: Queries, run_id: str | None, path: Path | str) -> Path:
    """Write the run (the newest for None) to `path` and return it. Raises UnknownName, UsageError."""
    target, html = Path(path), render(queries, run_id)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write the report: {error.strerror}", where=str(target)) from None
    return target


def render(queries: Queries, run_id: str | None = None) -> str:
    """The report as HTML. Raises UnknownName."""
    detail = queries.run(run_id, max_events=0)
    template = environment("").get_template("report.html")
    return template.render(**_context(queries, detail))


def _context(queries: Queries, detail: RunDetail) -> dict[str, Any]:
    run = detail.summary
    return {
        "run": run,
        "detail": detail,
        "tiles": tiles(detail),
        "sections": sections(queries.summary(run.id)),
        "plots": plots(detail),
        "gantt": Plot("When each step ran", run_gantt(detail, None), "wall-clock time of this run"),
        "drawing": run_drawing(detail),
        "verdicts": [v for step in detail.steps for v in step.verdicts],
        "data": _data(queries, detail),
        "rehearsals": _rehearsals(queries, detail),
        "methods": methods(queries, detail),
        "style": Markup("\n".join(text_of(name) for name in STYLES)),
        "script": Markup("\n".join(text_of(name) for name in SCRIPTS)),
        "mark": Markup(text_of("favicon.svg")),
    }


def _rehearsals(queries: Queries, detail: RunDetail) -> list[tuple[str, Traffic]]:
    """(asset, traffic) of the steps that sent requests; `RUN/ASSET` is what their events are filed under."""
    found = []
    for step in detail.steps:
        source = f"{step.from_run or detail.summary.id}/{step.asset}"
        traffic = queries.traffic(0.0, BUCKET_S, source, num_recent=0)
        if traffic.total.requests:
            found.append((step.asset, traffic))
    return found


def _data(queries: Queries, detail: RunDetail) -> tuple[DataCount, ...]:
    """Of all corpora on the way to the last thing the run made or met."""
    for step in reversed(detail.steps):
        if step.digest and step.kind in ("model", "corpus"):
            found = queries.lineage(step.digest).data
            if found:
                return found
    return ()
