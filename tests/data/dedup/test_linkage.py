"""Rows that are one thing, against published truth; weights against the truth they were drawn from."""

from __future__ import annotations

import csv
import gzip
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from tenfold.data.dedup.linkage import Linkage, learn, link
from tenfold.data.dedup.strings import jaro_winkler
from tenfold.data.dedup.texts import texts_of
from tenfold.errors import ConfigError, UnknownName


def pairs(names) -> int:
    return sum(size * (size - 1) // 2 for size in Counter(names).values())


def precision_recall(found, truth) -> tuple[float, float]:
    both = pairs(zip(found, truth, strict=True))
    return both / pairs(found), both / pairs(truth)


@pytest.fixture(scope="module")
def persons(shared):
    with gzip.open(shared / "tabular" / "febrl_dataset3.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    truth = [row["rec_id"].split("-")[1] for row in rows]
    fields = tuple(name for name in rows[0] if name != "rec_id")
    return pa.table({name: [row[name].strip() or None for row in rows] for name in fields}), truth


def test_persons_with_errors_in_their_data_are_found(persons):
    table, truth = persons
    found = link(table, Linkage(fields=tuple(table.column_names)))
    precision, recall = precision_recall(found.entity.tolist(), truth)
    assert precision > 0.995
    assert recall > 0.99
    assert found.num_candidates < 0.02 * len(truth) ** 2 / 2


def test_the_order_of_rows_does_not_matter(persons):
    table, _ = persons
    table = table.slice(0, 1500)
    config = Linkage(fields=("given_name", "surname", "date_of_birth", "suburb", "soc_sec_id"))
    order = np.random.default_rng(3).permutation(len(table))
    first, second = link(table, config).entity, link(table.take(order), config).entity

    def clusters(entity, numbers):
        groups: dict[int, list[int]] = {}
        for number, name in zip(numbers, entity.tolist(), strict=True):
            groups.setdefault(name, []).append(number)
        return sorted(sorted(group) for group in groups.values())

    assert clusters(first, range(1500)) == clusters(second, order.tolist())


def test_expectation_maximisation_finds_what_made_the_data():
    """Pairs drawn from known m, u and share, with a tenth missing."""
    random = np.random.default_rng(1)
    same = np.array([[0.05, 0.05, 0.2, 0.7], [0.1, 0.1, 0.1, 0.7], [0.02, 0.03, 0.05, 0.9]])
    other = np.array([[0.9, 0.07, 0.02, 0.01], [0.8, 0.1, 0.05, 0.05], [0.6, 0.2, 0.1, 0.1]])
    num = 60_000
    is_same = random.random(num) < 0.15
    drawn = random.random((num, 3, 1))
    frequency = np.where(is_same[:, None, None], same, other)
    levels = (drawn > np.cumsum(frequency, 2)).sum(2).clip(0, 3).astype(np.int8)
    levels[random.random((num, 3)) < 0.1] = -1
    weights = learn(levels, levels[~is_same], ("a", "b", "c"))
    assert weights.share == pytest.approx(0.15, abs=0.01)
    assert np.abs(weights.same - same).max() < 0.03
    assert np.abs(weights.other - other).max() < 0.02
    chances = weights.chances(levels)
    for low, high in ((0.2, 0.5), (0.5, 0.8), (0.9, 1.01)):
        part = (chances >= low) & (chances < high)
        assert abs(is_same[part].mean() - chances[part].mean()) < 0.06


def test_jaro_winkler_is_the_published_one():
    """Winkler's well-known examples, to three digits."""
    published = [
        ("MARTHA", "MARHTA", 0.961),
        ("DUNNINGHAM", "CUNNIGHAM", 0.896),
        ("NICHLESON", "NICHULSON", 0.956),
        ("MASSEY", "MASSIE", 0.933),
        ("ABROMS", "ABRAMS", 0.922),
        ("JERALDINE", "GERALDINE", 0.926),
        ("MICHELLE", "MICHAEL", 0.921),
        ("JULIES", "JULIUS", 0.933),
        ("SEAN", "SUSAN", 0.805),
        ("JON", "JAN", 0.80),
        ("abc", "xyz", 0.0),
        ("same", "same", 1.0),
        ("", "", -1.0),
        ("a", "", -1.0),
        ("x" * 80 + "a", "x" * 80 + "b", 0.999),
    ]
    texts = texts_of(pa.array([word for left, right, _ in published for word in (left, right)]))
    left = np.arange(0, len(texts.offsets) - 1, 2)
    assert jaro_winkler(texts, left, left + 1) == pytest.approx(
        [value for *_, value in published], abs=6e-4
    )


def test_tables_with_nothing_to_link():
    empty = pa.table({"a": pa.array([], pa.string())})
    assert link(empty, Linkage(fields=("a",))).entity.tolist() == []
    missing = pa.table({"a": pa.nulls(3), "b": [1, 2, 3]})
    found = link(missing, Linkage(fields=("a", "b")))
    assert found.entity.tolist() == [0, 1, 2]
    assert found.weights is None
    for wrong in ({"fields": ()}, {"fields": ("a",), "chance": 2}, {"fields": ("a",), "block": 1}):
        with pytest.raises(ConfigError):
            Linkage(**wrong)
    with pytest.raises(UnknownName, match="column"):
        link(missing, Linkage(fields=("c",)))
