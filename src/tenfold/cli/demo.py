"""`tenfold demo`: the laptop factory that comes with the package, run here for real."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenfold.cli.live import watching
from tenfold.cli.options import Json, Sets, opened
from tenfold.cli.output import emit, quantity, table
from tenfold.cli.stopping import stopping

if TYPE_CHECKING:
    from rich.console import Console

    from tenfold.factory import RunOutcome
    from tenfold.queries.summary import SummaryRow

REPORT = "report.html"


def demo(
    folder: Annotated[Path, typer.Argument(help="Where it lives and keeps what it makes.")] = Path(
        "tenfold-demo"
    ),
    sets: Sets = None,
    as_json: Json = False,
) -> int:
    """Collect, curate, train, evaluate, compress, check, release and serve a small model on this machine.

    Nothing is downloaded. Interrupt it at any time: run again, it goes on. A second run changes nothing.
    """
    from tenfold.console.report import write_report

    file = _copied(folder)
    with opened(file, sets) as factory:
        with stopping(), watching(as_json) as watch:
            outcome = factory.run(on_event=watch)
        rows = factory.queries.summary(outcome.run_id)
        report = folder / REPORT
        if not outcome.unchanged or not report.exists():
            write_report(factory.queries, outcome.run_id, report)
    document = {"outcome": outcome.to_dict(), "summary": rows, "report": str(report)}
    emit(document, as_json, lambda screen: _render(screen, outcome, rows, folder, report))
    return 0 if outcome.ok else 1


def _copied(folder: Path) -> Path:
    """The factory file in `folder`; one that is there already, perhaps changed by its user, is kept."""
    from tenfold.factory import demo_factory_path

    target = folder / "factory.yaml"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(demo_factory_path(), target)
    return target


def _render(
    screen: Console, outcome: RunOutcome, rows: list[SummaryRow], folder: Path, report: Path
) -> None:
    from tenfold.cli.runs import render_outcome

    render_outcome(screen, outcome)
    if outcome.ok and not outcome.unchanged:
        screen.print("", summary_table(rows))
    if not outcome.ok:
        return
    screen.print(
        f"\nreport   {report}\n"
        f"serve    cd {folder} && tenfold serve      (API under /v1, console under /console)\n"
        f"try      tenfold plan -f {folder} --set assets.base.config.steps=100\n"
        f"         tenfold show -f {folder} model@champion",
        markup=False,
    )


def summary_table(rows: list[SummaryRow]) -> object:
    """section, figure and value of a run."""
    shown = table("", "figure", "value", right=["value"])
    section = ""
    for row in rows:
        shown.add_row(
            row.section if row.section != section else "", row.label, quantity(row.value, row.unit)
        )
        section = row.section
    return shown
