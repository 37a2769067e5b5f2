"""`tenfold serve`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
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
    workers: Annotated[
        int | None, typer.Option(min=1, max=128, help="Over the file's serve.workers.")
    ] = None,
    backend: Annotated[
        list[str] | None,
        typer.Option(
            "--backend",
            metavar="URL",
            help="Serve the models of an OpenAI-compatible server, without a factory file. May be repeated.",
            show_default=False,
        ),
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

    with _before(backend) if backend else opened(file, sets) as factory:
        factory.serve(
            host=host,
            port=port,
            workers=workers,
            mounts=None if no_console else _console,
            on_ready=ready,
        )


@contextmanager
def _before(backends: list[str]) -> Iterator[Factory]:
    """A factory that makes nothing: what is needed to serve other servers' models."""
    from tenfold.factory.serving import before

    factory = before(backends)
    try:
        yield factory
    finally:
        factory.close()


def _console(factory: Factory) -> dict[str, Any]:
    """The web console over the factory's facts, as an ASGI application."""
    from tenfold.console.app import make_app

    return {CONSOLE: make_app(factory.queries, prefix=CONSOLE)}
