"""Every store against a plain model: whatever is asked in whatever order, and however often."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.serve.access.budgets.base import (
    Ask,
    Reservation,
    Settlement,
    Standing,
    outlived,
    row_of,
)

ROWS = ("key:a@total", "account:team@2026-11", "tenant:acme@2026-11-21")
LIMIT = 1000


@dataclass
class Model:
    """One dictionary per question, nothing clever."""

    held: dict[str, tuple[int, tuple[str, ...], int]] = field(default_factory=dict)
    forfeited: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ROWS, 0))
    lost: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ROWS, 0))
    booked: set[str] = field(default_factory=set)

    def reserved(self, row: str) -> int:
        return sum(amount for amount, rows, _ in self.held.values() if row in rows)

    def used(self, row: str) -> int:
        return self.spent[row] + self.lost[row] + self.reserved(row)

    def reserve(self, r: Reservation) -> bool:
        if r.id in self.held:
            return True
        if any(self.used(row) + r.amount > LIMIT for row in r.rows):
            return False
        self.held[r.id] = (r.amount, r.rows, r.expires_ms)
        return True

    def settle(self, r: Reservation, amount: int) -> None:
        if self.held.pop(r.id, None) is None:
            if self.forfeited.pop(r.id, None) is not None:
                for row in r.rows:
                    self.lost[row] = max(0, self.lost[row] - r.amount)
            elif not r.local or r.id in self.booked:
                return
        if r.local:
            self.booked.add(r.id)
        for row in r.rows:
            self.spent[row] += amount

    def expire(self, now_ms: int) -> int:
        late = [id for id, (_, _, expires) in self.held.items() if expires <= now_ms]
        for id in late:
            amount, rows, _ = self.held.pop(id)
            self.forfeited[id] = (amount, rows)
            for row in rows:
                self.lost[row] += amount
        return len(late)

    def credit(self, row: str, amount: int) -> int:
        given = min(amount, self.lost[row])
        self.lost[row] -= given
        return given


# An id stands for one request: what it reserves is always the same.
amounts = st.integers(0, 600)
requests = st.builds(
    lambda number, amount, rows, expires: (number, amount, rows, expires),
    st.integers(0, 7),
    amounts,
    st.sets(st.sampled_from(ROWS), min_size=1).map(sorted).map(tuple),
    st.integers(1, 5),
)
deeds = st.lists(
    st.one_of(
        st.tuples(st.just("reserve"), st.integers(0, 7)),
        st.tuples(st.just("settle"), st.integers(0, 7), amounts, st.booleans()),
        st.tuples(st.just("batch"), st.lists(st.integers(0, 7), max_size=4), amounts),
        st.tuples(st.just("expire"), st.integers(0, 6)),
        st.tuples(st.just("credit"), st.sampled_from(ROWS), amounts),
    ),
    max_size=25,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(known=st.lists(requests, min_size=8, max_size=8), deeds=deeds)
def test_every_store_does_what_the_model_does(new_store, known, deeds):
    asyncio.run(_compare(new_store(), known, deeds))


async def _compare(store, known, deeds) -> None:
    model = Model()
    made = [
        Reservation(f"chatcmpl-{index}", amount, expires * 1000, rows)
        for index, (_, amount, rows, expires) in enumerate(known)
    ]

    async def apply(settlements, reservations):
        asks = [Ask(r, (LIMIT,) * len(r.rows)) for r in reservations]
        verdicts = store.apply_now(settlements, asks)
        return await store.apply(settlements, asks) if verdicts is None else verdicts

    try:
        for deed in deeds:
            match deed:
                case ("reserve", index):
                    [verdict] = await apply([], [made[index]])
                    assert verdict.granted == model.reserve(made[index])
                    for row, standing in zip(made[index].rows, verdict.standings, strict=True):
                        assert sum(standing) == model.used(row)
                case ("settle", index, amount, local):
                    r = made[index]
                    told = Reservation(r.id, r.amount, r.expires_ms, r.rows, local)
                    await apply([Settlement(told, amount)], [])
                    model.settle(told, amount)
                case ("batch", indices, amount):
                    settlements = [Settlement(made[i], amount) for i in indices[:2]]
                    verdicts = await apply(settlements, [made[i] for i in indices])
                    for settlement in settlements:
                        model.settle(*settlement)
                    assert [v.granted for v in verdicts] == [
                        model.reserve(made[i]) for i in indices
                    ]
                case ("expire", at):
                    assert await store.expire(at * 1000) == model.expire(at * 1000)
                case ("credit", row, amount):
                    assert await store.credit(row, amount) == model.credit(row, amount)
            assert await store.standings(ROWS) == [
                Standing(model.spent[row], model.reserved(row), model.lost[row]) for row in ROWS
            ]
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("period", "at_s", "row", "ends_s"),
    [
        ("total", 0.0, "a@total", float("inf")),
        ("day", 1_764_547_199.0, "a@2025-11-30", 1_764_547_200.0),
        ("day", 1_764_547_200.0, "a@2025-12-01", 1_764_633_600.0),
        ("month", 1_767_225_599.0, "a@2025-12", 1_767_225_600.0),
        ("month", 1_709_164_800.0, "a@2024-02", 1_709_251_200.0),  # a leap year's 29th
    ],
)
def test_periods_are_those_of_the_calendar_in_utc(period, at_s, row, ends_s):
    assert row_of("a", period, at_s) == (row, ends_s)


def test_old_periods_are_forgotten_and_totals_are_not():
    now_s = 1_764_547_200.0
    assert outlived("key:a@2025-09-01", now_s)
    assert not outlived("key:a@2025-11-29", now_s)
    assert outlived("key:a@2024-01", now_s)
    assert not outlived("key:a@2025-01", now_s)
    assert not outlived("key:x@2020-01-01@total", now_s)
