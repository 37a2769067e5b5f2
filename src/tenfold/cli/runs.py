"""Plans and runs as tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from tenfold.cli.output import duration, mark, table
from tenfold.core.facts import AliasMove, RunStep
from tenfold.core.plan import Plan

if TYPE_CHECKING:
    from tenfold.factory import RunOutcome


def render_plan(screen: Console, plan: Plan) -> None:
    rows = table("asset", "action", "step", "why")
    for step in plan.steps:
        rows.add_row(escape(step.asset), mark(step.action), escape(step.step), escape(step.reason))
    screen.print(rows)
    counts = [f"{count} {action}" for action, count in plan.counts.items() if count]
    screen.print(f"\n[bold]{escape(plan.factory)}[/]: {', '.join(counts) or 'nothing to do'}")
    for text in plan.warnings:
        screen.print(f"{mark('warning')}: {escape(text)}")


def render_outcome(screen: Console, outcome: RunOutcome) -> None:
    """What happened, and what to do about what did not."""
    took_s = (outcome.run.finished_at_s or 0.0) - outcome.run.started_at_s
    if outcome.unchanged and outcome.ok:
        screen.print(
            f"{mark('ran')}  everything unchanged: {len(outcome.steps)} assets, {duration(took_s)}"
        )
    else:
        screen.print(_steps(outcome.steps))
        screen.print(f"\nrun [bold]{outcome.run_id}[/] {mark(outcome.status)}, {duration(took_s)}")
    render_moves(screen, outcome.released)
    for text in outcome.refused:
        screen.print(f"{mark('red')}  {escape(text)}")
    failed = [step for step in outcome.steps if step.status == "failed"]
    for step in failed:
        screen.print(f"{mark('failed')}  {escape(step.error or step.reason)}")
    if failed:
        screen.print("Finished steps are kept: mend the fault, and `tenfold run` goes on there.")


def _steps(steps: Iterable[RunStep]) -> object:
    rows = table("asset", "status", "time", "", right=["time"])
    for step in steps:
        took = ""
        if step.started_at_s is not None and step.finished_at_s is not None:
            took = duration(step.finished_at_s - step.started_at_s)
        why = "" if step.status in ("ran", "failed") else step.reason
        rows.add_row(escape(step.asset), mark(step.status), took, escape(why))
    return rows


def render_moves(screen: Console, moves: Iterable[AliasMove]) -> None:
    for move in moves:
        before = f" (before: {move.previous[:12]})" if move.previous else ""
        screen.print(
            f"{mark('green')}  [bold]{move.alias}[/] → {escape(move.asset)} "
            f"{(move.digest or 'nothing')[:12]}{before}"
        )
