"""Two snapshots: silent where nothing changed, at a stated rate of error; a planted shift is found by its name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tenfold.data.diff import diff
from tenfold.data.gauges import difference
from tenfold.data.gauges.gauge import Exact
from tenfold.data.gauges.gauging import Wanted, readings

DAY_US = 86_400 * 1_000_000
NOW_US = 20_000 * DAY_US
WANTED = Wanted(
    records=300, words=400, block=20, as_of_us=NOW_US, half_life_days={"a": 100.0, "b": 10.0}, seed=3,
    classes={"meta.kind": ["x", "y"]}, queries=["word3 word900", "word5"],
)  # fmt: skip
VOCABULARY = [f"word{n}" for n in range(1000)]
ZIPF = 1 / np.arange(1, 1001)
ZIPF = ZIPF / ZIPF.sum()


def process(seed, count=300, *, of_a=0.5, age_days=60.0, with_mail=0.05, english=0.8):
    """Columns of records drawn from one and the same world, but for what is shifted."""
    chance = np.random.default_rng(seed)
    texts = []
    for n in range(count):
        words = chance.choice(VOCABULARY, int(chance.integers(20, 60)), p=ZIPF).tolist()
        mail = [f"write to person{seed}{n}@example.com"] if chance.random() < with_mail else []
        texts.append(" ".join(words + mail))
    return {
        "text": texts,
        "source": chance.choice(["a", "b"], count, p=[of_a, 1 - of_a]).tolist(),
        "time": [int(NOW_US - each) for each in chance.exponential(age_days * DAY_US, count)],
        "meta": [f'{{"kind": "{each}"}}' for each in chance.choice(["x", "y"], count)],
        "language.label": chance.choice(["en", "de"], count, p=[english, 1 - english]).tolist(),
    }


def compared(before, after, wanted=WANTED):
    (old, earlier), (new, later) = (readings(each, wanted, None) for each in (before, after))
    return difference.differences(old.gauges, new.gauges, (earlier, later), wanted.seed)


TRIALS = 40


def test_without_a_shift_it_is_silent_but_for_the_stated_error(snapshot):
    """Of pairs from one world at most 5 % may show anything. More than `allowed` of 40 at that rate: once in 500."""
    alarms, looked_at = [], 0
    for seed in range(TRIALS):
        found = compared(snapshot(**process(2 * seed)), snapshot(**process(2 * seed + 1)))
        looked_at = len(found)
        alarms.append([each.name for each in found if each.beyond_noise])
    allowed = int(stats.binom.ppf(1 - 1 / 500, TRIALS, difference.ERROR))
    assert sum(map(bool, alarms)) <= allowed, [each for each in alarms if each]
    assert looked_at > 20, "many gauges at once are what makes it hard"


@pytest.mark.parametrize(
    ("shift", "gauge"),
    [
        ({"of_a": 0.9}, "diversity.source_entropy"),
        ({"age_days": 240.0}, "freshness.weight_mean"),
        ({"with_mail": 0.3}, "pii.record_share"),
        ({"english": 0.4}, "diversity.language_entropy"),
    ],
)
def test_a_planted_shift_is_found(snapshot, shift, gauge):
    for seed in range(3):
        found = compared(snapshot(**process(seed)), snapshot(**process(seed + 50, **shift)))
        [there] = [each for each in found if each.name == gauge]
        assert there.beyond_noise, (seed, there)
        assert there.low <= there.change <= there.high
        assert not there.low <= 0 <= there.high


def test_shared_records_cancel_out(snapshot):
    """Six records of 300 lose their time: with the rest shared that is seen; in other records it could be chance."""
    columns = process(1)
    fewer = {**columns, "time": [None if n < 16 else t for n, t in enumerate(columns["time"])]}
    base = {**columns, "time": [None if 16 <= n < 40 else t for n, t in enumerate(columns["time"])]}
    gone = {**base, "time": [None if n < 40 else t for n, t in enumerate(columns["time"])]}
    name = "freshness.unknown_share"
    [paired] = [e for e in compared(snapshot(**base), snapshot(**gone)) if e.name == name]
    other = snapshot(**{**process(2), "time": gone["time"]})
    [apart] = [e for e in compared(snapshot(**base), other) if e.name == name]
    assert paired.change == pytest.approx(apart.change) == pytest.approx(16 / 300)
    assert paired.high - paired.low < 0.75 * (apart.high - apart.low)
    assert paired.p < apart.p
    same = compared(snapshot(**fewer), snapshot(**fewer))
    assert all(each.change == 0 for each in same)
    assert not any(each.beyond_noise for each in same)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_stands_between_bonferroni_and_none(chances):
    stands = difference.holm(list(chances), 0.05)
    for p, each in zip(chances, stands, strict=True):
        if p <= 0.05 / len(chances):
            assert each
        if p > 0.05:
            assert not each


@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 200), st.integers(0, 200))
def test_counted_shares_are_compared_as_the_chi_square_test_does(many, more, some, others):
    some, others = min(some, many), min(others, more)
    found = difference.counted(
        Exact("x", "share", some / many, many), Exact("x", "share", others / more, more)
    )
    table = [[some, many - some], [others, more - others]]
    if 0 in np.sum(table, axis=0):
        assert found == 1
    else:
        assert found == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)


def test_the_step_says_what_changed(snapshot, run, ctx):
    before, after = snapshot(**process(1)), snapshot(**process(2, of_a=0.9))
    report = run(diff, before, after, records=300, words=400, block=20, as_of="2024-10-04")
    assert ctx.metrics["diversity.source_entropy.beyond_noise"] == 1
    assert ctx.metrics["diversity.source_entropy.change.high"] < 0
    assert ctx.metrics["beyond_noise"] >= 1
    assert ctx.metrics["shared_share"] == 0
    assert report.content["snapshots"] == [before.digest, after.digest]
    assert not any("word3" in line for line in report.lines("report.json")), "figures, no records"
