"""`tenfold demo`: the laptop factory that comes with the package, run here for real."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tenfold.cli.live import watching
from tenfold.cli.options import Json, Sets, opened
from tenfold.cli.output import command_line, emit
from tenfold.cli.stopping import stopping
from tenfold.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

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
    try:
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(demo_factory_path(), target)
    except OSError as error:
        raise UsageError(
            f"cannot write: {error.strerror}", where=str(target), hint="name another folder"
        ) from None
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
    command = command_line()
    here = shlex.quote(str(folder))
    screen.print(
        f"\nreport   {report}\n"
        f"serve    {command} serve -f {here}\n"
        f"         OpenAI's API under http://127.0.0.1:8080/v1, the console under /console\n"
        f"try      {command} show -f {here} model@champion\n"
        f"         {command} plan -f {here} --set assets.base.config.steps=100",
        markup=False,
        soft_wrap=True,
    )


def summary_table(rows: list[SummaryRow]) -> Table:
    """The figures of a run, as narrow as they are; what was compared stands side by side."""
    from rich.markup import escape
    from rich.table import Table

    from tenfold.console.figures import figure
    from tenfold.queries.summary import sections

    blocks = sections(rows)
    shown = Table.grid(padding=(0, 3, 0, 0))
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(no_wrap=True)
    for _ in range(max((len(block.columns) for block in blocks), default=0) or 1):
        shown.add_column(justify="right", no_wrap=True)
    for number, block in enumerate(blocks):
        if number:
            shown.add_row()
        name = block.name
        if block.columns:
            shown.add_row(name, "", *(f"[dim]{column}[/]" for column in block.columns))
            name = ""
        for line in block.lines:
            cells = (line.cells.get(column) for column in block.columns or ("",))
            shown.add_row(
                name, escape(line.label), *(figure(c.value, c.unit) if c else "" for c in cells)
            )
            name = ""
    return shown
