from __future__ import annotations

import math
import random
from collections import Counter, defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

np = pytest.importorskip("numpy")

from tenfold.errors import ConfigError, InputError  # noqa: E402
from tenfold.evaluate.ngram import KneserNey, Unigram, max_order  # noqa: E402

VOCABULARY = 12
TEXTS = st.lists(st.lists(st.integers(0, VOCABULARY - 1), max_size=30), min_size=1, max_size=6)


@settings(deadline=None)
@given(TEXTS, st.integers(1, 5), st.lists(st.integers(0, VOCABULARY - 1), max_size=6))
def test_probabilities_sum_to_one_and_none_is_zero(texts, order, history):
    model = KneserNey(texts, VOCABULARY, order=order, end=0)
    distribution = model.distribution(history)
    assert distribution.sum() == pytest.approx(1)
    assert distribution.min() > 0
    scored = np.exp(model.log_probabilities([*history, 5])[-1])
    assert scored == pytest.approx(distribution[5])


def naive(texts, order, end):
    """Modified Kneser-Ney straight from the paper's formulas: dictionaries, one n-gram at a time."""
    counts: dict[int, Counter] = {length: Counter() for length in range(1, order + 1)}
    for text in texts:
        padded = [end] * (order - 1) + list(text) + [end]
        for at in range(order - 1, len(padded)):
            counts[order][tuple(padded[at - order + 1 : at + 1])] += 1
    for length in range(order - 1, 0, -1):
        before = defaultdict(set)
        for gram in counts[length + 1]:
            before[gram[1:]].add(gram[0])
        counts[length] = Counter({gram: len(each) for gram, each in before.items()})

    def discounts(length):
        n = Counter(counts[length].values())
        if not all(n[times] for times in (1, 2, 3, 4)):
            return [0.0, 0.5, 1.0, 1.5]
        y = n[1] / (n[1] + 2 * n[2])
        found = [0.0] + [k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3)]
        return found if all(0 <= d <= k for k, d in enumerate(found)) else [0.0, 0.5, 1.0, 1.5]

    table = {length: discounts(length) for length in counts}

    def probability(word, history):
        if len(history) == 0 and history == ():
            lower = 1 / VOCABULARY
        else:
            lower = probability(word, history[1:])
        length = len(history) + 1
        following = {gram[-1]: c for gram, c in counts[length].items() if gram[:-1] == history}
        total = sum(following.values())
        if not total:
            return lower
        d = table[length]
        left = sum(d[min(c, 3)] for c in following.values())
        own = following.get(word, 0)
        return (own - d[min(own, 3)]) / total + left / total * lower

    return probability


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_equals_an_independent_computation(order):
    chance = random.Random(order)
    weights = [1 / (rank + 1) ** 2 for rank in range(VOCABULARY)]
    texts = [chance.choices(range(VOCABULARY), weights, k=60) for _ in range(8)]
    model, expected = KneserNey(texts, VOCABULARY, order=order, end=0), naive(texts, order, 0)
    new = chance.choices(range(VOCABULARY), weights, k=25)
    padded = [0] * (order - 1) + new
    ours = np.exp(model.log_probabilities(new))
    for at, word in enumerate(new):
        assert ours[at] == pytest.approx(expected(word, tuple(padded[at : at + order - 1])))


def test_a_chain_is_learnt_as_well_as_its_entropy_allows():
    """Cross-entropy on new text of a known source lies just above the source's entropy rate."""
    chance = random.Random(9)
    options = {a: [(a * 5 + 1) % VOCABULARY, (a * 7 + 2) % VOCABULARY] for a in range(VOCABULARY)}

    def walk(length):
        made = [3]
        for _ in range(length):
            made.append(chance.choices(options[made[-1]], [0.8, 0.2])[0])
        return made[1:]

    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    train, test = [walk(4000) for _ in range(5)], walk(4000)
    for order in (2, 3):
        model = KneserNey(train, VOCABULARY, order=order, end=0)
        found = -model.log_probabilities(test)[2:].mean()
        assert entropy - 0.03 < found < entropy + 0.03
    assert -Unigram(train, VOCABULARY, 0).log_probabilities(test).mean() > 3 * entropy


def test_unigram_is_add_one():
    model = Unigram([[1, 1], [2]], 5, end=0)  # events 1 1 0 2 0
    assert np.exp(model.log_probabilities(range(5))) == pytest.approx(
        np.array([3, 3, 2, 1, 1]) / 10
    )


def test_an_ngram_must_fit_an_integer():
    assert max_order(2048) == 5
    assert max_order(50_000) == 3
    top = 2**15
    model = KneserNey([[top - 1] * 9], top, order=max_order(top), end=0)
    assert model.distribution([top - 1] * 4).argmax() == top - 1
    with pytest.raises(ConfigError, match="order must be between 1 and 3"):
        KneserNey([[1]], 50_000, order=4, end=0)
    with pytest.raises(InputError, match="no text"):
        KneserNey([], 5, order=2, end=0)
