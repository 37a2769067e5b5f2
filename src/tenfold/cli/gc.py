"""`tenfold gc`."""

from __future__ import annotations

from typing import Annotated

import typer

from tenfold.cli.options import FACTORY_FILE, File, Json, opened
from tenfold.cli.output import emit, size


def gc(
    keep_last: Annotated[int, typer.Option(min=1, help="Results of each asset to keep.")] = 3,
    grace_h: Annotated[
        float, typer.Option(min=0, help="Hours: nothing younger is touched, so live runs are safe.")
    ] = 24.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only say what would go.")
    ] = False,
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Remove what nothing points at: no alias, no newest result, nothing those were made from."""
    with opened(file) as factory:
        found = factory.gc(keep_last=keep_last, grace_s=grace_h * 3600, dry_run=dry_run)
    verb = "would remove" if found.dry_run else "removed"
    emit(
        found,
        as_json,
        lambda screen: screen.print(
            f"{verb} {found.results} results and {found.blobs} files, {size(found.freed_bytes)}; "
            f"kept {found.kept_results} results"
        ),
    )
