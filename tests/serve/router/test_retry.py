from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import BackendError, UnknownName
from tenfold.serve.backends.base import BackendRefusal, PromptTooLong, Unreachable
from tenfold.serve.router.retry import RetryBudget, judge


def refused(status: int, **more) -> BackendRefusal:
    return BackendRefusal("no", status=status, **more)


@pytest.mark.parametrize(
    ("error", "retry", "retry_with_effects", "fault", "cause"),
    [
        (Unreachable("refused"), True, False, True, "error"),
        (BackendError("broken answer"), True, False, True, "error"),
        (TimeoutError(), True, False, True, "timeout"),
        (refused(429, retry_after_s=3), True, True, False, "busy"),
        (refused(503), True, True, True, "error"),
        (refused(503, retry_after_s=1), True, True, False, "busy"),
        (refused(502), True, False, True, "error"),
        (refused(504), True, False, True, "timeout"),
        (refused(529), True, True, True, "error"),
        (refused(500), False, False, True, "error"),
        (refused(400), False, False, False, "request"),
        (refused(401), False, False, False, "request"),
        (refused(400, code="context_length_exceeded"), False, False, False, "context"),
        (PromptTooLong(9, 8), False, False, False, "context"),
        (UnknownName("model", "x", []), False, False, False, "request"),
        (ZeroDivisionError(), False, False, False, "request"),
    ],
)
def test_only_what_is_safe_is_tried_again(error, retry, retry_with_effects, fault, cause):
    verdict = judge(error, side_effects=False)
    assert (verdict.retry, verdict.fault, verdict.cause) == (retry, fault, cause)
    assert judge(error, side_effects=True).retry is retry_with_effects


@given(
    share=st.floats(0, 1),
    floor=st.floats(0, 5),
    steps=st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=400),
)
def test_no_ten_seconds_have_more_retries_than_their_share(share, floor, steps):
    budget = RetryBudget(share, floor)
    now = 1000.0
    requests: list[float] = []
    retries: list[float] = []
    for pause_s, is_request in steps:
        now += pause_s
        if is_request:
            budget.request(now)
            requests.append(now)
        elif budget.withdraw(now):
            retries.append(now)
            # Seconds are whole ones here: the window reaches back over the nine before this one.
            since = int(now) - 9
            recent = [at for at in retries if at >= since]
            asked = [at for at in requests if at >= since]
            assert len(recent) <= share * len(asked) + 10 * floor


def test_a_budget_comes_back_with_time():
    budget = RetryBudget(0.0, 1.0)
    taken = [budget.withdraw(5.0) for _ in range(20)]
    assert taken == [True] * 10 + [False] * 10
    assert budget.num_refused == 10
    assert not budget.withdraw(13.9)
    assert budget.withdraw(15.0)
