"""`tenfold promote` and `tenfold rollback`."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from tenfold.cli.options import FACTORY_FILE, File, Json, Reason, opened
from tenfold.cli.output import emit
from tenfold.errors import UsageError


def promote(
    asset: Annotated[str, typer.Argument(help="What the alias will point at.", show_default=False)],
    alias: Annotated[str, typer.Argument(help="name@label")] = "model@champion",
    digest: Annotated[
        str | None, typer.Option(help="An older result of the asset. Left out: the newest.")
    ] = None,
    reason: Reason = "",
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Point an alias at an asset, if its checks and those of all it was made from are green."""
    from tenfold.cli.runs import render_moves

    if "@" in asset and "@" not in alias:
        raise UsageError(
            f"{alias!r} is not an alias: the asset comes first, then the alias",
            hint=f"tenfold promote {shlex.quote(alias)} {shlex.quote(asset)}",
        )
    with opened(file) as factory:
        move = factory.promote(asset, alias, digest=digest, reason=reason)
    emit(move, as_json, lambda screen: render_moves(screen, [move]))


def rollback(
    alias: Annotated[str, typer.Argument(help="name@label")] = "model@champion",
    reason: Reason = "",
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Point an alias back at what it stood at before. The move goes on record like any other."""
    from tenfold.cli.runs import render_moves

    with opened(file) as factory:
        move = factory.rollback(alias, reason=reason)
    emit(move, as_json, lambda screen: render_moves(screen, [move]))
