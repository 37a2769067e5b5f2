"""`tenfold keys`: the keys that clients of the gateway use. Only a key's SHA-256 is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from tenfold.cli.options import FACTORY_FILE, File, Json, opened
from tenfold.cli.output import emit, mark, table
from tenfold.core.facts import VirtualKey

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Create, list and revoke the keys that clients of the gateway use.",
)
Name = Annotated[str, typer.Argument(help="What the key is called on record.", show_default=False)]


@app.callback(invoke_without_command=True)
def keys(context: typer.Context, file: File = FACTORY_FILE, as_json: Json = False) -> None:
    """Create, list and revoke the keys that clients of the gateway use. Alone: list."""
    if context.invoked_subcommand is None:
        list_(file, as_json)


@app.command()
def create(
    name: Name,
    tenant: Annotated[str, typer.Option(help="Who its requests are counted for.")] = "default",
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Make a key and show it, this once: it cannot be shown again."""
    with opened(file) as factory:
        key, secret = factory.create_key(name, tenant)
    document = {"name": key.name, "tenant": key.tenant, "key": secret}
    emit(
        document,
        as_json,
        lambda screen: screen.print(f"{secret}\nKeep it: only its digest is stored.", markup=False),
    )


@app.command()
def revoke(name: Name, file: File = FACTORY_FILE, as_json: Json = False) -> None:
    """Refuse a key from now on. What it did stays on record."""
    with opened(file) as factory:
        key = factory.revoke_key(name)
    emit(_plain(key), as_json, lambda screen: screen.print(f"{key.name} is revoked"))


@app.command("list")
def list_(file: File = FACTORY_FILE, as_json: Json = False) -> None:
    """All keys, without their secrets."""
    with opened(file) as factory:
        keys = factory.keys()

    def render(screen: object) -> None:
        rows = table("name", "tenant", "created", "state")
        for key in keys:
            created = datetime.fromtimestamp(key.created_at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
            state = mark("ok") if key.revoked_at_s is None else mark("blocked") + " revoked"
            rows.add_row(key.name, key.tenant, created, state)
        screen.print(rows if keys else "no keys yet: tenfold keys create NAME")  # type: ignore[attr-defined]

    emit([_plain(key) for key in keys], as_json, render)


def _plain(key: VirtualKey) -> dict[str, object]:
    """Without the digest of the secret: it is nobody's business outside the ledger."""
    return {
        "name": key.name,
        "tenant": key.tenant,
        "created_at_s": key.created_at_s,
        "revoked_at_s": key.revoked_at_s,
    }
