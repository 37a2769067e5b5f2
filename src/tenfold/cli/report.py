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
    asset: Annotated[
        str | None,
        typer.Option(
            help="Instead of a run: an asset of data.measure or data.diff.", show_default=False
        ),
    ] = None,
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Write a run, or the gauges of a snapshot, as one self-contained HTML file."""
    from tenfold.console.report import write_report
    from tenfold.console.report.gauges import write_gauges
    from tenfold.errors import UsageError

    if run is not None and asset is not None:
        raise UsageError("a run or an asset, not both", seen=f"{run} and {asset}")
    with opened(file) as factory:
        if asset is not None:
            written = write_gauges(factory.queries, factory.asset, asset, output)
        else:
            written = write_report(factory.queries, run, output)
    num_bytes = written.stat().st_size
    emit(
        {"path": str(written), "num_bytes": num_bytes},
        as_json,
        lambda screen: screen.print(f"{written} ({size(num_bytes)})", markup=False),
    )
