from __future__ import annotations

import random
import re
import tarfile
from itertools import pairwise

import pytest

from tenfold.core.asset import Document
from tenfold.data import duplicates

pytest.importorskip("numpy")


def documents(*texts: str) -> list[Document]:
    return [Document(f"{n}", text, f"source{n}", "CC0-1.0") for n, text in enumerate(texts)]


def words(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [f"w{chance.randrange(5000)}" for _ in range(count)]


def test_exact_means_but_for_case_and_blanks():
    twins = list(duplicates.exact(documents("Some  Text", "some text", "some other text")))
    assert [(twin.id, twin.kept) for twin in twins] == [("1", "0")]


def test_the_longer_text_stays_whatever_the_order():
    text = words(100, 1)
    short, long = " ".join(text), " ".join([*text, "one", "more", "end"])
    for order in ((short, long), (long, short)):
        (twin,) = duplicates.near(documents(*order), threshold=0.8)
        assert order[int(twin.id)] == short
        assert twin.similarity == pytest.approx(96 / 99)  # 5-word shingles of 100 and 103 words


def test_similarity_is_verified_not_estimated():
    """Every removed one has a kept twin at or above the threshold, by an independent count."""
    text = words(80, 2)
    variants = []
    for seed in range(60):
        chance = random.Random(seed)
        changed = list(text)
        for place in chance.sample(range(80), chance.randrange(0, 8)):
            changed[place] = "changed"
        variants.append(" ".join(changed))
    made = documents(*variants)
    removed = {twin.id: twin for twin in duplicates.near(made, threshold=0.7)}
    shingles = {d.id: set(zip(*(d.text.split()[k:] for k in range(5)), strict=False)) for d in made}
    assert 0 < len(removed) < 60
    for twin in removed.values():
        a, b = shingles[twin.id], shingles[twin.kept]
        assert len(a & b) / len(a | b) == pytest.approx(twin.similarity)
        assert twin.similarity >= 0.7
        assert twin.kept not in removed


def test_a_text_inside_a_longer_one_is_contained():
    inner = " ".join(words(30, 3))
    outer = (
        " ".join(words(40, 4)) + "\n\n" + inner.upper().replace(" ", "  ") + "\n\n" + "tail " * 20
    )
    (twin,) = duplicates.contained(documents(inner, outer), passage_words=12, share=0.8)
    assert (twin.id, twin.kept, twin.similarity) == ("0", "1", 1.0)
    half = inner + "\n\n" + " ".join(words(30, 5))
    assert (
        list(duplicates.contained(documents(half, outer + "x" * 200), passage_words=12, share=0.8))
        == []
    )


def test_natural_near_duplicates(shared):
    """Versions of real reference pages: recall and precision against all pairs, counted exactly."""
    pages: dict[str, list[str]] = {}
    with tarfile.open(shared / "neardup" / "powershell_docs.tar.gz") as archive:
        for member in archive:
            found = re.search(r"^[^/]+/(.*\.md)$", member.name)
            if found and member.isfile():
                stream = archive.extractfile(member)
                assert stream is not None
                pages.setdefault(found[1], []).append(stream.read().decode("utf-8", "replace"))
    # the same path below the folder of a product version is the same page
    groups = [texts for _, texts in sorted(pages.items()) if len(texts) > 1][:120]
    high = caught = 0
    for texts in groups:
        for left, right in pairwise(texts):
            a, b = (
                {*zip(*(re.findall(r"\w+", t.lower())[k:] for k in range(5)), strict=False)}
                for t in (left, right)
            )
            if len(a & b) >= 0.9 * len(a | b):
                high += 1
                caught += bool(list(duplicates.near(documents(left, right), threshold=0.8)))
    assert high > 100
    assert caught >= 0.995 * high
