"""BM25 from an inverted index against the formula written out over the texts."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.data.retrieval.postings import Bm25, Postings, scores
from tenfold.data.retrieval.words import numbers, words
from tenfold.errors import ConfigError

WORDS = st.lists(
    st.sampled_from(["ant", "bee", "cat", "dog", "elk", "fox", "gnu", "hen"]), max_size=12
)


def written_out(texts, question, rule):
    """Robertson and Zaragoza 2009, equation 3.15, word by word."""
    documents = [Counter(words(text)) for text in texts]
    mean = sum(sum(one.values()) for one in documents) / len(documents)
    result = []
    for document in documents:
        total = 0.0
        for word in words(question):
            n = sum(word in one for one in documents)
            if not document[word]:
                continue
            if rule.formula == "lucene":
                idf, boost = math.log(1 + (len(documents) - n + 0.5) / (n + 0.5)), 1.0
            else:
                idf, boost = math.log((len(documents) - n + 0.5) / (n + 0.5)), rule.k1 + 1
            long = 1 - rule.b + rule.b * sum(document.values()) / mean
            total += idf * boost * document[word] / (document[word] + rule.k1 * long)
        result.append(total)
    return result


def part(folder, texts):
    folder.mkdir()
    Postings.write(folder, (numbers(text) for text in texts))
    return Postings(folder)


@given(
    texts=st.lists(WORDS.map(" ".join), min_size=1, max_size=12),
    question=WORDS.map(" ".join),
    rule=st.builds(
        Bm25,
        k1=st.floats(0, 3),
        b=st.floats(0, 1),
        formula=st.sampled_from(["lucene", "robertson"]),
    ),
    cuts=st.lists(st.integers(0, 12), max_size=3),
)
def test_scores_are_the_formula_however_the_index_is_cut(
    tmp_path_factory, texts, question, rule, cuts
):
    folder = tmp_path_factory.mktemp("postings")
    places = [0, *sorted(min(cut, len(texts)) for cut in cuts), len(texts)]
    parts = [
        part(folder / str(number), texts[start:end])
        for number, (start, end) in enumerate(pairwise(places))
    ]
    found = scores(parts, numbers(question).tolist(), rule)
    if any(texts):
        assert np.allclose(found, written_out(texts, question, rule))
    else:
        assert not found.any()


def test_words_are_folded_and_normalised():
    assert words("Straße ﬁle Ⅳ don't x_1") == ["strasse", "file", "iv", "don", "t", "x_1"]


def test_settings_out_of_range():
    with pytest.raises(ConfigError):
        Bm25(b=1.5)
