"""`tenfold report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.options import FACTORY_FILE, File, Json, opened
from tenfold.cli.output import emit, size


def report(
    run: Annotated[
        str | None, typer.Argument(help="A run. None: the newest.", show_default=False)
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = Path(
        "report.html"
    ),
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Write a run as one self-contained HTML file: summary, plots, checks, lineage, traffic."""
    from tenfold.console.report import write_report

    with opened(file) as factory:
        written = write_report(factory.queries, run, output)
    num_bytes = written.stat().st_size
    emit(
        {"path": str(written), "num_bytes": num_bytes},
        as_json,
        lambda screen: screen.print(f"{written} ({size(num_bytes)})", markup=False),
    )
