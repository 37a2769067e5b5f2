"""`tenfold why`: from one answer back to the data it was learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.options import FACTORY_FILE, File, Json, opened
from tenfold.cli.output import emit, figure, mark, quantity, size

if TYPE_CHECKING:
    from rich.console import Console

    from tenfold.queries.why import Why


def why(
    response_id: Annotated[
        str,
        typer.Argument(
            help="The id in the answer, or in its header x-tenfold-request-id.", show_default=False
        ),
    ],
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Walk from one answer to its tier, the model, its checks, its training data and their sources."""
    with opened(file) as factory:
        found = factory.queries.why(response_id)
    emit(found, as_json, lambda screen: render_why(screen, found))


def render_why(screen: Console, found: Why) -> None:
    from rich.markup import escape
    from rich.tree import Tree

    request = found.request
    tree = Tree(f"[bold]{escape(request.id)}[/]  {escape(request.endpoint)}  {request.status}")
    answer = tree.add(
        f"answered by tier [bold]{request.tier}[/], backend {escape(request.backend)}"
    )
    answer.add(
        f"{request.prompt_tokens} + {request.completion_tokens} tokens, "
        f"{quantity(request.latency_ms, 'ms')}, price {quantity(request.price_usd, 'USD')}, "
        f"cost {quantity(request.usd, 'USD')}, "
        f"{quantity(request.joules, 'J')} ({request.energy_method})"
    )
    answer.add(f"tenant {escape(request.tenant)}, key {escape(request.key_name) or 'none'}")
    for stored in found.stored:
        answer.add(f"repeats the stored answer [bold]{escape(stored.id)}[/]")
    if found.model is not None:
        _model(tree, found.model)
    for gap in found.gaps:
        tree.add(f"{mark('unknown')}  {escape(gap)}")
    screen.print(tree)


def _model(tree: Any, view: Any) -> None:
    from rich.markup import escape

    result = view.result
    aliases = "".join(f"  [bold]{alias}[/]" for alias in view.aliases)
    model = tree.add(
        f"model [bold]{escape(result.asset)}[/] {view.digest[:12]}{aliases}  {size(view.size_bytes)}"
    )
    checks = model.add(f"checks: {len(view.verdicts)}")
    for verdict in view.verdicts:
        value = "" if verdict.value is None else f" ({figure(verdict.value)})"
        checks.add(f"{mark(verdict.state)}  {escape(verdict.asset)}: {escape(verdict.rule)}{value}")
    lineage = model.add("made from, nearest first")
    for ancestor in reversed(view.lineage.ancestors):
        step = f"{ancestor.step} v{ancestor.version}" if ancestor.step else "record forgotten"
        lineage.add(f"{escape(ancestor.asset)}  {escape(step)}  {ancestor.digest[:12]}")
    data = model.add("data")
    for count in view.lineage.data:
        data.add(
            f"{escape(count.asset)}: {count.what} {escape(count.name)}, {count.documents:,} documents"
        )
