"""`tenfold data`: datasets and their versions, what was lost and why, a look at records, cards, exports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.options import FACTORY_FILE, File, Json, opened
from tenfold.cli.output import ago, emit, figure, size, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from tenfold.queries.datasets import Dataset, DatasetView, Difference

_ABOUT = "Datasets: what there is, what was lost and why, a look at records, cards, exports."
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=_ABOUT)
Name = Annotated[
    str,
    typer.Argument(
        help="An asset, an alias (notes@main), or a digest's beginning.", show_default=False
    ),
]
Title = Annotated[str, typer.Option(help="What others call it. Left out: its name.")]
Description = Annotated[str, typer.Option(help="A sentence. Left out: one is made of the facts.")]
Creator = Annotated[str, typer.Option(help="Who publishes it. Left out: the factory.")]
Url = Annotated[str, typer.Option(help="Its page. Left out: a URN of its digest.")]
Version = Annotated[str, typer.Option(help="Major.minor.patch.")]


@app.callback(invoke_without_command=True, help=_ABOUT + " Alone: list.")
def data(context: typer.Context, file: File = FACTORY_FILE, as_json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_(file, as_json)


@app.command("list")
def list_(file: File = FACTORY_FILE, as_json: Json = False) -> None:
    """Everything that holds records, the newest version of each."""
    with opened(file) as factory:
        found, now_s = factory.queries.datasets(), factory.queries.now_s()
    emit(found, as_json, lambda screen: screen.print(_rows(found, now_s)))


@app.command()
def show(name: Name, file: File = FACTORY_FILE, as_json: Json = False) -> None:
    """One dataset: counts, licences, the drop ledger, the steps that made it, its versions."""
    with opened(file) as factory:
        view, now_s = factory.queries.dataset(name), factory.queries.now_s()
    emit(view, as_json, lambda screen: _show(screen, view, now_s))


@app.command()
def head(
    name: Name,
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="How many.")] = 5,
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """The first records."""
    from tenfold.factory.exporting import head as first

    with opened(file) as factory:
        rows = first(factory, name, count)
    emit(rows, as_json, lambda screen: _records(screen, rows))


@app.command()
def diff(before: Name, after: Name, file: File = FACTORY_FILE, as_json: Json = False) -> None:
    """What two datasets, or two versions of one, differ in: records, losses by cause, settings."""
    with opened(file) as factory:
        found = factory.queries.difference(before, after)
    emit(found, as_json, lambda screen: _diff(screen, found))


@app.command()
def card(
    name: Name,
    title: Title = "",
    description: Description = "",
    creator: Creator = "",
    url: Url = "",
    version: Version = "1.0.0",
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """The data card as Markdown; with --json the Croissant description as well."""
    from tenfold.factory.exporting import Owner, cards

    owner = Owner(title=title, description=description, creator=creator, url=url, version=version)
    with opened(file) as factory:
        made = cards(factory, name, owner=owner)
    emit(made, as_json, lambda screen: screen.print(made.markdown, markup=False, soft_wrap=True))


@app.command()
def export(
    name: Name,
    form: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT",
            help="hf (a folder as Hugging Face has them), croissant, parquet or jsonl.",
            show_default=False,
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="A new folder.", show_default=False)],
    title: Title = "",
    description: Description = "",
    creator: Creator = "",
    url: Url = "",
    version: Version = "1.0.0",
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Write a snapshot for others to read. The folder appears whole or not at all."""
    from tenfold.cli.live import watching
    from tenfold.core.progress import Progress
    from tenfold.factory.exporting import Owner, export

    owner = Owner(title=title, description=description, creator=creator, url=url, version=version)
    with opened(file) as factory, watching(as_json) as watch:

        def told(done: float, note: str) -> None:
            status = "ran" if done >= 1.0 else "running"
            watch(Progress(asset=f"export {form}", status=status, done=done, note=note))

        made = export(factory, name, form, folder, owner=owner, told=told)
    splits = ", ".join(f"{split} {figure(count)}" for split, count in made.splits.items())
    emit(
        made,
        as_json,
        lambda screen: screen.print(
            f"{made.folder}: {len(made.files)} files, {size(made.num_bytes)}; records: {splits}",
            markup=False,
        ),
    )


def _rows(found: Sequence[Dataset], now_s: float) -> Any:
    from rich.markup import escape

    rows = table(
        "dataset", "kind", "records", "size", "made", "digest", "aliases", right=["records", "size"]
    )
    for one in found:
        rows.add_row(
            escape(one.name),
            one.kind,
            figure(one.records),
            size(one.num_bytes),
            ago(now_s - one.made_at_s),
            one.digest[:12],
            escape(", ".join(one.aliases)),
        )
    return rows


def _show(screen: Console, view: DatasetView, now_s: float) -> None:
    from rich.markup import escape

    one = view.dataset
    aliases = "".join(f"  {alias}" for alias in one.aliases)
    screen.print(f"[bold]{escape(one.name)}[/]  {one.kind}  {size(one.num_bytes)}{escape(aliases)}")
    screen.print(f"digest {one.digest}\nrecords {figure(one.records)}")
    for licence, count in one.licences.items():
        screen.print(f"licence {escape(licence)}  {figure(count)}")
    if view.losses:
        losses = table("became", "cause", "records", right=["records"])
        for loss in view.losses:
            losses.add_row(loss.fate, escape(loss.cause), figure(loss.records))
        screen.print("", losses)
    steps = table("asset", "step", "digest", "settings")
    for step in view.steps:
        told = json.dumps(step.config, ensure_ascii=False) if step.config else ""
        steps.add_row(
            escape(step.asset), f"{step.step} v{step.version}", step.digest[:12], escape(told)
        )
    screen.print("", steps)
    if len(view.versions) > 1:
        screen.print("", _rows(view.versions, now_s))


def _records(screen: Console, rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        for name, value in row.items():
            if value is not None:
                told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
                screen.print(f"{name}: {told}", markup=False, soft_wrap=True)
        screen.print("")


def _diff(screen: Console, found: Difference) -> None:
    from rich.markup import escape

    screen.print(
        f"{escape(found.before.name)} {found.before.digest[:12]}  →  "
        f"{escape(found.after.name)} {found.after.digest[:12]}; "
        f"{size(found.shared_bytes)} of {size(found.after.num_bytes)} are the same files"
    )
    rows = table("what", "of", "before", "after", "by", right=["before", "after", "by"])
    for change in found.changes:
        rows.add_row(
            change.what,
            escape(change.name),
            figure(change.before),
            figure(change.after),
            f"{change.after - change.before:+,.0f}",
        )
    screen.print("", rows if found.changes else "no figure differs")
    for asset, before, after in found.steps:
        screen.print(f"\n{escape(asset)}")
        for name in dict.fromkeys([*before, *after]):
            if before.get(name) != after.get(name):
                told = [json.dumps(side.get(name), ensure_ascii=False) for side in (before, after)]
                screen.print(f"  {name}: {told[0]} → {told[1]}", markup=False)
