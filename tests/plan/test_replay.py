import asyncio
import json

import pytest

from tenfold.core.asset import Report, view
from tenfold.errors import BackendError, ConfigError, UsageError
from tenfold.plan.replay import TRACE_FILE, replay, replay_trace
from tenfold.plan.trace import TraceRequest, parse_trace

CONFIG = {"requests": 120, "distinct": 25, "concurrency": 4, "max_tokens": 6, "warm_up": 3}


@pytest.fixture
def run(corpus, model, blobs):
    def run(ctx, corpus=corpus, **config):
        made = replay.invoke([model, corpus], ctx, replay.configure({**CONFIG, **config}))
        return view("rehearsal", made.commit(blobs), blobs)

    return run


def test_the_same_trace_goes_through_both_gateways_and_the_figures_are_theirs(run, rehearsal):
    ctx = rehearsal()
    report = run(ctx)
    off, on = ctx.started
    assert (list(off.tiers), list(on.tiers)) == ([], ["exact"])
    sent = [
        [ask["prompt"] for ask in app.served if not ask["prompt"].startswith("warm-up")]
        for app in (off, on)
    ]
    trace = parse_trace(report.lines(TRACE_FILE))
    assert sorted(sent[0]) == sorted(sent[1]) == sorted(request.prompt for request in trace)
    assert len(off.served) == 120 + 3

    metrics = ctx.metrics
    distinct = len({request.prompt for request in trace})
    assert metrics["exact_bound"] == pytest.approx(1 - distinct / 120)
    # Copies under way at the same time miss, so what was measured stays below the bound.
    assert 0 < metrics["tier_share.exact"] <= metrics["exact_bound"]
    assert metrics["tier_share.exact"] + metrics["tier_share.model"] == pytest.approx(1.0)
    assert metrics["answers_equal"] == 1.0
    assert metrics["errors"] == 0
    assert metrics["speedup"] == metrics["requests_per_s.on"] / metrics["requests_per_s.off"] > 1.0
    # The upstream books 2 J and 0.001 USD per generated answer and draws 1 W idle; warm-up is outside.
    generated = round(metrics["tier_share.model"] * 120)
    for side, answers in (("off", 120), ("on", generated)):
        idle_joules = 120 / metrics[f"requests_per_s.{side}"]
        whole = metrics[f"joules_per_request.{side}"] * 120
        assert whole == pytest.approx(2.0 * answers + idle_joules, abs=0.3)
        assert metrics[f"usd_per_request.{side}"] == pytest.approx(0.001 * answers / 120)
    assert metrics["latency_ms.p50.off"] <= metrics["latency_ms.p95.off"]


def test_the_report_is_the_same_bytes_every_time_and_holds_no_timing(run, rehearsal):
    first, second = run(rehearsal()), run(rehearsal())
    assert isinstance(first, Report)
    assert first.digest == second.digest != run(rehearsal(seed=8)).digest
    assert json.loads(first.read_bytes("report.json"))["workload"]["requests"] == 120


def test_a_tier_that_answers_wrongly_is_found_out(run, rehearsal, upstream_class):
    class Careless(upstream_class):
        async def _answer(self, scope, ask, send):
            if self.tiers and "prompt" in ask:
                ask["prompt"] = ask["prompt"][:14]  # a key that keeps too little of the prompt
            await super()._answer(scope, ask, send)

    ctx = rehearsal(apps=Careless)
    run(ctx)
    assert ctx.metrics["answers_equal"] < 0.5


def test_errors_are_counted_and_logged(run, rehearsal, corpus_of):
    ctx = rehearsal()
    run(ctx, corpus_of([f"{'FAIL' if n % 3 else 'the'} number {n}" for n in range(50)]))
    assert 0 < ctx.metrics["errors"] < 240
    assert ctx.metrics["errors"] == ctx.metrics["errors.off"] + ctx.metrics["errors.on"]
    assert any(event == "replay error" and fields["tiers"] == "on" for event, fields in ctx.logs)


def test_a_gateway_that_answers_nothing_fails_the_step(run, rehearsal, corpus_of):
    titles = [f"FAIL {number}" for number in range(20)]
    with pytest.raises(BackendError, match="no request"):
        run(rehearsal(), corpus_of(titles), distinct=5)


def test_a_trace_can_be_replayed_against_any_endpoint(upstream):
    _, url = upstream
    trace = [TraceRequest(0.01 * n, f"p{n % 3}", stream=n % 2 == 0) for n in range(12)]
    result = replay_trace(url, "sk-x", trace, model="m", endpoint="chat")
    assert result.summary.requests == 12
    assert result.summary.errors == 0
    assert result.summary.wall_s >= 0.11
    assert result.joules == pytest.approx(24.0 + result.summary.wall_s, abs=0.2)
    with pytest.raises(UsageError, match="no requests"):
        replay_trace(url, "sk-x", [], model="m")


def test_a_notebook_with_a_loop_of_its_own_can_replay(upstream):
    _, url = upstream

    async def cell():
        return replay_trace(url, "k", [TraceRequest(0.0, "x")], model="m", concurrency=1)

    assert asyncio.run(cell()).summary.errors == 0


def test_an_endpoint_without_accounts_has_none_rather_than_zero(upstream, monkeypatch):
    app, url = upstream
    monkeypatch.setattr(app, "_accounts", lambda: "somebody_elses_total 5\n")
    result = replay_trace(url, "k", [TraceRequest(0.0, "x")], model="m", concurrency=1)
    assert (result.joules, result.usd) == (None, None)
    assert result.summary.errors == 0


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"warm_up": -1}, {"endpoint": "edits"}])
def test_impossible_rehearsals_are_refused(wrong):
    with pytest.raises(ConfigError):
        replay.configure(wrong)
