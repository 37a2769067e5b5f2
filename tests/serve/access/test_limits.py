"""Rate limits: the window slides as it should, and several processes count as one."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import ConfigError
from tenfold.serve.access.counters import Counters
from tenfold.serve.access.grant import LOCAL_GRANT, Cap, Grant
from tenfold.serve.access.limits import Limits, duration, wait_s
from tenfold.serve.refusal import Refusal

from .counting import AT_S, cap

MINUTE = AT_S - 30.0


class Clock:
    def __init__(self, at_s: float = MINUTE) -> None:
        self.at_s = at_s

    def __call__(self) -> float:
        return self.at_s


def grant(rpm=None, tpm=None, *, tenant_rpm=None, name="a") -> Grant:
    caps = [Cap(f"key:{name}", rpm, tpm)]
    if tenant_rpm is not None:
        caps.append(Cap("tenant:t", tenant_rpm, None))
    return Grant("t", name, caps=tuple(caps))


def admitted(limits, grant) -> bool:
    try:
        limits.admit(grant)
    except Refusal:
        return False
    return True


steps = st.lists(
    st.tuples(st.floats(0, 40).map(lambda s: round(s, 2)), st.integers(0, 60)), max_size=60
)


@given(steps=steps, rpm=st.integers(1, 12), tpm=st.integers(1, 200), offset=st.floats(0, 59))
def test_the_window_slides_as_the_formula_says(steps, rpm, tpm, offset):
    """Against sums over lists of what happened when."""
    clock = Clock(MINUTE + offset)
    limits = Limits(now=clock)
    mine = grant(rpm, tpm)
    asked: list[float] = []
    spent: list[tuple[float, int]] = []

    def rate(happened):
        minute, into = divmod(clock.at_s, 60)
        now = sum(n for at, n in happened if at // 60 == minute)
        before = sum(n for at, n in happened if at // 60 == minute - 1)
        return now + before * (1 - into / 60)

    for wait, tokens in steps:
        clock.at_s += wait
        requests, burnt = rate([(at, 1) for at in asked]), rate(spent)
        let_in = admitted(limits, mine)
        if abs(requests + 1 - rpm) > 1e-5 and abs(burnt - tpm) > 1e-5:  # not on the very edge
            assert let_in == (requests + 1 <= rpm and burnt < tpm)
        if let_in:
            asked.append(clock.at_s)
        limits.spent(mine, tokens)
        if tokens:
            spent.append((clock.at_s, tokens))
        counted = limits.counts(mine.caps[0])
        assert counted == pytest.approx((rate([(at, 1) for at in asked]), rate(spent)))


@given(
    current=st.integers(0, 500),
    before=st.integers(0, 500),
    room=st.integers(0, 100),
    left=st.floats(0.001, 1),
)
def test_after_the_wait_there_is_room_and_not_long_before(current, before, room, left):
    def rate(after_s):
        into = (1 - left) * 60 + after_s
        if into < 60:
            return current + before * (1 - into / 60)
        return current * max(0.0, 1 - (into - 60) / 60)

    wait = wait_s(current, before, room, left)
    assert 0 <= wait <= 120
    assert rate(wait + 1e-6) <= room + 1e-3
    if wait > 0.1:
        assert rate(wait - 0.1) > room - 1e-3


def test_a_refused_request_is_not_counted_and_the_wait_it_names_is_right():
    clock = Clock(MINUTE + 10)
    limits = Limits(now=clock)
    mine = grant(rpm=3, tenant_rpm=100)
    assert [admitted(limits, mine) for _ in range(50)].count(True) == 3
    assert limits.counts(Cap("tenant:t", 100, None))[0] == 3
    with pytest.raises(Refusal) as caught:
        limits.admit(mine)
    refusal = caught.value
    headers = dict(refusal.headers)
    assert refusal.code == "rate_limit_exceeded"
    assert refusal.error()["type"] == "rate_limit_error"
    assert headers[b"x-ratelimit-limit-requests"] == b"3"
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"
    wait = int(headers[b"retry-after"])
    clock.at_s += wait - 1.1
    assert not admitted(limits, mine)
    clock.at_s += 1.1
    assert admitted(limits, mine)


def test_a_tenants_limit_binds_all_its_keys_together():
    limits = Limits(now=Clock())
    keys = [grant(rpm=100, tenant_rpm=5, name=name) for name in "abc"]
    assert sum(admitted(limits, key) for _ in range(4) for key in keys) == 5


def test_tokens_are_counted_when_they_are_known():
    clock = Clock()
    limits = Limits(now=clock)
    mine = grant(tpm=100)
    assert admitted(limits, mine)
    limits.spent(mine, 99)
    assert admitted(limits, mine)  # there is room for one
    limits.spent(mine, 50)
    with pytest.raises(Refusal) as caught:
        limits.admit(mine)
    assert dict(caught.value.headers)[b"x-ratelimit-limit-tokens"] == b"100"
    assert "TPM" in caught.value.message
    clock.at_s += int(dict(caught.value.headers)[b"retry-after"])
    assert admitted(limits, mine)


def test_headers_tell_what_is_left():
    limits = Limits(now=Clock(MINUTE + 30))
    mine = grant(rpm=10, tpm=1000, tenant_rpm=4)
    limits.admit(mine)
    limits.spent(mine, 300)
    assert dict(limits.headers(mine)) == {
        b"x-ratelimit-limit-requests": b"4",  # the tenant's has least room
        b"x-ratelimit-remaining-requests": b"3",
        b"x-ratelimit-reset-requests": b"1m30s",
        b"x-ratelimit-limit-tokens": b"1000",
        b"x-ratelimit-remaining-tokens": b"700",
        b"x-ratelimit-reset-tokens": b"1m30s",
    }
    assert limits.headers(LOCAL_GRANT) == ()


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, b"0ms"), (0.0171, b"18ms"), (1.2, b"1.2s"), (59.9999, b"60s"), (360, b"6m0s")],
)
def test_durations_are_written_as_openai_does(seconds, written):
    assert duration(seconds) == written


def test_a_clock_that_is_set_back_breaks_nothing():
    clock = Clock(MINUTE + 600)
    limits = Limits(now=clock)
    mine = grant(rpm=2)
    assert [admitted(limits, mine) for _ in range(3)] == [True, True, False]
    clock.at_s = MINUTE + 61
    assert [admitted(limits, mine) for _ in range(3)] == [True, True, False]


class Counting:
    """`counting.py` as a process."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("counting.py"), *map(str, arguments)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def go(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def admitted(self) -> int:
        said, _ = self.process.communicate(timeout=60)
        return int(said.split()[-1])


def test_four_processes_on_one_file_count_exactly(tmp_path):
    workers = [Counting(tmp_path, n, 4, 20_000, 7, 0) for n in range(4)]
    for worker in workers:
        worker.go()
    assert [worker.admitted() for worker in workers] == [20_000] * 4
    limits = Limits(Counters(tmp_path, workers=4), now=lambda: AT_S)
    for name in "ab":
        assert limits.counts(cap(0, name)) == (40_000, 280_000)


def test_four_processes_together_stay_within_the_limit(tmp_path):
    """Each looks before it counts, without a lock: at most one request more per other worker."""
    workers = [Counting(tmp_path, n, 4, 3_000, 0, 1_000) for n in range(4)]
    for worker in workers:
        worker.go()
    total = sum(worker.admitted() for worker in workers)
    assert 2 * 1_000 <= total <= 2 * (1_000 + 3)


def test_a_killed_worker_leaves_its_counts_and_its_successor_goes_on(tmp_path):
    worker = Counting(tmp_path, 1, 2, 50_000_000, 3, 0)
    worker.go()
    while int(worker.process.stdout.readline()) < 1_000:
        pass
    worker.process.kill()
    worker.process.communicate(timeout=20)
    counted = Limits(Counters(tmp_path, workers=2), now=lambda: AT_S).counts(cap(0))
    assert counted[0] >= 500
    again = Counting(tmp_path, 1, 2, 2_000, 3, 0)
    again.go()
    assert again.admitted() == 2_000
    after = Limits(Counters(tmp_path, workers=2), now=lambda: AT_S).counts(cap(0))
    assert after[0] == counted[0] + 1_000


def test_a_full_table_gives_rows_nobody_uses_to_who_needs_one(tmp_path):
    clock = Clock(MINUTE)
    limits = Limits(Counters(tmp_path, rows=3), now=clock)
    first = [grant(rpm=2, name=name) for name in "abc"]
    assert all(admitted(limits, g) for g in first)
    with pytest.raises(Refusal) as caught:
        limits.admit(grant(rpm=2, name="d"))
    assert caught.value.status == 503  # all of them were used just now
    clock.at_s += 180
    assert admitted(limits, first[0])
    late = [grant(rpm=2, name=name) for name in "de"]
    assert all(admitted(limits, g) for g in late)
    clock.at_s += 1
    with pytest.raises(Refusal):  # its row is another's now, and there is no other
        limits.admit(first[1])
    assert limits.counts(late[0].caps[0])[0] == limits.counts(late[1].caps[0])[0] == 1
    clock.at_s += 180
    assert [admitted(limits, first[1]) for _ in range(3)] == [True, True, False]


def test_processes_agree_on_rows_whatever_the_order_they_meet_names_in(tmp_path):
    one, two = (Limits(Counters(tmp_path, worker=n, workers=2), now=Clock()) for n in range(2))
    for name in "abc":
        one.admit(grant(rpm=9, name=name))
    for name in "cba":
        two.admit(grant(rpm=9, name=name))
    for name in "abc":
        assert one.counts(Cap(f"key:{name}", 9, None))[0] == 2


def test_a_process_that_is_stopped_with_the_lock_stops_nobody_for_long(tmp_path):
    import fcntl

    limits = Limits(Counters(tmp_path), now=Clock())
    known = grant(rpm=9)
    limits.admit(known)
    [path] = tmp_path.iterdir()
    held = os.open(path, os.O_RDWR)
    fcntl.flock(held, fcntl.LOCK_EX)
    done = threading.Event()

    def newcomer():
        with pytest.raises(Refusal) as caught:
            limits.admit(grant(rpm=9, name="new"))
        assert caught.value.status == 503
        done.set()

    threading.Thread(target=newcomer, daemon=True).start()
    assert done.wait(10)
    limits.admit(known)  # whoever has a row needs no lock
    os.close(held)
    limits.admit(grant(rpm=9, name="new"))


@pytest.mark.parametrize("wrong", [{"worker": 2, "workers": 2}, {"workers": 0}, {"rows": 0}])
def test_shapes_that_cannot_be(wrong):
    with pytest.raises(ConfigError):
        Counters(None, **wrong)
