import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.plan.client import Outcome
from tenfold.plan.scrape import parse_counters
from tenfold.plan.summary import equal_share, percentile, summarise


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_a_value_with_so_many_at_or_below_it(values, percent):
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9
    assert sum(value < found for value in values) < percent / 100 * len(values) + 1e-9


def test_errors_are_kept_out_of_latencies_and_shares():
    outcomes = [
        Outcome(0, tier="exact", latency_ms=1.0, completion_tokens=10),
        Outcome(1, tier="model", latency_ms=9.0, completion_tokens=10, ttft_ms=4.0),
        Outcome(2, latency_ms=60_000.0, error="timeout"),
    ]
    summary = summarise(outcomes, 2.0)
    assert (summary.requests, summary.errors, summary.requests_per_s) == (3, 1, 1.0)
    assert summary.tokens_per_s == 10.0
    assert summary.tier_share == {"exact": 0.5, "model": 0.5}
    assert summary.latency_ms["p99"] == 9.0
    assert summary.ttft_ms["p50"] == 4.0
    assert summary.error_kinds == {"timeout": 1}


def test_a_replay_without_any_answer_has_no_latencies_rather_than_zeros():
    summary = summarise([Outcome(0, error="timeout")], 1.0)
    assert summary.latency_ms == {}
    assert summary.tier_share == {}
    assert summary.requests_per_s == 0.0


def test_a_client_that_was_late_is_told_from_a_server_that_was_slow():
    def replay(lag_ms):
        return summarise([Outcome(n, latency_ms=100.0, lag_ms=lag_ms) for n in range(10)], 1.0)

    assert replay(1.0).on_schedule
    assert not replay(50.0).on_schedule


def test_only_requests_answered_twice_are_compared():
    first = [Outcome(0, text="a"), Outcome(1, text="b"), Outcome(2, error="x")]
    second = [Outcome(0, text="a"), Outcome(1, text="c"), Outcome(2, text="d")]
    assert equal_share(first, second) == 0.5
    assert equal_share(first[2:], second[2:]) is None


def test_the_prometheus_text_format_is_read():
    """The shapes of the format's own description: help, types, labels with odd values, times, infinities."""
    page = (
        "# HELP http_requests_total The total number of HTTP requests.\n"
        "# TYPE http_requests_total counter\n"
        'http_requests_total{method="post",code="200"} 1027 1395066363000\n'
        'http_requests_total{method="post",code="400"}    3 1395066363000\n'
        "\n"
        'msdos_file_access_time_seconds{path="C:\\\\DIR\\\\{x}.TXT",error="No\\n \\"FILE\\""} 1.458255915e9\n'
        "metric_without_timestamp_and_labels 12.47\n"
        'something_weird{problem="division by zero"} +Inf -3982045\n'
        "not a sample\n"
    )
    counters = parse_counters(page)
    assert counters["http_requests_total"] == 1030
    assert counters["msdos_file_access_time_seconds"] == 1.458255915e9
    assert counters["metric_without_timestamp_and_labels"] == 12.47
    assert math.isinf(counters["something_weird"])
    assert counters == {name: pytest.approx(value) for name, value in counters.items()}
    assert "not" not in counters
