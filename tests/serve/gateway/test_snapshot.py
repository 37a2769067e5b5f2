"""Counters of several workers are those of one that had met all their requests."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import InputError
from tenfold.serve.gateway import families
from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.gateway.metrics import Metrics
from tenfold.serve.gateway.page import rendered
from tenfold.serve.gateway.snapshot import Snapshot, Tally, merge

TIERS = ("exact", "host")
seconds = st.integers(0, 10**12).map(lambda ns: ns / 10**9)
exchanges = st.builds(
    Exchange,
    endpoint=st.sampled_from(["/v1/chat/completions", "/v1/embeddings", "other"]),
    at_s=st.just(0.0),
    started=st.just(0.0),
    tier=st.sampled_from(["exact", "host", "model", "flight", "refused"]),
    status=st.sampled_from([200, 429, 499, 503]),
    backend=st.sampled_from(["", "a", "b"]),
    model=st.sampled_from(["small", "large"]),
    prompt_tokens=st.integers(0, 10**6),
    completion_tokens=st.integers(0, 10**6),
    latency_s=seconds,
    ttft_s=st.none() | seconds,
    upstream_s=st.none() | seconds,
    asked=st.sampled_from([(), TIERS]),
    follower=st.booleans(),
    retries=st.integers(0, 3),
    hedges=st.integers(0, 1),
    refused_for=st.sampled_from(["", "rate_limit_exceeded", "insufficient_quota"]),
)


def rows(items):
    return [msgspec.structs.astuple(item) for item in items]


def counted(*batches):
    metrics = Metrics()
    for batch in batches:
        metrics.take(rows(batch))
    return metrics.tally.snapshot()


def without_totals(snapshot):
    """Totals of durations are rounded once per batch, to a nanosecond; all else is exact."""
    buckets = {series: counts[:-1] for series, counts in snapshot.histograms.items()}
    return snapshot.sums, snapshot.highest, snapshot.lowest, buckets


@given(st.lists(st.lists(exchanges, max_size=8), max_size=4))
def test_merged_counters_are_those_of_all_requests_together(batches):
    together = counted([one for batch in batches for one in batch])
    merged = merge([counted(batch) for batch in batches])
    assert without_totals(merged) == without_totals(together)
    for series, counts in together.histograms.items():
        assert abs(merged.histograms[series][-1] - counts[-1]) <= 100 * len(batches)


numbers = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y"])),
    st.integers(-(10**15), 10**15),
)
histograms = st.dictionaries(
    st.tuples(st.just("h"), st.sampled_from(["x", "y"])),
    st.lists(st.integers(0, 10**12), min_size=4, max_size=4).map(tuple),
)
snapshots = st.builds(Snapshot, numbers, numbers, numbers, histograms)


@given(st.lists(snapshots, max_size=5), st.randoms(use_true_random=False), st.data())
def test_merging_knows_no_order_and_no_brackets(given_snapshots, shuffler: random.Random, data):
    whole = merge(given_snapshots)
    shuffled = given_snapshots.copy()
    shuffler.shuffle(shuffled)
    cut = data.draw(st.integers(0, len(shuffled)))
    assert merge([merge(shuffled[:cut]), merge(shuffled[cut:])]) == whole
    assert merge([whole, Snapshot()]) == merge([whole]) == whole
    assert Snapshot.decode(whole.encode()) == whole


def test_requests_are_counted_by_what_they_were():
    """By hand, one of each."""
    hit = Exchange("/v1/x", 0.0, 0.0, tier="host", status=200, backend="b", model="m", asked=TIERS)
    made = Exchange(
        "/v1/x", 0.0, 0.0, tier="model", status=200, backend="b", model="m", asked=TIERS,
        latency_s=2.0, ttft_s=0.5, upstream_s=0.4999, retries=2, hedges=1, completion_tokens=7,
    )  # fmt: skip
    poor = Exchange("/v1/x", 0.0, 0.0, status=429, refused_for="insufficient_quota", model="<any>")
    shared = Exchange("/v1/x", 0.0, 0.0, tier="flight", status=499, backend="b", follower=True)
    page = rendered(counted([hit, hit, made], [poor, shared]), families.FAMILIES).decode()
    assert set(page.splitlines()) >= {
        'tenfold_requests_total{endpoint="/v1/x",tier="host",status="200"} 2',
        'tenfold_requests_total{endpoint="/v1/x",tier="refused",status="429"} 1',
        'tenfold_cache_lookups_total{tier="exact",result="miss"} 3',
        'tenfold_cache_lookups_total{tier="host",result="hit"} 2',
        'tenfold_cache_lookups_total{tier="host",result="miss"} 1',
        'tenfold_retries_total{backend="b"} 2',
        'tenfold_hedges_total{backend="b"} 1',
        'tenfold_refusals_total{reason="insufficient_quota"} 1',
        "tenfold_single_flight_followers_total 1",
        "tenfold_clients_gone_total 1",
        'tenfold_model_tokens_total{model="m",kind="completion"} 7',
        "tenfold_added_seconds_count 1",
        'tenfold_added_seconds_bucket{le="0.00025"} 1',
        'tenfold_added_seconds_bucket{le="5e-05"} 0',
    }
    assert "<any>" not in page  # nobody chose a backend for it: it is not known to be a model


def test_what_clients_say_does_not_grow_the_page_for_ever():
    metrics = Metrics()
    for n in range(5000):
        strange = Exchange("/v1/x", 0.0, 0.0, backend="b", model=f"m{n}", refused_for=f"r{n}")
        metrics.take(rows([strange]))
    snapshot = metrics.tally.snapshot()
    assert len(snapshot.sums) < 5100
    by_model = {s: v for s, v in snapshot.sums.items() if s[0] == families.MODEL_REQUESTS.name}
    assert sum(by_model.values()) == 5000
    assert by_model[families.MODEL_REQUESTS.name, "other", "b"] == 4000


def test_gauges_join_as_they_should():
    def worker(name, ready, held):
        tally = Tally()
        tally.add(families.READY, ready, "backend")
        tally.add(families.WORKER, 1, name)
        tally.add(families.WAITING, held)
        tally.add(families.JOULES, 0.25, "idle")
        return tally.snapshot()

    merged = merge([worker("0", 1, 5), worker("1", 0, 7)])
    assert set(rendered(merged, families.FAMILIES).decode().splitlines()) >= {
        'tenfold_backend_ready{backend="backend"} 0',
        'tenfold_worker_up{worker="0"} 1',
        'tenfold_worker_up{worker="1"} 1',
        "tenfold_events_waiting 12",
        'tenfold_joules_total{part="idle"} 0.5',
    }


def test_strangers_are_told_so():
    with pytest.raises(InputError, match="snapshot"):
        Snapshot.decode(b"\x93nonsense")
    one = Snapshot(histograms={("h",): (1, 2, 3)})
    with pytest.raises(InputError, match="buckets"):
        merge([one, Snapshot(histograms={("h",): (1, 2)})])
