"""The keys of a factory's gateway, and what they have spent. Knows where a gateway keeps its budgets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tenfold.core.facts import VirtualKey
from tenfold.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    from tenfold.factory.factory import Factory
    from tenfold.serve.access.budgets.base import BudgetStore

T = TypeVar("T")
_ACCOUNTS = ("key:", "account:", "tenant:")


@dataclass(frozen=True, slots=True)
class Spending:
    """How an account stands in one period."""

    account: str
    """`key:app@2026-11` and the like."""
    spent_usd: float
    reserved_usd: float
    """Held by requests under way."""
    forfeited_usd: float
    """Reserved by workers that died, and charged in full; `tenfold keys credit` gives it back."""


def create_key(
    factory: Factory, name: str, tenant: str, now_s: float, **allowance: Any
) -> tuple[VirtualKey, str]:
    """`allowance`: see tenfold.serve.access.issue.create_key."""
    from tenfold.serve.access import issue

    secret = issue.create_key(factory.ledger, name, tenant=tenant, now_s=now_s, **allowance)
    return factory.ledger.read(VirtualKey, name=name)[0], secret


def rotate_key(
    factory: Factory, name: str, *, grace_s: float, now_s: float
) -> tuple[VirtualKey, str]:
    """A new secret; the old one works for `grace_s` more seconds. Raises UnknownName."""
    from tenfold.serve.access import issue

    secret = issue.rotate_key(factory.ledger, name, now_s=now_s, grace_s=grace_s)
    return factory.ledger.read(VirtualKey, name=name)[0], secret


def revoke_key(factory: Factory, name: str, now_s: float) -> VirtualKey:
    """Raises UnknownName."""
    from tenfold.serve.access import issue

    issue.revoke_key(factory.ledger, name, now_s=now_s)
    return factory.ledger.read(VirtualKey, name=name)[0]


def find_key(factory: Factory, name: str) -> VirtualKey:
    """Revoked or not. Raises UnknownName."""
    from tenfold.serve.access import issue

    return issue.find_key(factory.ledger, name)


def spending(factory: Factory, name: str, *, now_s: float) -> list[Spending]:
    """What a key's account (or `tenant:NAME`, `account:NAME`) came to in the periods that run now; those
    in which nothing was booked are left out."""
    from tenfold.serve.access.budgets.base import usd
    from tenfold.serve.access.budgets.open import budgets_file

    rows = _rows(factory, name, now_s)
    url, folder = _place(factory)
    if url is None and (folder is None or not budgets_file(folder).exists()):
        return []  # nobody ever reserved anything
    standings = _with_store(factory, lambda store: store.standings(rows))
    return [
        Spending(row, *(usd(figure) for figure in standing))
        for row, standing in zip(rows, standings, strict=True)
        if any(standing)
    ]


def credit(factory: Factory, name: str, amount_usd: float, *, now_s: float) -> float:
    """Give back up to so much of what was forfeited in the periods that run now; returns how much. On
    record before it is done. Raises UsageError when nothing was forfeited."""
    from tenfold.serve.access.budgets.base import nano, usd

    rows = _rows(factory, name, now_s)
    forfeited = sum(s.forfeited_usd for s in spending(factory, name, now_s=now_s))
    if not forfeited:
        raise UsageError(
            f"nothing of {name} was forfeited",
            hint="only reservations of workers that died can be given back",
        )

    async def give(store: BudgetStore) -> int:
        given = 0
        for row in rows:
            given += await store.credit(row, nano(amount_usd) - given)
        return given

    detail = {"usd_at_most": min(amount_usd, forfeited)}
    factory.ledger.audit("gateway", "budget.credit", name, detail, now_s)
    return usd(_with_store(factory, give))


def _rows(factory: Factory, name: str, now_s: float) -> list[str]:
    """The rows of an account in the periods that run now. Raises UnknownName."""
    from tenfold.serve.access.budgets.base import PERIODS, row_of
    from tenfold.serve.access.grant import account_of

    account = name if name.startswith(_ACCOUNTS) else account_of(find_key(factory, name))
    return [row_of(account, period, now_s)[0] for period in PERIODS]


def _place(factory: Factory) -> tuple[str | None, Path | None]:
    """Redis's address and the state folder, as the factory's gateway has them."""
    from tenfold.factory.serving import redis_url_of, state_folder_of

    serve = factory.spec.serve if factory.spec is not None else None
    return (None if serve is None else redis_url_of(serve)), state_folder_of(factory)


def _with_store(factory: Factory, work: Callable[[BudgetStore], Awaitable[T]]) -> T:
    import asyncio  # 40 ms that a factory without a gateway does not pay

    from tenfold.serve.access.budgets.base import StoreLost
    from tenfold.serve.access.budgets.open import open_budgets

    async def run() -> T:
        store = open_budgets(*_place(factory))
        try:
            return await work(store)
        except StoreLost as error:
            raise InfrastructureError(
                f"the budget store ({store.name}) does not answer: {error}"
            ) from error
        finally:
            await store.close()

    return asyncio.run(run())
