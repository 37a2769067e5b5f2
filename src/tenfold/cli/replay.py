"""`tenfold replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from tenfold.cli.options import FACTORY_FILE, File, Json, opened
from tenfold.cli.output import emit, mark, quantity, table


def replay(
    trace: Annotated[
        Path | None,
        typer.Argument(
            help="A JSON Lines file of requests. None: the trace of the newest rehearsal.",
            show_default=False,
        ),
    ] = None,
    url: Annotated[str, typer.Option(help="The gateway.")] = "http://127.0.0.1:8080",
    key: Annotated[str, typer.Option(help="A key that opens it.", envvar="TENFOLD_KEY")] = "",
    model: Annotated[
        str, typer.Option(help="The model to ask for. Left out: what it serves.")
    ] = "",
    concurrency: Annotated[
        int, typer.Option(min=1, max=1024, help="Requests under way at once.")
    ] = 8,
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> int:
    """Send a stream of requests through a running gateway and sum up what came back."""
    with opened(file) as factory:
        found = factory.replay(trace, url=url, key=key, model=model, concurrency=concurrency)

    def render(screen: object) -> None:
        rows = table("figure", "value", right=["value"])
        for name, (value, unit) in found.figures.items():
            rows.add_row(name, quantity(value, unit))
        screen.print(rows)  # type: ignore[attr-defined]
        for kind, count in found.error_kinds.items():
            screen.print(f"{mark('failed')}  {count} × {escape(kind)}")  # type: ignore[attr-defined]

    emit(found, as_json, render)
    return 1 if found.errors else 0
