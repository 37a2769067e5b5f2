"""Each family of gauges on snapshots whose truth is known."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from tenfold.core.asset import Snapshot, Table
from tenfold.data.gauges.coverage import containment
from tenfold.data.gauges.gauging import Wanted, measured
from tenfold.data.gauges.profile import profile
from tenfold.errors import InputError

DAY_US = 86_400 * 1_000_000
NOW_US = 20_000 * DAY_US
WANTED = Wanted(records=2000, words=200, block=10, as_of_us=NOW_US)


def gauged(made, wanted=WANTED, target=None):
    found = measured(made, wanted, target)
    return {each["name"]: each for each in found["figures"]}, found


def png(colour, side=16):
    out = io.BytesIO()
    Image.fromarray(np.full((side, side, 3), colour, np.uint8)).save(out, "PNG")
    return out.getvalue()


def test_diversity_of_sources_and_words(snapshot):
    made = snapshot(
        text=["one two three four five six seven eight"] * 200,
        source=["a"] * 100 + ["b"] * 50 + ["c"] * 50,
    )
    found, _ = gauged(made)
    assert found["diversity.source_entropy"]["value"] == pytest.approx(
        stats.entropy([2, 1, 1], base=2)
    )
    # 200 words in a block are 25 times the same eight: 8 of 200 words, 5 of 125 runs of four.
    assert found["diversity.distinct_1"]["value"] == pytest.approx(8 / 200)
    assert found["diversity.distinct_4"]["value"] == pytest.approx(5 / 125)
    assert found["diversity.vendi"]["value"] == pytest.approx(1)
    assert found["duplicates.twins"]["value"] == pytest.approx(199)
    assert found["duplicates.exact_share"]["value"] == pytest.approx(199 / 200)


def test_distinct_words_are_compared_at_equal_size_only(snapshot):
    words = [" ".join(f"w{n}x{m}" for m in range(40)) for n in range(300)]
    small, _ = gauged(snapshot(text=words[:30]))
    large, _ = gauged(snapshot(text=words))
    assert small["diversity.distinct_1"]["value"] == large["diversity.distinct_1"]["value"] == 1
    tiny, content = gauged(snapshot(text=["a few words"]))
    assert "diversity.distinct_1" not in tiny
    assert "3 words" in content["absent"]["diversity.distinct_1"]


def test_freshness_counts_unknown_times_apart(snapshot):
    ages = [0, 100, 200, 400]
    made = snapshot(
        text=["a", "b", "c", "d", "e", "f"],
        source=["old"] * 4 + ["old", "ageless"],
        time=[NOW_US - age * DAY_US for age in ages] + [None, None],
        sources={
            "old": {"half_life_days": 100.0, "readable_share": 1.0, "records": 5, "quarantined": 0},
            "ageless": {"half_life_days": None, "readable_share": 0.5, "records": 1, "quarantined": 1},
        },
        quarantine={"json": 1},
    )  # fmt: skip
    found, _ = gauged(made)
    assert found["freshness.unknown_share"]["value"] == pytest.approx(2 / 6)
    assert found["freshness.past_half_life_share"]["value"] == pytest.approx(2 / 4)
    # One, a half, a quarter, a sixteenth; and one that does not age.
    assert found["freshness.weight_mean"]["value"] == pytest.approx(
        (1 + 1 / 2 + 1 / 4 + 1 / 16 + 1) / 5
    )
    assert found["freshness.age_median_days"]["value"] == 100
    assert found["integration.readable_share"]["value"] == pytest.approx(6 / 7)
    assert found["integration.worst_source_readable_share"]["value"] == 0.5
    sooner, _ = gauged(made, Wanted(as_of_us=NOW_US, half_life_days={"old": 1000.0}))
    assert sooner["freshness.past_half_life_share"]["value"] == 0


def test_the_ledger_of_losses_adds_up(snapshot):
    made = snapshot(
        text=["a", "b", "c"], drop=[None, None, "dedup.near"],
        lost={"rules.min_words": 5, "dedup.exact": 2}, quarantine={"json": 4},
    )  # fmt: skip
    found, content = gauged(made)
    assert found["integration.kept_share"]["value"] == pytest.approx(2 / 10)
    assert found["errors.quarantined_share"]["value"] == pytest.approx(4 / 14)
    assert found["duplicates.marked_share"]["value"] == pytest.approx(3 / 10)
    losses = content["tables"]["losses"]
    parts = [sum(losses[name].values()) for name in ("quarantined", "lost", "marked")]
    assert losses["met"] == sum(parts) + losses["kept"]


def test_queries_and_classes(snapshot):
    texts = [
        "A lamp that flickers has a loose plug.",
        "Bread wants time.",
        "The the the of and.",
    ] * 20
    made = snapshot(text=texts, meta=['{"kind": "a"}', '{"kind": "b"}', "{}"] * 20)
    wanted = Wanted(
        as_of_us=NOW_US, queries=["why does the lamp flickers", "bread time", "quantum gravity", "?"],
        answered_at=0.5, classes={"meta.kind": ["a", "b", "c"]},
    )  # fmt: skip
    found, content = gauged(made, wanted)
    assert found["coverage.queries"]["value"] == pytest.approx(1 / 3), (
        "without a word it is no query"
    )
    assert found["coverage.meta.kind.floor"]["value"] == 0
    assert found["coverage.meta.kind.missing"]["value"] == 1
    assert found["coverage.meta.kind.slots"]["value"] == pytest.approx(2 / 3)
    assert content["tables"]["classes"]["meta.kind"]["missing"] == ["c"]
    free, _ = gauged(made, Wanted(as_of_us=NOW_US, classes={"meta.kind": []}))
    assert free["coverage.meta.kind.floor"]["value"] == pytest.approx(1 / 2)


def test_containment_weighs_rare_words_and_asks_for_one_record():
    texts = ["the red house", "the blue lamp", "the green door"]
    best = containment(["the lamp", "the red lamp", "the dog"], texts)
    assert best[0] == 1
    assert 0.3 < best[1] < 0.7, "red and lamp are never together"
    assert 0 < best[2] < 0.1, "what every record says answers little"


def test_personal_data_and_broken_text(snapshot):
    texts = ["nothing here", "write to anna@example.com now", "a cafÃ© at the corner", "   "] * 10
    found, _ = gauged(snapshot(text=texts))
    assert found["pii.record_share"]["value"] == pytest.approx(1 / 4)
    assert found["errors.broken_text_share"]["value"] == pytest.approx(1 / 4)
    assert found["errors.empty_share"]["value"] == pytest.approx(1 / 4)
    columns = {
        "pii.find.spans": [1, 0] * 20,
        "pii.find.EMAIL": [1, 0] * 20,
        "repair.lines": [0, 2, 0, 0] * 10,
    }
    annotated, _ = gauged(snapshot(text=texts, **columns))
    assert annotated["pii.record_share"]["value"] == pytest.approx(1 / 2), (
        "the operator's word counts"
    )
    assert annotated["errors.repaired_share"]["value"] == pytest.approx(1 / 4)


def test_rows(snapshot):
    chance = np.random.default_rng(2)
    sex, race = chance.choice(["f", "m"], 400), chance.choice(["x", "y", "z", "w"], 400)
    rows = [
        {"sex": a, "race": b, "income": float(n), "note": None}
        for n, (a, b) in enumerate(zip(sex.tolist(), race.tolist(), strict=True))
    ]
    found, content = gauged(snapshot(row=rows), Wanted(as_of_us=NOW_US, block=100))
    assert content["tables"]["categories"] == ["sex", "race"]
    assert found["diversity.joint_entropy"]["value"] == pytest.approx(3, abs=0.15), (
        "independent: 1 + 2 bits"
    )
    assert found["errors.missing_cell_share"]["value"] == pytest.approx(1 / 4)


def test_images(snapshot):
    chance = np.random.default_rng(3)
    noise = [png(chance.integers(0, 256, (16, 16, 3))) for _ in range(40)]
    plain, _ = gauged(snapshot(image=[png(128)] * 40))
    varied, _ = gauged(snapshot(image=[*noise, b"no image"]))
    assert plain["diversity.vendi"]["value"] == pytest.approx(1, abs=1e-4)
    assert varied["diversity.vendi"]["value"] > 5
    assert varied["errors.unreadable_image_share"]["value"] == pytest.approx(1 / 41)
    assert plain["duplicates.twins"]["value"] == pytest.approx(39)


def sentences(seed, words, count=150):
    chance = np.random.default_rng(seed)
    return [" ".join(chance.choice(words, 25)) for _ in range(count)]


SEA = [
    "ship",
    "harbour",
    "wave",
    "sailor",
    "anchor",
    "tide",
    "mast",
    "gull",
    "rope",
    "storm",
    "deck",
    "island",
]
KITCHEN = [
    "bread",
    "oven",
    "flour",
    "salt",
    "knead",
    "crust",
    "dough",
    "yeast",
    "butter",
    "spoon",
    "bowl",
    "sugar",
]


def test_relevance_is_one_for_the_same_world_and_nought_for_another(snapshot):
    target = profile(snapshot(text=sentences(1, SEA)), 500)
    alike, _ = gauged(snapshot(text=sentences(2, SEA)), target=target)
    apart, _ = gauged(snapshot(text=sentences(3, KITCHEN)), target=target)
    half, _ = gauged(
        snapshot(text=sentences(4, SEA, 75) + sentences(5, KITCHEN, 75)), target=target
    )
    assert alike["relevance.mean"]["value"] == pytest.approx(1, abs=0.12)
    assert apart["relevance.mean"]["value"] < 0.05
    # Half of the records at density 1 in the target and 1/2 here: p = 2/3 of each of those, 0 of the others.
    assert half["relevance.mean"]["value"] == pytest.approx(2 / 3, abs=0.12)
    assert half["relevance.share_above"]["value"] == pytest.approx(1 / 2, abs=0.05)
    for each in (alike, apart, half):
        assert each["relevance.calibration_error"]["value"] < 0.12
    assert apart["relevance.auc"]["value"] > 0.99
    assert alike["relevance.auc"]["value"] == pytest.approx(0.5, abs=0.1)


def test_targets(snapshot, commit, corpus_of):
    assert profile(corpus_of(["a", "b", "c"]), 2).values == ["a", "b"]
    rows = profile(commit(Table.write([{"a": 1}, {"a": 2}])), 5)
    assert (rows.payload, list(rows.values)) == ("row", [{"a": 1}, {"a": 2}])
    with pytest.raises(InputError, match="a snapshot, a corpus or a table") as caught:
        profile(commit(_report()), 5)
    assert caught.value.seen == "report"
    few, content = gauged(snapshot(text=["a", "b"]), target=profile(corpus_of(["a"]), 5))
    assert "relevance.mean" not in few
    assert "20 of each are needed" in content["absent"]["relevance.mean"]


def _report():
    from tenfold.core.asset import Draft, Report

    return Draft(Report.kind)


def test_the_same_records_give_the_same_figures(snapshot):
    columns = {"text": sentences(1, SEA), "source": ["a", "b", "c"] * 50}
    first: Snapshot = snapshot(**columns)
    assert measured(first, WANTED) == measured(first, WANTED)


def test_a_snapshot_of_several_kinds_and_one_without_a_kept_record(snapshot, ctx, commit):
    from tenfold.data.hub.snapshot import Origin, write_snapshot

    parts = [snapshot(text=["a text", "", "another"]), snapshot(image=[png(9), png(90), b"broken"])]
    pairs = [(each, made.files[each.file]) for made in parts for each in made.segments()]
    origin = Origin(modality="mixed", recipe=[])
    mixed = commit(write_snapshot(ctx, ctx.draft(Snapshot.kind), pairs, origin))
    found, _ = gauged(mixed)
    assert found["errors.empty_share"]["value"] == pytest.approx(1 / 3), "an image is no empty text"
    assert found["errors.unreadable_image_share"]["value"] == pytest.approx(1 / 3)
    empty, content = gauged(snapshot(text=["a", "b"], drop=["x.y", "x.y"]))
    assert content["sample"]["records"] == 0
    assert all(each["exact"] for each in empty.values())
    assert empty["integration.kept_share"]["value"] == 0
