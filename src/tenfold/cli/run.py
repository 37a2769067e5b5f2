"""`tenfold plan` and `tenfold run`."""

from __future__ import annotations

from typing import Annotated

import typer

from tenfold.cli.live import watching
from tenfold.cli.options import FACTORY_FILE, File, Json, Sets, Targets, opened
from tenfold.cli.output import emit
from tenfold.cli.runs import render_outcome, render_plan
from tenfold.cli.stopping import stopping


def plan(
    targets: Targets = None, file: File = FACTORY_FILE, sets: Sets = None, as_json: Json = False
) -> None:
    """Say what would run, be skipped or be blocked, and why. Touches nothing."""
    with opened(file, sets) as factory:
        made = factory.plan(*targets or ())
        emit(made.to_dict(), as_json, lambda screen: render_plan(screen, made))


def run(
    targets: Targets = None,
    file: File = FACTORY_FILE,
    sets: Sets = None,
    force: Annotated[
        bool, typer.Option("--force", help="Make the targets again even when nothing changed.")
    ] = False,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", "-k", help="After a failure, make what does not need it."),
    ] = False,
    as_json: Json = False,
) -> int:
    """Make what is missing or out of date, judge it, and move the aliases the file asks for.

    Finished steps are kept whatever happens: run it again to go on. Exit code 1 when a step failed, a
    check stopped the run, or an alias was refused.
    """
    with opened(file, sets) as factory, stopping(), watching(as_json) as watch:
        outcome = factory.run(*targets or (), on_event=watch, force=force, keep_going=keep_going)
    emit(outcome.to_dict(), as_json, lambda screen: render_outcome(screen, outcome))
    return 0 if outcome.ok else 1
