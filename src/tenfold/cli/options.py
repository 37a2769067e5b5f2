"""Arguments that several commands share, each in one place. Knows no command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tenfold.factory import Factory

File = Annotated[
    Path, typer.Option("--file", "-f", help="The factory file, or the folder it is in.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Override a field for this once, as in assets.base.config.steps=50. May be repeated.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="ASSET", help="With what they need. None: all.", show_default=False),
]
Reason = Annotated[str, typer.Option("--reason", "-m", help="Goes on record with the move.")]
FACTORY_FILE = Path("factory.yaml")


@contextmanager
def opened(file: Path, sets: list[str] | None = None) -> Iterator[Factory]:
    """The factory of a file, closed again whatever happens."""
    from tenfold.factory import Factory  # imports pydantic: not for --help

    factory = Factory.load(file, sets=sets or ())
    try:
        yield factory
    finally:
        factory.close()
