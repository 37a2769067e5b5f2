"""`tenfold watch`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tenfold.cli.live import watching
from tenfold.cli.options import FACTORY_FILE, File, Json, opened
from tenfold.cli.output import console, emit
from tenfold.core.triggers import Due


def watch(
    once: Annotated[
        bool, typer.Option("--once", help="One look, for cron and other schedulers.")
    ] = False,
    every_s: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 30.0,
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Make assets again when a trigger of the file calls for it: time, new data, drift, a red check.

    With --json and without --once, one JSON document per trigger that fires, each on its own line.
    """

    def tell(due: Due) -> None:
        if not as_json:
            rebuild = ", ".join(due.trigger.rebuild)
            console().print(f"{due.reason}: making {rebuild} again", markup=False)
        elif not once:
            print(json.dumps(_plain(due)), flush=True)

    with opened(file) as factory, watching(as_json) as live:
        fired = factory.watch(once=once, interval_s=every_s, on_due=tell, on_event=live)
    if once:
        emit(
            {"fired": [_plain(due) for due in fired]},
            as_json,
            lambda screen: None if fired else screen.print("nothing is due"),
        )


def _plain(due: Due) -> dict[str, object]:
    return {"trigger": due.trigger.id, "reason": due.reason, "rebuild": list(due.trigger.rebuild)}
