"""`tenfold keys`: the keys that clients of the gateway use. Only a key's SHA-256 is kept."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from tenfold.cli.options import FACTORY_FILE, File, Json, opened
from tenfold.cli.output import emit, mark, table
from tenfold.cli.quantities import moment, seconds, usd
from tenfold.core.facts import VirtualKey

_ABOUT = "Create, list, rotate and revoke the keys that clients of the gateway use."
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=_ABOUT)
Name = Annotated[str, typer.Argument(help="What the key is called on record.", show_default=False)]
_ONCE = "Keep it: only its digest is stored."


@app.callback(invoke_without_command=True, help=_ABOUT + " Alone: list.")
def keys(context: typer.Context, file: File = FACTORY_FILE, as_json: Json = False) -> None:
    if context.invoked_subcommand is None:
        list_(file, as_json)


@app.command()
def create(
    name: Name,
    tenant: Annotated[str, typer.Option(help="Who its requests are counted for.")] = "default",
    rpm: Annotated[int | None, typer.Option(help="Requests per minute.")] = None,
    tpm: Annotated[int | None, typer.Option(help="Tokens per minute.")] = None,
    budget: Annotated[str | None, typer.Option(help="What it may spend: 5usd.")] = None,
    period: Annotated[str, typer.Option(help="For how long: total, day or month (UTC).")] = "total",
    account: Annotated[
        str, typer.Option(help="What it spends from, shared by all keys that name it.")
    ] = "",
    models: Annotated[
        list[str] | None, typer.Option(help="A model it may ask for; repeatable. None: all.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="inference, batch or admin; repeatable. None: inference."),
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 30d, 12h, or a date as 2027-01-31.")
    ] = None,
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Make a key and show it, this once: it cannot be shown again."""
    with opened(file) as factory:
        key, secret = factory.create_key(
            name,
            tenant,
            rpm=rpm,
            tpm=tpm,
            budget_usd=None if budget is None else usd(budget),
            budget_period=period,
            account=account,
            models=_several(models),
            scopes=_several(scope) or ("inference",),
            expires_at_s=None if expires is None else moment(expires, time.time()),
        )
    _show_secret(key, secret, as_json)


@app.command()
def rotate(
    name: Name,
    grace: Annotated[
        str, typer.Option(help="How long the old one still works: 24h, 7d; 0: not at all.")
    ] = "24h",
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Give a key a new secret and show it, this once. Limits, budget and name stay."""
    from tenfold.factory.keys import rotate_key

    with opened(file) as factory:
        key, secret = rotate_key(factory, name, grace_s=seconds(grace), now_s=time.time())
    _show_secret(key, secret, as_json)


@app.command()
def revoke(name: Name, file: File = FACTORY_FILE, as_json: Json = False) -> None:
    """Refuse a key from now on. What it did stays on record."""
    with opened(file) as factory:
        key = factory.revoke_key(name)
    emit(_plain(key), as_json, lambda screen: screen.print(f"{key.name} is revoked"))


@app.command()
def credit(
    name: Annotated[
        str, typer.Argument(help="A key, account:NAME or tenant:NAME.", show_default=False)
    ],
    amount: Annotated[str, typer.Argument(help="How much: 1.5usd.", show_default=False)],
    file: File = FACTORY_FILE,
    as_json: Json = False,
) -> None:
    """Give back what a budget lost to workers that died, once you know that nobody was charged for it."""
    from tenfold.factory.keys import credit as give

    with opened(file) as factory:
        given = give(factory, name, usd(amount), now_s=time.time())
    emit(
        {"name": name, "credited_usd": given},
        as_json,
        lambda screen: screen.print(f"{name}: {given:g} USD given back"),
    )


@app.command()
def show(name: Name, file: File = FACTORY_FILE, as_json: Json = False) -> None:
    """What a key may do, and what it has spent."""
    from tenfold.factory.keys import find_key, spending

    with opened(file) as factory:
        key = find_key(factory, name)
        spent = spending(factory, name, now_s=time.time())
    plain = _plain(key)

    def render(screen: object) -> None:
        rows = table(key.name, _state(key))
        for what, value in plain.items():
            if what == "budget_period" and key.budget_usd is None:
                continue
            if what != "name" and value not in (None, "", []):
                when = what.endswith("_at_s") or what.endswith("_until_s")
                rows.add_row(
                    what.removesuffix("_at_s").removesuffix("_s").replace("_", " "),
                    _when(value) if when else _words(value),  # type: ignore[arg-type]
                )
        for row in spent:
            rows.add_row(
                row.account,
                f"{row.spent_usd:g} USD spent, {row.reserved_usd:g} held,"
                f" {row.forfeited_usd:g} forfeited",
            )
        screen.print(rows)  # type: ignore[attr-defined]

    emit({**plain, "spending": spent}, as_json, render)


@app.command("list")
def list_(file: File = FACTORY_FILE, as_json: Json = False) -> None:
    """All keys, without their secrets."""
    with opened(file) as factory:
        keys = factory.keys()

    def render(screen: object) -> None:
        rows = table("name", "tenant", "created", "limits", "budget", "state")
        for key in keys:
            limits = [f"{key.rpm} rpm"] * (key.rpm is not None)
            limits += [f"{key.tpm} tpm"] * (key.tpm is not None)
            budget = "" if key.budget_usd is None else f"{key.budget_usd:g} USD {key.budget_period}"
            rows.add_row(
                key.name,
                key.tenant,
                _when(key.created_at_s),
                ", ".join(limits),
                budget,
                _state(key),
            )
        screen.print(rows if keys else "no keys yet: tenfold keys create NAME")  # type: ignore[attr-defined]

    emit([_plain(key) for key in keys], as_json, render)


def _show_secret(key: VirtualKey, secret: str, as_json: bool) -> None:
    emit(
        {**_plain(key), "key": secret},
        as_json,
        lambda screen: screen.print(f"{secret}\n{_ONCE}", markup=False),
    )


def _several(given: list[str] | None) -> tuple[str, ...]:
    """`--scope a --scope b` and `--scope a,b` alike."""
    return tuple(part.strip() for text in given or () for part in text.split(",") if part.strip())


def _plain(key: VirtualKey) -> dict[str, object]:
    """Without the digests of secrets: they are nobody's business outside the ledger."""
    return {
        "name": key.name,
        "tenant": key.tenant,
        "created_at_s": key.created_at_s,
        "revoked_at_s": key.revoked_at_s,
        "scopes": list(key.scopes),
        "models": list(key.models),
        "expires_at_s": key.expires_at_s,
        "rpm": key.rpm,
        "tpm": key.tpm,
        "budget_usd": key.budget_usd,
        "budget_period": key.budget_period,
        "account": key.account,
        "old_secret_works_until_s": key.rotated_until_s,
    }


def _state(key: VirtualKey) -> str:
    if key.revoked_at_s is not None:
        return mark("blocked") + " revoked"
    if key.expires_at_s is not None and key.expires_at_s <= time.time():
        return mark("blocked") + " expired"
    return mark("ok")


def _when(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
