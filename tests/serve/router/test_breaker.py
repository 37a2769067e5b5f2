from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.serve.router.breaker import CLOSED, HALF_OPEN, OPEN, Breaker
from tenfold.serve.router.config import RouterConfig


def failing(breaker: Breaker, times: int, now: float) -> None:
    for _ in range(times):
        assert breaker.allows(now)
        breaker.failed(breaker.enter(), now)


@given(
    probes=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
def test_never_more_probes_than_allowed(probes, seed):
    """Whatever order requests begin and end in, late ones of an earlier turn included."""
    draw = random.Random(seed)
    breaker = Breaker(RouterConfig(half_open_probes=probes, failures_to_open=2))
    now = 0.0
    under_way: list[int] = []
    let_through: list[int] = []  # of this half-open turn, still under way
    turn = None
    moves = ["ask"] * 4 + ["ok", "fail", "leave", "wait", "health"]
    for move in draw.choices(moves, k=400):
        now += draw.random()
        if move == "ask":
            if breaker.allows(now):
                ticket = breaker.enter()
                under_way.append(ticket)
                if breaker.state == HALF_OPEN:
                    assert ticket
                    if ticket != turn:
                        turn, let_through = ticket, []
                    let_through.append(ticket)
        elif move == "wait":
            now += 200 * draw.random()
        elif move == "health":
            if breaker.state == OPEN:
                breaker.half_open()
        elif under_way:
            ticket = under_way.pop(draw.randrange(len(under_way)))
            if ticket and ticket == turn and ticket in let_through:
                let_through.remove(ticket)
            {"ok": breaker.succeeded, "fail": breaker.failed}.get(
                move, lambda ticket, now: breaker.left(ticket)
            )(ticket, now)
        assert 0 <= breaker.num_probes <= probes
        if breaker.state == HALF_OPEN:
            assert len(let_through) <= probes


def test_it_opens_after_failures_in_a_row_only():
    breaker = Breaker(RouterConfig(failures_to_open=3))
    for now in range(10):
        failing(breaker, 2, now * 11.0)
        breaker.succeeded(breaker.enter(), now * 11.0)
    assert breaker.state == CLOSED
    failing(breaker, 3, 200.0)
    assert breaker.state == OPEN
    assert not breaker.allows(200.0)


def test_it_opens_when_half_of_many_requests_fail():
    breaker = Breaker(RouterConfig(failures_to_open=5))
    for turn in range(20):
        assert breaker.state == CLOSED
        if turn % 2:
            breaker.failed(0, 1.0)
        else:
            breaker.succeeded(0, 1.0)
    assert breaker.state == OPEN


def test_answers_that_break_off_open_it_although_each_began_well():
    breaker = Breaker(RouterConfig())
    for _ in range(20):
        breaker.succeeded(0, 1.0)
        breaker.broke_off(1.0)
    assert breaker.state == OPEN


def test_the_pause_doubles_up_to_its_limit_and_starts_anew_after_success():
    breaker = Breaker(RouterConfig(open_s=1, max_open_s=8, failures_to_open=1), draw=lambda: 0.5)
    now = 0.0
    failing(breaker, 1, now)
    pauses = [breaker.until - now]
    for _ in range(5):
        now = breaker.until
        failing(breaker, 1, now)
        pauses.append(breaker.until - now)
    assert pauses == pytest.approx([1, 2, 4, 8, 8, 8])
    now = breaker.until
    assert breaker.allows(now)
    breaker.succeeded(breaker.enter(), now)
    assert breaker.state == CLOSED
    failing(breaker, 1, now)
    assert breaker.until - now == pytest.approx(1)


def test_a_probe_whose_client_left_makes_room_for_another():
    breaker = Breaker(RouterConfig(failures_to_open=1))
    failing(breaker, 1, 0.0)
    for _ in range(3):
        assert breaker.allows(100.0)
        probe = breaker.enter()
        assert not breaker.allows(100.0)
        breaker.left(probe)
    assert breaker.allows(100.0)
    breaker.succeeded(breaker.enter(), 100.0)
    assert breaker.state == CLOSED


def test_it_stays_closed_when_it_may_not_open():
    breaker = Breaker(RouterConfig(failures_to_open=1), may_open=lambda: False)
    failing(breaker, 100, 0.0)
    assert breaker.state == CLOSED
    assert breaker.num_opened == 0
