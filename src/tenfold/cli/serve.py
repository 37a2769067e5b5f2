"""`tenfold serve`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.options import FACTORY_FILE, File, Json, Sets, opened
from tenfold.cli.output import console

if TYPE_CHECKING:
    from tenfold.factory import Factory

CONSOLE = "/console"


def serve(
    host: Annotated[str | None, typer.Option(help="Over the file's serve.host.")] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="Over the file's serve.port; 0: any free one."),
    ] = None,
    no_console: Annotated[bool, typer.Option("--no-console", help="Only the gateway.")] = False,
    file: File = FACTORY_FILE,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Serve what the file's `serve:` says, with OpenAI's API under /v1 and the console under /console.

    Ends with Ctrl-C, after the requests under way are answered.
    """

    def ready(url: str) -> None:
        places = {"url": url, "api": f"{url}/v1", "metrics": f"{url}/metrics"}
        if not no_console:
            places["console"] = f"{url}{CONSOLE}"
        if as_json:
            print(json.dumps(places), flush=True)
            return
        for name, place in places.items():
            console().print(f"{name:<8} {place}", markup=False)

    with opened(file, sets) as factory:
        mounts = {} if no_console else {CONSOLE: _console(factory)}
        factory.serve(host=host, port=port, mounts=mounts, on_ready=ready)


def _console(factory: Factory) -> Any:
    """The web console over the factory's facts, as an ASGI application."""
    from tenfold.console.app import make_app

    return make_app(factory.queries, prefix=CONSOLE)
