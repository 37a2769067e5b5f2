"""Shares sum to what the meter read, whatever is finished, under way or idle."""

from __future__ import annotations

import itertools
import math
import time
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.facts import EnergyWindow, RequestEvent
from tenfold.observe.attribution import apportion
from tenfold.observe.cost import Tariff
from tenfold.serve.backends.base import Generation, Piece, TokenUsage
from tenfold.serve.backends.memory import MemoryBackend
from tenfold.serve.gateway.energy import EnergyBook, Metering
from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.gateway.observed import observed


@dataclass
class Reading:
    joules: float = 0.0
    idle_joules: float = 0.0
    cpu_s: float = 0.0
    method: str = "dial"
    uncertainty: float = 0.25


class Dial:
    """A meter that shows what the test sets."""

    def __init__(self):
        self.now = Reading()

    def __call__(self, pids):
        self.pids = pids
        return self

    def read(self):
        return Reading(self.now.joules, self.now.idle_joules, self.now.cpu_s)

    def spend(self, joules, idle, cpu_s):
        self.now.joules += joules
        self.now.idle_joules += idle
        self.now.cpu_s += cpu_s


def book_of(dial):
    metering = Metering(
        open_meter=dial, tariff=Tariff(usd_per_kwh=0.3), apportion=apportion, num_cores=2
    )
    return EnergyBook(metering, lambda: [], "test")


def exchange(tier="model", compute_s=0.0, started=0.0, ended=1.0):
    made = Exchange("/v1/chat/completions", 0.0, started)
    made.tier, made.compute_s, made.ended = tier, compute_s, ended
    return made


STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),  # requests that end in this window
        st.integers(0, 2),  # requests that go on
        st.floats(0, 50),
        st.floats(0, 50),
        st.floats(0, 3),
    ),
    min_size=1,
    max_size=8,
)


@given(STEPS)
def test_requests_and_idle_sum_to_the_meter(steps):
    dial = Dial()
    book = book_of(dial)
    going: list[Exchange] = []
    shares, usd_shares, windows = [], [], []
    for index, (num_ending, num_going, active, idle, cpu_s) in enumerate(steps):
        dial.spend(active + idle, idle, cpu_s)
        ending = going[:num_ending]
        going = going[num_ending:]
        ending += [exchange("exact") for _ in range(num_ending - len(ending))]
        for one in ending:
            one.compute_s = 0.1 if one.tier == "model" else 0.0
        going += [exchange(ended=0.0) for _ in range(num_going)]
        last = index == len(steps) - 1
        some, written = book.close_window(ending, going, last=last)
        assert len(some.joules) == len(some.usd) == len(some.gco2e) == len(ending)
        shares += some.joules
        usd_shares += some.usd
        windows += written
    spent = dial.now.joules
    assert all(share >= 0 for share in shares)
    by_requests = math.fsum(shares)
    idle = math.fsum(window.idle_joules for window in windows)
    assert math.isclose(by_requests + idle, spent, rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(
        math.fsum(window.joules for window in windows), spent, rel_tol=1e-9, abs_tol=1e-9
    )
    usd = math.fsum(usd_shares)
    idle_usd = math.fsum(window.idle_usd for window in windows)
    assert math.isclose(
        usd + idle_usd, math.fsum(window.usd for window in windows), rel_tol=1e-9, abs_tol=1e-12
    )
    assert sum(window.requests for window in windows) == len(shares)
    assert math.isclose(book.joules + book.idle_joules, spent, rel_tol=1e-9, abs_tol=1e-9)
    for earlier, later in itertools.pairwise(windows):
        assert earlier.ended_at_s <= later.started_at_s + 1e-6


def test_engine_time_weighs_by_what_each_answer_took():
    dial = Dial()
    book = book_of(dial)
    dial.spend(100.0, 0.0, 1000.0)  # far more CPU than this process used: the engine's
    small, large, cached = (
        exchange(compute_s=1.0),
        exchange(compute_s=3.0),
        exchange("exact"),
    )
    shares, _ = book.close_window([small, large, cached], [])
    joules = shares.joules
    assert joules[1] == pytest.approx(3 * joules[0], rel=0.01)
    assert joules[2] < joules[0] / 100


def test_a_long_stream_carries_what_it_used_until_it_ends():
    dial = Dial()
    book = book_of(dial)
    stream = exchange(ended=0.0)
    for _ in range(3):
        dial.spend(10.0, 0.0, 500.0)
        shares, windows = book.close_window([], [stream])
        assert shares.joules == []
        assert all(window.joules == 0 for window in windows)
    dial.spend(10.0, 0.0, 500.0)
    stream.compute_s = 4.0
    shares, (window,) = book.close_window([stream], [])
    assert shares.joules == [pytest.approx(40.0)]
    assert window.joules == pytest.approx(40.0)


def test_when_nothing_can_be_told_apart_everybody_takes_the_same():
    dial = Dial()
    book = book_of(dial)
    stream = exchange(ended=0.0)
    dial.spend(10.0, 0.0, 500.0)
    book.close_window([], [stream])
    dial.spend(10.0, 0.0, 0.0)
    book._own_cpu_s = math.inf  # this process took no time at all
    shares, _ = book.close_window([exchange("exact"), exchange("exact"), stream], [])
    assert shares.joules == pytest.approx([10 / 3, 10 / 3, 10 + 10 / 3])


def test_the_workers_of_a_machine_draw_its_idle_power_once():
    dials = [Dial() for _ in range(4)]
    books = [
        EnergyBook(
            Metering(
                open_meter=dial, tariff=Tariff(usd_per_kwh=0.3), apportion=apportion, num_cores=2
            ),
            lambda: [],
            "test",
            part=0.25,
        )
        for dial in dials
    ]
    for number, dial in enumerate(dials):
        dial.spend(12.0 + number, 12.0, 0.5)  # 12 J idle for all of them, 0 to 3 J of its own
    for number, book in enumerate(books):
        book.close_window([exchange()] * number, [], last=True)
    assert math.fsum(book.idle_joules for book in books) == pytest.approx(12.0)
    assert [book.joules for book in books] == [pytest.approx(number) for number in range(4)]


def test_quiet_time_is_one_window():
    dial = Dial()
    book = book_of(dial)
    for _ in range(5):
        dial.spend(2.0, 1.5, 0.1)
        assert book.close_window([], [])[1] == []
    dial.spend(3.0, 1.0, 0.1)
    (_, windows) = book.close_window([exchange()], [])
    assert [window.requests for window in windows] == [0, 1]
    quiet, busy = windows
    assert quiet.joules == quiet.idle_joules == pytest.approx(10.0)
    assert (busy.joules, busy.idle_joules) == (pytest.approx(3.0), 1.0)
    assert quiet.ended_at_s == busy.started_at_s


class Working(MemoryBackend):
    """Burns a little real CPU in this process and says so."""

    async def generate(self, request: Generation):
        began = time.thread_time()
        total = sum(i * i for i in range(200_000))
        took = time.thread_time() - began
        yield Piece(text=f"{total}")
        yield Piece(finish_reason="stop", usage=TokenUsage(1, 1), compute_s=took)


def test_the_real_meter_over_a_real_gateway(serving, ledger):
    import http.client
    import json

    backend = Working({}, models=("echo",))
    with serving(backend, metering=observed(), flush_s=60) as served:

        def ask(text):
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
            body = {
                "model": "echo",
                "messages": [{"role": "user", "content": text}],
                "temperature": 0,
            }
            connection.request("POST", "/v1/chat/completions", json.dumps(body))
            response = connection.getresponse()
            response.read()
            connection.close()
            return response

        for index in range(12):
            ask(str(index % 4))
        served.gateway.recorder.settle(5)
        estimate = ask("0").headers["x-tenfold-joules-estimate"]
        assert float(estimate) > 0
    events = ledger.read(RequestEvent)
    windows = ledger.read(EnergyWindow)
    assert len(events) == 13
    assert all(event.joules > 0 and event.usd > 0 for event in events if event.tier == "model")
    assert {event.energy_method for event in events} == {window.method for window in windows}
    by_requests = math.fsum(event.joules for event in events)
    idle = math.fsum(window.idle_joules for window in windows)
    assert by_requests + idle == pytest.approx(math.fsum(window.joules for window in windows))
    assert sum(window.requests for window in windows) == 13
    model = [event.joules for event in events if event.tier == "model"]
    # Without the last, which had a window to itself.
    cached = [event.joules for event in events[:12] if event.tier == "exact"]
    assert (len(model), len(cached)) == (4, 8)
    assert sum(model) / len(model) > sum(cached) / len(cached)
