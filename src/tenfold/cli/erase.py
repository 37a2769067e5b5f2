"""`tenfold erase`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.options import FACTORY_FILE, File, Json, opened
from tenfold.cli.output import emit, size
from tenfold.errors import CheckFailed


def erase(
    person: Annotated[
        list[str] | None,
        typer.Argument(
            help="A mail address, phone number, name or id; repeatable.", show_default=False
        ),
    ] = None,
    from_file: Annotated[
        Path | None, typer.Option("--from", help="A file with one identifier a line.")
    ] = None,
    verify: Annotated[
        Path | None, typer.Option(help="Only check this certificate of an erasure.")
    ] = None,
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Remove a person from assets, caches, facts and files, and certify it. Killed, it goes on when it is
    called again. Sources are not touched."""
    from tenfold.factory import erasing

    with opened(file) as factory:
        if verify is not None:
            faults = erasing.verify(factory, verify)
            emit(
                {"certificate": str(verify), "faults": faults},
                as_json,
                lambda screen: screen.print(
                    "\n".join(faults) or "the certificate holds", markup=False
                ),
            )
            if faults:
                raise typer.Exit(1)
            return
        done = erasing.erase(factory, erasing.read_person(person or (), from_file))
    certificate = done.certificate

    def render(screen: object) -> None:
        lines = [
            f"searched {certificate['searched']['blobs']} blobs, {size(certificate['searched']['bytes'])}",
            *(f"{row['asset']}/{row['file']}: {row['done']}" for row in certificate["rewritten"]),
            *(f"{row['file']}: {row['done']}" for row in certificate["files"]),
            *(f"ledger {table}: {rows} rows" for table, rows in certificate["ledger_rows"].items()),
            *(f"{alias} moved" for alias in certificate["aliases"]),
            *(f"made from it: {row['asset']} ({row['kind']}) {row['digest'][:12]}"
              for row in certificate["descendants"]),
            *(f"not reached: {what}" for what in certificate["not_reached"]),
            f"left: {done.left} bytes. Certificate: {done.file}",
        ]  # fmt: skip
        screen.print("\n".join(lines), markup=False)  # type: ignore[attr-defined]

    emit({**certificate, "file": str(done.file)}, as_json, render)
    if done.left:
        raise CheckFailed(
            f"{done.left} bytes of the person are left",
            seen=dict(certificate["left"]),
            hint="the certificate says where; remove what a tool of its own must remove, and erase again",
        )
