"""`tenfold init`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.options import Json
from tenfold.cli.output import emit
from tenfold.errors import UsageError

TEMPLATE = Path(__file__).with_name("template.yaml")
GITIGNORE = "# What the factory makes: it can be made again.\n.tenfold/\n"


def init(
    folder: Annotated[Path, typer.Argument(help="Made if it is not there.")] = Path("."),
    as_json: Json = False,
) -> None:
    """Write a commented factory.yaml and a .gitignore into a folder. Never overwrites anything."""
    written = write(folder)
    emit(
        {"folder": str(folder), "written": [str(path) for path in written]},
        as_json,
        lambda screen: screen.print(
            *(f"wrote {path}" for path in written),
            f"\nnext: cd {folder} && tenfold plan"
            if folder != Path(".")
            else "\nnext: tenfold plan",
            sep="\n",
            markup=False,
        ),
    )


def write(folder: Path) -> list[Path]:
    """The files that were written; one that is there already is left as it is."""
    target = folder / "factory.yaml"
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in folder.resolve().name.lower())
    text = TEMPLATE.read_text(encoding="utf-8").replace(
        "my-factory", name.strip("-") or "my-factory"
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UsageError(
            "there is a factory here already" if target.exists() else "this is not a folder",
            where=str(target if target.exists() else folder),
            hint="tenfold plan says what it would do" if target.exists() else "name another folder",
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write: {error.strerror}", where=str(target)) from None
    ignore = folder / ".gitignore"
    if ignore.exists():
        return [target]
    ignore.write_text(GITIGNORE, encoding="utf-8")
    return [target, ignore]
