"""The read models against a past whose answers can be worked out by hand."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from tenfold.core.facts import LabelEvent, Metric, RequestEvent, Run, RunStep, Verdict
from tenfold.core.plan import Plan, PlannedStep
from tenfold.errors import UnknownName
from tenfold.ledger.memory import MemoryLedger
from tenfold.queries import Queries, as_json
from tenfold.queries.cursor import cursor, event_seq
from tenfold.queries.levels import levels_of
from tenfold.queries.summary import sections
from tenfold.queries.traffic import bucket_for, percentile


def test_every_read_model_is_json_without_loss_of_keys(past):
    _, written, queries = past
    models = [
        queries.overview(),
        queries.factory_graph(),
        queries.runs(),
        queries.run(),
        queries.models(),
        queries.traffic(),
        queries.why(written.responses[-1]),
        queries.asset("small"),
        queries.lineage("small"),
        queries.summary("r-second"),
    ]
    for model in models:
        assert json.loads(json.dumps(as_json(model), allow_nan=False))
    assert as_json(queries.summary("r-second"))[0].keys() == {
        "section",
        "label",
        "value",
        "unit",
        "column",
    }


def test_an_empty_ledger_is_a_past_like_any_other():
    ledger = MemoryLedger()
    queries = Queries(ledger)
    assert queries.overview().last_run is None
    assert queries.factory_graph().assets == ()
    assert queries.traffic().total.requests == 0
    assert queries.models().versions == ()
    assert queries.cursor() == "0.0.0.0.0.0.00000000"
    with pytest.raises(UnknownName, match="tenfold run"):
        queries.run()
    ledger.close()


def test_assets_come_after_what_they_need_and_carry_their_states(past):
    _, _, queries = past
    graph = queries.factory_graph()
    place = {asset.name: index for index, asset in enumerate(graph.assets)}
    assert all(place[a] < place[b] for a, b in graph.edges)
    states = {asset.name: asset.state for asset in graph.assets}
    assert states.pop("rehearsal") == "failed"
    assert set(states.values()) == {"fresh"}
    assert [a.level for a in graph.assets if a.name in ("documents", "base", "bias")] == [0, 3, 5]


def test_an_input_that_moved_on_makes_what_was_built_from_it_stale(past, history):
    ledger, written, queries = past
    ledger.put(
        Run(id="r-old", factory="laptop", status="succeeded", started_at_s=history.NOW_S - 10)
    )
    # only `base` was made again, with other settings, so all that needs it is out of date
    result = ledger.result(written.keys["r-second"]["base"])
    other = replace(
        result.output, files={"model.safetensors": replace_file(result.output)}, meta={}
    )
    ledger.commit(
        replace(
            result, key="k-other", output=other, finished_at_s=history.NOW_S - 5, run_id="r-old"
        )
    )
    states = {asset.name: (asset.state, asset.reason) for asset in queries.factory_graph().assets}
    assert states["quality"] == ("stale", "input base changed")
    assert states["small"][0] == "stale"
    assert states["bias"][0] == "fresh", "its own input, the model `small`, has not changed yet"


def replace_file(manifest):
    ref = next(iter(manifest.files.values()))
    return replace(ref, sha256="0" * 64)


def test_a_plan_decides_over_what_the_ledger_alone_would_say(past, history):
    ledger, _, _ = past
    steps = [
        PlannedStep(asset="documents", step="data.collect", needs=(), action="run",
                    reason="its source changed", key=None),
        PlannedStep(asset="corpus", step="data.curate", needs=("documents",), action="maybe",
                    reason="after documents"),
        PlannedStep(asset="extra", step="data.collect", needs=(), action="run",
                    reason="never built"),
    ]  # fmt: skip
    plan = Plan(factory="laptop", steps=tuple(steps))
    queries = Queries(ledger, plan=lambda: plan, now=lambda: history.NOW_S)
    found = {a.name: (a.state, a.reason) for a in queries.factory_graph().assets}
    assert found == {
        "documents": ("stale", "its source changed"),
        "corpus": ("stale", "after documents"),
        "extra": ("missing", "never built"),
    }


def test_a_step_that_a_dead_run_left_running_is_failed_not_running(past, history):
    ledger, written, queries = past
    history.start_run(ledger, written, history.NOW_S)
    assert {a.name: a.state for a in queries.factory_graph().assets}["base"] == "running"
    ledger.put(replace(ledger.read(Run, id="r-live")[0], status="interrupted"))
    assert {a.name: a.state for a in queries.factory_graph().assets}["base"] == "failed"


def test_a_run_adds_up(past, history):
    _, _, queries = past
    detail = queries.run("r-second")
    made = [spec for name, spec in history.ASSETS.items() if name in rerun_names(detail)]
    assert detail.summary.joules == pytest.approx(sum(s.wall_s for s in made) * history.WATTS)
    assert detail.summary.counts == {"ran": 7, "skipped": 3}
    assert sum(step.usage.joules for step in detail.steps) == pytest.approx(detail.summary.joules)
    skipped = next(step for step in detail.steps if step.status == "skipped")
    assert (skipped.usage.joules, skipped.from_run) == (0.0, "r-first")
    curve = next(c for c in detail.curves if c.name == "loss")
    assert list(curve.steps) == list(range(0, 300, 2))
    # facts of a skipped step belong to its key and are shown with it
    assert detail.metric("data.curate", "removed.duplicate").value == 412
    assert [e.seq for e in detail.events] == sorted(e.seq for e in detail.events)


def rerun_names(detail):
    return {step.asset for step in detail.steps if step.status == "ran"}


def test_events_go_on_after_a_seq(past):
    _, _, queries = past
    events = queries.events("r-second")
    assert queries.events("r-second", after=events[2].seq) == events[3:]


def test_summary_says_what_was_recorded_and_nothing_else(past):
    _, _, queries = past
    rows = {(row.section, row.label, row.column): row for row in queries.summary("r-second")}
    assert rows["serving", "throughput", "change"].value == 10.8
    assert rows["quality", "bits per byte", ""].unit == "bits/byte"
    assert rows["serving", "answered by tier exact", "tiers on"].value == 0.9
    assert rows["time", "documents", ""].value == 5.2, "of the run that made it"
    assert not any(label == "samples that leak" for _, label, _ in rows), (
        "this past has no such metric"
    )
    first = {(r.section, r.label): r.value for r in queries.summary("r-first")}
    assert first["quality", "perplexity"] == 71.3


def test_what_was_compared_stands_on_one_line_with_its_change(past):
    _, _, queries = past
    blocks = {block.name: block for block in sections(queries.summary("r-second"))}
    assert blocks["quality"].columns == ()
    assert blocks["serving"].columns == ("tiers off", "tiers on", "change")
    lines = {line.label: line.cells for line in blocks["serving"].lines}
    assert lines["throughput"]["change"].value == 10.8, "as recorded"
    energy = lines["energy per request"]
    assert energy["change"].value == energy["tiers on"].value / energy["tiers off"].value
    assert set(lines["answered by tier exact"]) == {"tiers on"}


def test_a_model_has_the_figures_of_the_reports_about_it_and_its_own_history(past, history):
    ledger, written, queries = past
    models = queries.models()
    champion = next(v for v in models.versions if v.aliases)
    assert champion.digest == written.model_digest
    assert champion.metrics["gap"].value == 0.031
    assert {v.rule for v in champion.verdicts} == {
        "perplexity_ratio <= 1.03",
        "gap <= 0.1",
        "leaks <= 0",
    }
    move = ledger.alias("model@champion")
    older = written.digests["r-first"]["small"]
    ledger.move_alias(
        replace(move, digest=older, previous=move.digest, key=written.keys["r-first"]["small"]),
        move.digest,
    )
    alias = queries.models().aliases[0]
    assert [m.digest for m in alias.history] == [older, written.model_digest]


def test_lineage_reaches_the_sources_and_counts_what_they_hold(past):
    _, _, queries = past
    found = queries.lineage("model@champion")
    assert [a.asset for a in found.ancestors] == [
        "documents",
        "corpus",
        "tokenizer",
        "base",
        "small",
    ]
    assert {(d.what, d.name): d.documents for d in found.data if d.asset == "corpus"} == {
        ("licence", "PSF-2.0"): 3480,
        ("removed", "duplicate"): 412,
        ("removed", "near_duplicate"): 198,
        ("removed", "too_short"): 120,
    }
    assert ("source", "lib") in {(d.what, d.name) for d in found.data}


def test_lineage_goes_on_past_a_record_that_was_forgotten(past):
    ledger, written, _ = past
    ledger.forget([written.keys["r-second"]["tokenizer"]])
    fresh = Queries(ledger)
    found = {a.asset: a for a in fresh.lineage("small").ancestors}
    assert found["tokenizer"].step == ""
    assert found["documents"].step == "data.collect"


def test_why_walks_from_a_repeated_answer_to_the_one_that_was_made(past):
    _, written, queries = past
    walk = queries.why(written.responses[-1])
    assert walk.request.tier == "exact"
    assert walk.made_by.tier == "model"
    assert walk.stored[-1] == walk.made_by
    assert walk.model.digest == written.model_digest
    assert walk.model.aliases == ("model@champion",)
    assert walk.model.lineage.data
    assert walk.gaps == ()


def test_why_says_which_links_are_missing(past, history):
    ledger, written, queries = past
    base = history.request(written, "chatcmpl-orphan")
    ledger.append(
        [
            replace(base, tier="exact", cached_from="chatcmpl-gone"),
            replace(base, id="chatcmpl-foreign", model_digest="", backend="cloud"),
            replace(base, id="chatcmpl-strange", model_digest="f" * 64),
            replace(base, id="chatcmpl-loop", cached_from="chatcmpl-loop", tier="exact"),
        ]
    )
    assert "chatcmpl-gone" in queries.why("chatcmpl-orphan").gaps[0]
    assert "cloud" in queries.why("chatcmpl-foreign").gaps[0]
    assert "ffffffffffff" in queries.why("chatcmpl-strange").gaps[0]
    assert len(queries.why("chatcmpl-loop").stored) < 50


def test_names_that_are_not_there_come_with_the_nearest(past):
    _, written, queries = past
    for ask, wrong, near in (
        (queries.asset, "smal", "small"),
        (queries.asset, "model@champoin", "model@champion"),
        (queries.run, "r-secnd", "r-second"),
        (queries.why, written.responses[-5][:-1] + "~", written.responses[-5]),
    ):
        with pytest.raises(UnknownName) as error:
            ask(wrong)
        assert near in error.value.hint


def test_an_asset_answers_to_name_alias_digest_and_its_beginning(past):
    _, written, queries = past
    digest = written.model_digest
    names = ("small", "model@champion", digest, digest[:8])
    assert {queries.asset(name).digest for name in names} == {digest}
    with pytest.raises(UnknownName):
        queries.asset(digest[:3])


def test_traffic_counts_every_request_once(past, history):
    ledger, _, queries = past
    found = queries.traffic(history.NOW_S - 10 * 86_400)
    events = ledger.read(RequestEvent)
    assert Counter({t.tier: t.requests for t in found.tiers}) == Counter(e.tier for e in events)
    assert sum(sum(values) for values in found.series.values()) == len(events)
    assert found.total.joules == pytest.approx(sum(e.joules for e in events))
    assert sum(tier.share for tier in found.tiers) == pytest.approx(1)
    assert [t.tier for t in found.tiers] == ["exact", "model", "refused"], "cheapest first"
    live = queries.traffic(history.NOW_S - 10 * 86_400, source="live")
    assert live.total.requests == sum(e.source == "live" for e in events)
    assert set(found.sources) == {"live", history.REHEARSAL}


def test_a_burst_is_seen_in_buckets_of_its_own_length(past, history):
    _, written, _ = past
    fresh = MemoryLedger()
    fresh.append(
        [
            replace(history.request(written, f"cmpl-{n}"), at_s=history.NOW_S - 100 + n)
            for n in range(60)
        ]
    )
    found = Queries(fresh, now=lambda: history.NOW_S).traffic()
    assert found.bucket_s <= 5
    assert sum(sum(values) for values in found.series.values()) == 60
    coarse = Queries(fresh, now=lambda: history.NOW_S).traffic(bucket_s=600.0)
    assert coarse.bucket_s == 600
    fresh.close()


def test_traffic_latencies_are_values_that_occurred(past, history):
    ledger, _, queries = past
    found = queries.traffic(history.NOW_S - 10 * 86_400, source="live")
    slow = sorted(
        e.latency_ms for e in ledger.read(RequestEvent) if (e.source, e.tier) == ("live", "model")
    )
    tier = next(t for t in found.tiers if t.tier == "model")
    assert tier.p50_ms in slow
    assert sum(ms <= tier.p95_ms for ms in slow) >= 0.95 * len(slow)
    assert sum(ms < tier.p95_ms for ms in slow) < 0.95 * len(slow)


def test_percentile_against_the_definition():
    assert percentile([], 0.5) is None
    assert [percentile([1, 2, 3, 4], p) for p in (0.25, 0.5, 0.51, 1)] == [1, 2, 3, 4]


def test_buckets_are_round_and_few():
    for span in (10, 900, 86_400, 604_800):
        assert span / bucket_for(span) <= 60


@pytest.mark.parametrize("kind", ["metric", "event", "label", "request", "verdict", "step"])
def test_the_cursor_moves_with_every_fact_a_page_shows(past, history, kind):
    ledger, written, queries = past
    history.start_run(ledger, written, history.NOW_S)
    before = queries.cursor()
    assert queries.cursor() == before
    match kind:
        case "metric":
            ledger.append([Metric(key="k-live", run_id="r-live", asset="base", name="loss",
                                  value=1.0, step=9999)])  # fmt: skip
        case "event":
            event = queries.events("r-second")[0]
            ledger.append([replace(event, run_id="r-live")])
        case "label":
            ledger.append([LabelEvent(factory="f", queue="q", digest="d", record="r", annotator="a",
                                      action="skip")])  # fmt: skip
        case "request":
            ledger.append([history.request(written, "chatcmpl-new")])
        case "verdict":
            ledger.append([replace(ledger.read(Verdict, limit=1)[0], seq=0)])
        case "step":
            step = ledger.read(RunStep, run_id="r-live", asset="base")[0]
            ledger.put(replace(step, done=0.7))
    assert cursor(ledger) != before


@pytest.mark.parametrize(
    "text", [None, "", "7", "1.2.3", "1.x.3.4.5.6.00", "1." + "9" * 30 + ".1.1.1.1.1"]
)
def test_a_cursor_nobody_gave_out_is_no_cursor(text):
    assert event_seq(text) is None
    assert event_seq("1.42.3.4.5.6.0a0b0c0d") == 42


def test_levels_survive_a_cycle_and_a_need_nobody_has():
    assert levels_of({"a": (), "b": ("a",), "c": ("b", "a", "gone")}) == {"a": 0, "b": 1, "c": 2}
    assert set(levels_of({"a": ("b",), "b": ("a",)})) == {"a", "b"}
