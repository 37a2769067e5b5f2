"""The ladder against exhaustive truth, in any order and partition, and with corpora made to hurt it."""

from __future__ import annotations

import random
import re
import tarfile
from datetime import UTC, datetime
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from tenfold.data.dedup.bands import (
    SMALL,
    WINDOW,
    Bands,
    bands,
    candidates,
    chance_found,
    distinct,
)
from tenfold.data.dedup.clusters import components
from tenfold.data.dedup.ladder import Ladder, duplicates
from tenfold.data.dedup.near import Near, near_pairs
from tenfold.data.dedup.precedence import ranks
from tenfold.data.dedup.signatures import signatures
from tenfold.data.dedup.texts import texts_of
from tenfold.errors import ConfigError

WORD = re.compile(r"\w+")


def table(texts, **columns) -> pa.Table:
    num = len(texts)
    return pa.table(
        {
            "id": pa.array(columns.get("id", [f"{at:016x}" for at in range(num)])),
            "authority": pa.array(columns.get("authority", [0.5] * num), pa.float32()),
            "time": pa.array(columns.get("time", [None] * num), pa.timestamp("us", tz="UTC")),
            "text": pa.array(texts, pa.string()),
        }
    )


def grams(text: str) -> set[tuple[str, ...]]:
    words = WORD.findall(text.lower())
    return {tuple(words[at : at + 5]) for at in range(max(1, len(words) - 4))} if words else set()


def similarity(left: set, right: set) -> float:
    return len(left & right) / len(left | right) if left | right else 0.0


def families(
    chance: random.Random, num: int, copies: int, num_words: int = 120, edits: int = 6
) -> list[str]:
    """Texts in families, one after the other, whose members differ in fewer than `edits` words each."""
    vocabulary = [f"{chance.getrandbits(24):x}" for _ in range(4000)]
    found = []
    for _ in range(num):
        words = chance.choices(vocabulary, k=num_words)
        for _ in range(copies):
            changed = list(words)
            for _ in range(chance.randrange(edits)):
                changed[chance.randrange(num_words)] = chance.choice(vocabulary)
            found.append(" ".join(changed))
    return found


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    return families(random.Random(5), 150, 4)


def test_what_is_found_is_true_and_what_is_true_is_found(corpus):
    """Pairs: precision 1 by construction; recall as likely as theory says for each similarity."""
    sets = [grams(text) for text in corpus]
    truth = {
        (a, b): alike
        for a, b in combinations(range(len(corpus)), 2)
        if (alike := similarity(sets[a], sets[b])) >= 0.7
    }
    config = Near(
        threshold=0.7, bands=14, rows=8
    )  # fewer than the default, so that some are missed
    found = near_pairs(texts_of(pa.array(corpus)), np.arange(len(corpus)), config)
    pairs = set(zip(found.left.tolist(), found.right.tolist(), strict=True))
    assert pairs <= set(truth)
    for pair, alike in zip(
        zip(found.left.tolist(), found.right.tolist(), strict=True),
        found.similarity.tolist(),
        strict=True,
    ):
        assert alike == pytest.approx(truth[pair])
    chances = [chance_found(alike, num_bands=14, rows=8) for alike in truth.values()]
    error = sum(chance * (1 - chance) for chance in chances) ** 0.5
    assert len(truth) - 50 > sum(chances) > 100  # the test sees misses
    assert abs(len(pairs) - sum(chances)) < 5 * error

    all_found = near_pairs(texts_of(pa.array(corpus)), np.arange(len(corpus)), Near())
    above = sorted(pair for pair, alike in truth.items() if alike >= 0.8)
    pairs = sorted(zip(all_found.left.tolist(), all_found.right.tolist(), strict=True))
    assert pairs == above  # 22 bands of 5 miss one in 5,000 at 0.8, and there are a few hundred


def test_the_same_records_stay_in_any_order(corpus):
    chance = random.Random(9)
    texts = corpus[:200] + corpus[:20] + ["", " \n", "!!!", "Short one"]
    authority = [chance.choice([0.2, 0.9]) for _ in texts]
    records = table(texts, authority=authority)

    def by_id(order):
        found = duplicates(records.take(order))
        ids = records["id"].take(order).to_numpy()
        return {
            ids[row]: (found.cause[row].as_py(), ids[found.twin[row]], found.similarity[row], ids[found.cluster[row]])
            for row in range(len(ids))
        }  # fmt: skip

    order = list(range(len(texts)))
    first = by_id(order)
    for _ in range(3):
        chance.shuffle(order)
        assert by_id(order) == first
    assert {cause for cause, *_ in first.values()} == {None, "dedup.exact", "dedup.near"}
    for cause, twin, *_ in first.values():
        assert cause is None or first[twin][0] is None


def test_candidates_do_not_depend_on_partitions(corpus):
    signed = signatures(texts_of(pa.array(corpus + corpus[:1] * 100)))
    whole = bands(signed, np.arange(len(signed)))
    expected = candidates(whole)
    assert expected.num_large == 22
    for num_partitions in (2, 7):
        part = whole.key % num_partitions
        pieces = []
        for number in range(num_partitions):
            mine = np.random.default_rng(number).permutation(np.flatnonzero(part == number))
            pieces.append(candidates(Bands(*(column[mine] for column in whole))))
        left, right = distinct(
            np.concatenate([piece.left for piece in pieces]),
            np.concatenate([piece.right for piece in pieces]),
        )
        assert left.tolist() == expected.left.tolist()
        assert right.tolist() == expected.right.tolist()


def test_who_stays_is_authority_then_freshness_then_length_then_id():
    def day(number):
        return datetime(2026, 1, number, tzinfo=UTC)

    records = table(
        ["aaaa", "aaa", "aaa", "aa", "aa", "aa"],
        id=["f", "b", "a", "c", "d", "e"],
        authority=[0.1, 0.5, 0.5, 0.5, 0.9, 0.5],
        time=[day(9), day(2), day(2), day(3), None, None],
    )
    ids = records["id"].to_pylist()
    assert [ids[row] for row in np.argsort(ranks(records))] == ["d", "c", "a", "b", "e", "f"]
    assert ranks(records.drop_columns("text")).tolist()[4] == 0


def test_a_later_rung_moves_the_twin_on():
    base = " ".join(f"w{number}" for number in range(100))
    other = base.replace("w50 ", "x50 ")
    records = table([base, other, other.upper()], authority=[0.9, 0.5, 0.4])
    found = duplicates(records)
    assert found.cause.to_pylist() == [None, "dedup.near", "dedup.exact"]
    assert found.twin.tolist() == [0, 0, 0]
    assert found.cluster.tolist() == [0, 0, 0]
    assert found.similarity.tolist() == pytest.approx([1, 91 / 101, 91 / 101])


def test_ten_thousand_equal_documents_are_linear_work():
    """Punctuation differs, so that only the bands see that they are equal."""
    text = " ".join(f"word{number}" for number in range(50))
    texts = [text.replace(" ", "." * (1 + at % 100) + " ", 1 + at // 100) for at in range(10_000)]
    records = table(texts)
    found = duplicates(records)
    assert found.counts["near.candidates"] <= 10_000 * 22
    kept = [row for row, cause in enumerate(found.cause.to_pylist()) if cause is None]
    assert kept == [int(np.argmin(ranks(records)))]
    assert (found.similarity == 1).all()


def test_a_large_bucket_of_many_families_is_searched_to_the_end():
    """Boilerplate around families: all texts meet in some buckets, but only brothers are near."""
    chance = random.Random(3)
    frame = " ".join(f"frame{number}" for number in range(200))
    texts = [frame + " " + text for text in families(chance, 60, 5, 60, edits=3)]
    sets = [grams(text) for text in texts]
    found = near_pairs(texts_of(pa.array(texts)), np.arange(len(texts)), Near(threshold=0.9))
    assert found.num_large > 0
    for left, right, alike in zip(found.left, found.right, found.similarity, strict=True):
        assert alike == pytest.approx(similarity(sets[left], sets[right]))
        assert alike >= 0.9
    clusters = components(found.left, found.right, len(texts))
    truth = [
        (a, b)
        for first in range(0, len(texts), 5)
        for a, b in combinations(range(first, first + 5), 2)
        if similarity(sets[a], sets[b]) >= 0.9
    ]
    together = np.mean([clusters[a] == clusters[b] for a, b in truth])
    assert len(truth) > 200
    assert together > 0.99
    assert found.num_candidates < len(texts) * 22 * max(SMALL, WINDOW + 1)


def test_texts_without_words_are_not_near_each_other():
    found = duplicates(table(["", "  ", "?!", "--", "...", None, "a", "a b"]))
    causes = found.cause.to_pylist()
    assert causes.count("dedup.exact") == 2  # "", "  " and null are one text
    assert causes.count(None) == 6
    assert duplicates(table([])).cause.to_pylist() == []


def test_one_giant_document_among_small_ones():
    chance = random.Random(8)
    words = [f"{chance.getrandbits(20):x}" for _ in range(400_000)]
    giant = " ".join(words)
    words[200_000] = "changed"
    records = table([giant, " ".join(words), "small and short, is all it says", ""])
    found = duplicates(records)
    assert found.cause.to_pylist().count("dedup.near") == 1
    assert found.similarity.min() > 0.9999
    assert found.cause.to_pylist()[2:] == [None, None]


def test_settings_that_cannot_be():
    for wrong in ({"threshold": 0}, {"threshold": 1.1}, {"words": 0}, {"bands": 23}):
        with pytest.raises(ConfigError):
            Near(**wrong)


def test_natural_versions_of_pages(shared):
    """Pages of a manual in several product versions: no pair at 0.8 or more stays whole, none goes wrongly."""
    pages: dict[str, list[str]] = {}
    with tarfile.open(shared / "neardup" / "powershell_docs.tar.gz") as archive:
        for member in archive:
            name = member.name.removeprefix("./").partition("/")[2]
            if member.isfile() and name.startswith("Microsoft.PowerShell.U"):
                text = archive.extractfile(member).read().decode()
                pages.setdefault(name, []).append(text)
    texts = [text for versions in pages.values() for text in versions]
    page = [name for name, versions in pages.items() for _ in versions]
    assert len(texts) > 300
    found = duplicates(table(texts), Ladder())
    sets = [grams(text) for text in texts]
    stays = [cause is None for cause in found.cause.to_pylist()]
    for row, twin in enumerate(found.twin.tolist()):
        assert stays[row] == (twin == row)
        assert similarity(sets[row], sets[twin]) >= 0.8 - 1e-4
    pairs = [
        (a, b)
        for a, b in combinations(range(len(texts)), 2)
        if page[a] == page[b] and similarity(sets[a], sets[b]) >= 0.8
    ]
    missed = [pair for pair in pairs if stays[pair[0]] and stays[pair[1]]]
    assert len(missed) <= len(pairs) // 1000
