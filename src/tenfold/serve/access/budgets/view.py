"""What a process last heard of an account, and how it tells a client that there is nothing left."""

from __future__ import annotations

from tenfold.serve.access.budgets.base import FOREVER_S, Account, Standing, row_of, usd
from tenfold.serve.refusal import Refusal, retry_after

_HELD_RETRY_S = 1.0
"""Requests under way give back what they do not use: worth another try soon."""


class View:
    """One account as one process sees it."""

    __slots__ = ("__weakref__", "account", "ends_s", "limit", "row", "standing", "used")

    def __init__(self, account: Account, now_s: float) -> None:
        self.account = account
        self.limit = account.limit
        self.row, self.ends_s = row_of(account.name, account.period, now_s)
        self.standing = Standing()
        self.used = 0
        """Spent and forfeited: gone, whatever becomes of the requests under way."""

    def hear(self, standing: Standing) -> None:
        self.standing = standing
        self.used = standing.spent + standing.forfeited

    def turn(self, now_s: float) -> None:
        """A new period begins with nothing spent, if one does."""
        row, self.ends_s = row_of(self.account.name, self.account.period, now_s)
        if row != self.row:
            self.row = row
            self.hear(Standing())


def spent(view: View) -> Refusal:
    """Nothing is left of an account."""
    again = "" if view.ends_s == FOREVER_S else f" It is there anew next {view.account.period}."
    return Refusal(
        429,
        f"You exceeded your current quota: the budget of {usd(view.limit):g} USD is spent.{again}",
        code="insufficient_quota",
    )


def held(views: tuple[View, ...], amount: int) -> Refusal:
    """Something is left, but not this much, or requests under way hold it."""
    room = min(view.limit - view.used for view in views)
    if amount > room:
        return Refusal(
            429,
            f"This request may cost up to {usd(amount):.9f} USD, and only {usd(max(0, room)):.9f} USD"
            " are left of its budget. Ask for fewer tokens (max_tokens).",
            code="insufficient_quota",
        )
    return Refusal(
        429,
        "Requests under way hold what is left of the budget; they may give some of it back.",
        code="insufficient_quota",
        headers=(retry_after(_HELD_RETRY_S),),
    )
