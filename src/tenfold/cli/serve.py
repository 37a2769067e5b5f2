"""`tenfold serve`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tenfold.cli.options import FACTORY_FILE, File, Json, Sets, opened
from tenfold.cli.output import console
from tenfold.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from tenfold.factory import Factory
    from tenfold.factory.outlook import Outlook

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
    key_env: Annotated[
        str | None,
        typer.Option(
            "--backend-key-env",
            metavar="NAME",
            help="The environment variable with the key that those servers take.",
            show_default=False,
        ),
    ] = None,
    no_console: Annotated[bool, typer.Option("--no-console", help="Only the gateway.")] = False,
    file: File = FACTORY_FILE,
    sets: Sets = None,
    as_json: Json = False,
) -> None:
    """Serve what the file's `serve:` says: OpenAI's and Anthropic's APIs under /v1, the console under /console.

    Says on stderr what it is about to serve, and on stdout where, once every backend has answered. SIGHUP
    reads the file again. Ends with Ctrl-C or SIGTERM, after the requests under way are answered.
    """

    def begin(outlook: Outlook) -> None:
        if not as_json:
            _render(console(stderr=True), outlook)

    def ready(url: str) -> None:
        places = {"url": url, "api": f"{url}/v1", "metrics": f"{url}/metrics"}
        if not no_console:
            places["console"] = f"{url}{CONSOLE}"
        if as_json:
            print(json.dumps(places), flush=True)
            return
        for name, place in places.items():
            console().print(f"{name:<8} {place}", markup=False)

    if key_env is not None and not backend:
        raise UsageError("--backend-key-env goes with --backend", hint="in a file: api_key_env")
    with _before(backend, key_env) if backend else opened(file, sets) as factory:
        factory.serve(
            host=host,
            port=port,
            workers=workers,
            mounts=None if no_console else _console,
            on_begin=begin,
            on_ready=ready,
        )


@contextmanager
def _before(backends: list[str], key_env: str | None) -> Iterator[Factory]:
    """A factory that makes nothing: what is needed to serve other servers' models."""
    from tenfold.factory.serving import before

    factory = before(backends, key_env)
    try:
        yield factory
    finally:
        factory.close()


def _render(screen: Console, outlook: Outlook) -> None:
    how = "tenfold keys create NAME" + ("" if outlook.can_make_keys else ", with a factory.yaml")
    if outlook.keys_required:
        keys = f"required; {outlook.num_keys} made" + ("" if outlook.num_keys else f": {how}")
    else:
        keys = f"none needed on this machine, until one is made: {how}"
    prices = ", ".join(outlook.priced)
    if outlook.default_price:
        prices += ", others at default_price" if prices else "default_price"
    elif prices:
        prices += "; others are free"
    rows = [
        ("address", f"{outlook.url}, {outlook.workers} worker{'s' * (outlook.workers > 1)}"),
        ("tiers", ", ".join(outlook.tiers) or "none: every answer is generated"),
        ("keys", keys + ("; an admin key from the environment" * outlook.admin_key)),
    ]
    if prices:
        rows.append(("prices", f"{prices}; budgets are kept in {outlook.budgets}"))
    if outlook.model is not None:
        rows.append(("backend", f"embedded: {outlook.model}"))
    for name, url, models in outlook.backends:
        rows.append(("backend", f"{name}: {', '.join(models) or 'every model it lists'}, {url}"))
    for name, value in rows:
        screen.print(f"{name:<8} {value}", markup=False, soft_wrap=True)


def _console(factory: Factory) -> dict[str, Any]:
    """The web console over the factory's facts, as an ASGI application."""
    from tenfold.console.app import make_app

    return {CONSOLE: make_app(factory.queries, prefix=CONSOLE, labelling=factory.labelling)}
