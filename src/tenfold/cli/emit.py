"""`tenfold emit edge`: configurations of the servers in front of the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tenfold.cli.options import Json
from tenfold.cli.output import emit

app = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True,
    help="Write configurations of other servers. Its commands take --json.",
)  # fmt: skip
NEXT = {"nginx": "nginx -c {}/nginx.conf", "varnish": "{}/run"}


@app.callback()
def _group() -> None:
    """With one command, typer would leave out its name."""


@app.command("edge")
def edge(
    kind: Annotated[str, typer.Argument(metavar="nginx|varnish", help="Which server.")],
    out: Annotated[Path, typer.Option(help="The folder: files, and what the server keeps.")],
    origin: Annotated[str, typer.Option(help="The gateway.")] = "http://127.0.0.1:8080",
    listen: Annotated[str, typer.Option(help="For clients.")] = "127.0.0.1:8081",
    admin: Annotated[str, typer.Option(help="For purges. Default: the next port, here.")] = "",
    inner: Annotated[str, typer.Option(help="nginx, for itself. Default: the port after.")] = "",
    slot: Annotated[
        list[str] | None, typer.Option(help="A slot that templates may use. May be repeated.")
    ] = None,
    trust: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", help="A network whose slot headers count. May be repeated."),
    ] = None,
    cache_mb: Annotated[int, typer.Option(help="Stored answers, MiB.")] = 1024,
    secrets: Annotated[
        Path | None, typer.Option(help="A secrets.json to share with other edges.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write what an edge needs; docs/edge.md says what it then does."""
    from tenfold.factory.emitting import emit_edge

    made = emit_edge(
        kind, out, origin=origin, listen=listen, admin=admin, inner=inner, slots=slot or (),
        trusted=trust or (), cache_mb=cache_mb, secrets=secrets,
    )  # fmt: skip
    start = NEXT[kind].format(out.absolute())
    emit(
        {"edge": kind, "written": [str(path) for path in made], "start": start},
        as_json,
        lambda screen: screen.print(
            *(f"wrote {path}" for path in made), f"\nnext: {start}", sep="\n", markup=False
        ),
    )
