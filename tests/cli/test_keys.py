"""`tenfold keys` with everything a key may carry."""

from __future__ import annotations

import asyncio
import sqlite3
import time

import pytest

from tenfold.cli.quantities import moment, seconds, usd
from tenfold.errors import UsageError
from tenfold.serve.access.budgets.base import Ask, Reservation, nano
from tenfold.serve.access.budgets.embedded import EmbeddedBudgets


def test_create_show_rotate_and_list(tenfold, folder):
    made = tenfold(
        "keys create app --tenant acme --rpm 60 --tpm 9000 --budget 5usd --period month --account team"
        " --models small,large --scope inference --scope batch --expires 30d --json"
    ).json
    assert made["key"].startswith("sk-tf-")
    assert (made["rpm"], made["tpm"], made["budget_usd"], made["account"]) == (
        60,
        9000,
        5.0,
        "team",
    )
    assert made["models"] == ["small", "large"]
    assert made["scopes"] == ["inference", "batch"]
    assert made["expires_at_s"] == pytest.approx(time.time() + 30 * 86400, abs=600)
    turned = tenfold("keys rotate app --grace 2h --json").json
    assert turned["key"] != made["key"]
    assert turned["old_secret_works_until_s"] == pytest.approx(time.time() + 7200, abs=600)
    shown = tenfold("keys show app --json").json
    assert shown == {k: v for k, v in turned.items() if k != "key"} | {"spending": []}
    assert "5 USD month" in tenfold("keys list").out
    assert "team" in tenfold("keys show app").out
    for secret in (made["key"], turned["key"]):
        assert secret not in tenfold("keys list --json").out + tenfold("keys show app").out
    assert tenfold("keys revoke app").code == 0
    assert "revoked" in tenfold("keys show app").out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("keys create app --budget much", "not an amount of money"),
        ("keys create app --expires soon", "not a length of time"),
        ("keys create app --expires 2001-01-01", "before it is made"),
        ("keys create app --rpm 0", "rpm must be"),
        ("keys create app --scope root", "no such scope"),
        ("keys create app --budget 1usd --period year", "no such budget period"),
        ("keys rotate nobody", "nobody"),
        ("keys show nobody", "nobody"),
        ("keys credit nobody 1usd", "nobody"),
    ],
)
def test_what_cannot_be_is_said(tenfold, folder, command, said):
    done = tenfold(command)
    assert done.code == 2
    assert said in done.err
    assert tenfold("keys list --json").json == []


def test_what_the_dead_cost_is_seen_and_given_back(tenfold, folder):
    tenfold("keys create app --budget 5usd --json")
    refused = tenfold("keys credit app 1usd")
    assert refused.code == 2
    assert "nothing of app was forfeited" in refused.err
    asyncio.run(_die(folder / ".tenfold" / "gateway" / "budgets.lmdb"))
    [spent] = tenfold("keys show app --json").json["spending"]
    assert (spent["account"], spent["forfeited_usd"]) == ("key:app@total", 2.0)
    assert "2 forfeited" in tenfold("keys show app").out
    assert tenfold("keys credit app 1.5usd --json").json["credited_usd"] == 1.5
    assert tenfold("keys credit app 1.5usd --json").json["credited_usd"] == 0.5
    assert tenfold("keys credit app 1.5usd").code == 2
    with sqlite3.connect(folder / ".tenfold" / "ledger.db") as ledger:
        rows = ledger.execute("SELECT subject FROM audit WHERE action = 'budget.credit'").fetchall()
    ledger.close()
    assert rows == [("app",), ("app",)]


async def _die(path):
    store = EmbeddedBudgets(path)
    reservation = Reservation("chatcmpl-1", nano(2.0), 1000, ("key:app@total",))
    assert store.apply_now((), (Ask(reservation, (nano(5.0),)),))[0].granted
    assert await store.expire(2000) == 1
    await store.close()


@pytest.mark.parametrize(
    ("text", "worth"), [("5usd", 5.0), ("0.25 USD", 0.25), ("$5", 5.0), ("5", 5.0)]
)
def test_money(text, worth):
    assert usd(text) == worth


@pytest.mark.parametrize("text", ["", "-5usd", "5eur", "usd", "1e9", "nan", "5..0"])
def test_what_is_no_money(text):
    with pytest.raises(UsageError):
        usd(text)


def test_times():
    assert [seconds(t) for t in ("90s", "15m", "12h", "30d", "2w", "0")] == [
        90, 900, 43_200, 2_592_000, 1_209_600, 0,
    ]  # fmt: skip
    assert moment("2027-01-31", 5.0) == 1_801_353_600.0
    assert moment("1d", 5.0) == 86_405.0
