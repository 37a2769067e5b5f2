"""`tenfold show`: the factory, one asset, or one run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.options import FACTORY_FILE, File, Json, opened
from tenfold.cli.output import (
    ago,
    duration,
    emit,
    figure,
    mark,
    quantity,
    size,
    sparkline,
    table,
)
from tenfold.errors import UnknownName

if TYPE_CHECKING:
    from rich.console import Console

    from tenfold.queries import Queries


def show(
    name: Annotated[
        str | None,
        typer.Argument(
            help="An asset, alias, digest or run. None: the factory.", show_default=False
        ),
    ] = None,
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Show how the factory stands, or everything that is known about one asset or one run."""
    with opened(file) as factory:
        queries = factory.queries
        if name is None:
            overview = queries.overview()
            emit(overview, as_json, lambda screen: _factory(screen, overview, queries.now_s()))
            return
        kind, found = _named(queries, name)
        render = _asset if kind == "asset" else _run
        emit(found, as_json, lambda screen: render(screen, found))


def _named(queries: Queries, name: str) -> tuple[str, Any]:
    try:
        return "asset", queries.asset(name)
    except UnknownName as unknown:
        try:
            return "run", queries.run(name)
        except UnknownName:
            raise unknown from None


def _factory(screen: Console, overview: Any, now_s: float) -> None:
    from rich.markup import escape

    rows = table("asset", "state", "kind", "size", "made", "digest", "why", right=["size"])
    for asset in overview.graph.assets:
        rows.add_row(
            escape(asset.name),
            mark(asset.state),
            asset.kind,
            size(asset.num_bytes) if asset.digest else "",
            ago(now_s - asset.finished_at_s) if asset.finished_at_s else "",
            (asset.digest or "")[:12],
            escape(asset.reason.partition("\n")[0]),
        )
    screen.print(rows)
    for alias in overview.aliases:
        screen.print(
            f"\n[bold]{alias.alias}[/] → {escape(alias.asset)} {(alias.digest or 'nothing')[:12]}, "
            f"moved {ago(now_s - alias.moved_at_s)} by {escape(alias.actor)}: {escape(alias.reason)}"
        )
    for run in overview.runs[:5]:
        screen.print(
            f"run {run.id}  {mark(run.status)}  {duration(run.wall_s)}  {escape(run.error or '')}"
        )


def _asset(screen: Console, view: Any) -> None:
    from rich.markup import escape

    result = view.result
    aliases = "".join(f"  [bold]{alias}[/]" for alias in view.aliases)
    screen.print(
        f"[bold]{escape(result.asset)}[/]  {result.output.kind}  {size(view.size_bytes)}{aliases}"
    )
    screen.print(
        f"digest {view.digest}\nmade by {escape(result.step)} v{result.version}, run {result.run_id}"
    )
    files = table("file", "size", right=["size"])
    for name, ref in sorted(result.output.files.items()):
        files.add_row(escape(name), size(ref.num_bytes))
    screen.print("", files)
    if result.config:
        settings = table("setting", "value")
        for name, value in result.config.items():
            settings.add_row(escape(name), escape(json.dumps(value, ensure_ascii=False)))
        screen.print("", settings)
    metrics = table("metric", "value", "of", right=["value"])
    for metric in (*view.metrics, *view.findings):
        metrics.add_row(
            escape(metric.name), quantity(metric.value, metric.unit), escape(metric.asset)
        )
    if metrics.row_count:
        screen.print("", metrics)
    _verdicts(screen, view.verdicts)
    _curves(screen, view.curves)
    lineage = "  ←  ".join(escape(one.asset) for one in reversed(view.lineage.ancestors))
    screen.print(f"\nlineage  {lineage}")


def _run(screen: Console, detail: Any) -> None:
    from rich.markup import escape

    run = detail.summary
    screen.print(
        f"run [bold]{run.id}[/]  {mark(run.status)}  {duration(run.wall_s)}  on {escape(run.host)}"
    )
    rows = table("asset", "status", "time", "energy", "note", right=["time", "energy"])
    for step in detail.steps:
        energy = quantity(step.usage.joules, "J") if step.usage.joules else ""
        note = (step.error or ("" if step.status == "ran" else step.reason)).partition("\n")[0]
        rows.add_row(
            escape(step.asset),
            mark(step.status),
            duration(step.wall_s) if step.wall_s else "",
            energy,
            escape(note),
        )
    screen.print("", rows)
    _verdicts(screen, [verdict for step in detail.steps for verdict in step.verdicts])
    _curves(screen, detail.curves)
    for event in detail.events:
        if event.level == "error":
            screen.print(f"\n{mark('failed')}  {escape(event.asset)} {escape(event.event)}")
            for name, value in event.fields.items():
                screen.print(f"{name}: {value}", markup=False, style="dim")


def _verdicts(screen: Console, verdicts: Any) -> None:
    from rich.markup import escape

    if not verdicts:
        return
    rows = table("check", "of", "rule", "why")
    for verdict in verdicts:
        rows.add_row(
            mark(verdict.state), escape(verdict.asset), escape(verdict.rule), escape(verdict.reason)
        )
    screen.print("", rows)


def _curves(screen: Console, curves: Any) -> None:
    for curve in curves:
        ends = f"{figure(curve.values[0])} → {figure(curve.values[-1])} {curve.unit}".rstrip()
        screen.print(
            f"\n{curve.asset} {curve.name}  {sparkline(curve.values)}  {ends}", markup=False
        )
