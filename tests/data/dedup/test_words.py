"""What the kernels see in the bytes, against Python's own reading of the same text."""

from __future__ import annotations

import re
from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from tenfold.data.dedup.exact import exact_keys, exact_twins
from tenfold.data.dedup.shingles import jaccard, shingle_sets
from tenfold.data.dedup.texts import folded, taken, texts_of

WORD = re.compile(r"\w+")
# Letters with upper and lower case in several scripts, digits, punctuation, blanks; no marks and no scripts
# without blanks, where we differ from `\w` on purpose.
LETTERS = st.text(alphabet="abAB_9 .,\n\t ÄäßÉéДдΣσİıŒœ-—“”", max_size=60)


def shingles(text: str, words: int) -> set[tuple[str, ...]]:
    lowered = [
        "".join(c.lower() if len(c.lower()) == 1 else c for c in w) for w in WORD.findall(text)
    ]
    width = min(words, len(lowered))
    return {tuple(lowered[at : at + width]) for at in range(len(lowered) - width + 1) if width}


@given(left=LETTERS, right=LETTERS, words=st.integers(1, 6))
def test_jaccard_is_that_of_python_sets(left, right, words):
    sets = shingle_sets(texts_of(pa.array([left, right])), words)
    a, b = shingles(left, words), shingles(right, words)
    assert list(np.diff(sets.offsets)) == [len(a), len(b)]
    expected = len(a & b) / len(a | b) if a | b else 0
    assert jaccard(sets, np.array([0]), np.array([1]))[0] == pytest.approx(expected)


@given(st.lists(LETTERS, max_size=8))
def test_folded_is_lower_case_with_single_blanks(texts):
    data, offsets = folded(texts_of(pa.array(texts, pa.string())))
    found = [bytes(data[a:b]).decode() for a, b in pairwise(offsets)]
    assert found == [
        " ".join("".join(c.lower() if len(c.lower()) == 1 else c for c in text).split())
        for text in texts
    ]


@given(st.binary(max_size=40))
def test_broken_utf8_is_read_to_its_end_and_no_further(raw):
    texts = texts_of(pa.array(["", "zz"]))
    data = np.frombuffer(raw + b"tail", np.uint8)
    offsets = np.array([0, len(raw)], np.int64)
    alone = shingle_sets(type(texts)(np.frombuffer(raw, np.uint8), offsets))
    within = shingle_sets(type(texts)(data, offsets))
    assert alone.hashes.tolist() == within.hashes.tolist()


def test_long_texts_have_the_shingles_of_their_parts():
    """Blocks of words are an implementation matter: no shingle is lost or made at their seams."""
    words = [f"w{number}" for number in range(3000)]
    for length in (511, 512, 513, 516, 517, 518, 1024, 1028, 3000):
        text = " ".join(words[:length])
        sets = shingle_sets(texts_of(pa.array([text])))
        assert len(sets.hashes) == length - 4
        pieces = [" ".join(words[at : at + 5]) for at in range(length - 4)]
        one_each = shingle_sets(texts_of(pa.array(pieces)))
        assert sorted(one_each.hashes.tolist()) == sets.hashes.tolist()


def test_scripts_without_blanks_have_words_all_the_same():
    pair = texts_of(
        pa.array(["今日は天気がいいから散歩しましょう", "今日は天気がいいから買物しましょう"])
    )
    similarity = jaccard(shingle_sets(pair), np.array([0]), np.array([1]))[0]
    assert 0.2 < similarity < 0.6  # 13 shingles each, of which the two changed signs touch 6


def test_vowel_signs_do_not_part_words():
    sets = shingle_sets(texts_of(pa.array(["हिन्दी में लिखा हुआ एक वाक्य"])), 1)
    assert len(sets.hashes) == 6


def test_slices_nulls_and_chunks_are_the_same_texts():
    texts = ["zero", "one two three", None, "four", "five six", "seven"]
    whole = pa.array(texts)
    plain = texts_of(pa.array([text or "" for text in texts[1:5]]))
    for column in (
        whole.slice(1, 4),
        whole.cast(pa.large_string()).slice(1, 4),
        pa.chunked_array([whole.slice(1, 2), whole.slice(3, 2)]),
    ):
        found = texts_of(column)
        assert exact_keys(found).tolist() == exact_keys(plain).tolist()
        assert shingle_sets(found).hashes.tolist() == shingle_sets(plain).hashes.tolist()
    assert exact_keys(taken(plain, np.array([3, 0]))).tolist() == exact_keys(plain)[[3, 0]].tolist()
    assert len(texts_of(pa.array([], pa.string())).offsets) == 1
    with pytest.raises(TypeError):
        texts_of(pa.array([1]))


def test_equal_but_for_case_and_blanks_go_for_the_best_rank():
    texts = texts_of(pa.array(["A  b", "other", "a B\n", "", " a b", "\t"]))
    twins = exact_twins(exact_keys(texts), np.array([5, 4, 3, 2, 1, 0]))
    assert twins.tolist() == [1, 4, 1, 0, 1, 0]
