"""Language models without a network: the yardsticks beside a perplexity.

Unigram with add-one smoothing, and interpolated modified Kneser-Ney (Chen & Goodman 1999, "An empirical
study of smoothing techniques for language modeling", Computer Speech and Language 13, section 3.2 and
appendix A; Kneser & Ney 1995). Both predict token ids of a closed vocabulary, so their probabilities sum
to one over it and they compare token by token with a network on the same tokens. Needs numpy; knows
nothing about text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenfold.errors import ConfigError, InputError
from tenfold.need import need

if TYPE_CHECKING:
    import numpy as np


class Unigram:
    """p(w) = (count(w) + 1) / (tokens + vocabulary)."""

    def __init__(self, texts: Sequence[Sequence[int]], vocabulary: int, end: int) -> None:
        np = need("numpy", extra="train", why="to count tokens")
        flat = np.concatenate([np.asarray([*text, end], np.int64) for text in texts])
        counts = np.bincount(flat, minlength=vocabulary)
        self._log = np.log(counts + 1.0) - np.log(len(flat) + float(vocabulary))

    def log_probabilities(self, text: Sequence[int]) -> np.ndarray:
        """Natural logarithms (num_tokens,), one per token."""
        np = need("numpy", extra="train", why="to count tokens")
        return self._log[np.asarray(text, np.int64)]


@dataclass(frozen=True, slots=True)
class _Level:
    """The k-grams of one order. Sorted keys; a key's last digit in base V is the predicted token."""

    keys: np.ndarray
    discounted: np.ndarray
    """max(count - D(count), 0) / total of the context, float64 (num_keys,)."""
    contexts: np.ndarray
    backoff: np.ndarray
    """Mass a context leaves to the shorter history, float64 (num_contexts,)."""


class KneserNey:
    """Interpolated modified Kneser-Ney of one order over the ids 0 to vocabulary - 1.

    Each text is preceded by `order - 1` end marks, so that nothing is predicted from another text, and
    followed by one, which is an event like any other. Where counts are too few to estimate the three
    discounts, 0.5, 1 and 1.5 are used (as KenLM's --discount_fallback does). Order times bits of the
    vocabulary must not exceed 62: an n-gram is one 64-bit integer.
    """

    def __init__(
        self, texts: Sequence[Sequence[int]], vocabulary: int, *, order: int, end: int
    ) -> None:
        np = need("numpy", extra="train", why="to count n-grams")
        if not 1 <= order <= max_order(vocabulary):
            raise ConfigError(
                f"order must be between 1 and {max_order(vocabulary)} for a vocabulary of {vocabulary}",
                seen=order,
            )
        if not texts:
            raise InputError("no text to count n-grams in", where="evaluate.language")
        self.order, self.vocabulary, self._end = order, vocabulary, end
        grams = np.concatenate([self._grams([*text, end]) for text in texts])
        keys, counts = np.unique(grams, return_counts=True)
        levels = [_level(keys, counts, vocabulary)]
        for shorter in range(order - 1, 0, -1):
            # From here on a k-gram counts once per different token before it, however often it occurs.
            keys, counts = np.unique(keys % vocabulary**shorter, return_counts=True)
            levels.append(_level(keys, counts, vocabulary))
        self._levels = levels[::-1]

    def log_probabilities(self, text: Sequence[int]) -> np.ndarray:
        """Natural logarithms (num_tokens,), each given all tokens before it. Nothing has probability 0."""
        np = need("numpy", extra="train", why="to count n-grams")
        if not len(text):
            return np.empty(0)
        return np.log(self._probabilities(self._grams(text)))

    def distribution(self, history: Sequence[int]) -> np.ndarray:
        """Probabilities (vocabulary,) of every next token; they sum to 1."""
        np = need("numpy", extra="train", why="to count n-grams")
        last = int(self._grams([*history, 0])[-1])
        return self._probabilities(last + np.arange(self.vocabulary))

    def _grams(self, text: Sequence[int]) -> np.ndarray:
        """The longest n-gram ending at each token, as one integer: earlier tokens are higher digits."""
        np = need("numpy", extra="train", why="to count n-grams")
        padded = np.full(len(text) + self.order - 1, self._end, np.int64)
        padded[self.order - 1 :] = text
        grams = np.zeros(len(text), np.int64)
        for place in range(self.order):
            grams = grams * self.vocabulary + padded[place : place + len(text)]
        return grams

    def _probabilities(self, grams: np.ndarray) -> np.ndarray:
        np = need("numpy", extra="train", why="to count n-grams")
        result = np.full(len(grams), 1.0 / self.vocabulary)
        for length, level in enumerate(self._levels, 1):
            keys = grams % self.vocabulary**length
            at, known = _find(np, level.contexts, keys // self.vocabulary)
            # A context never seen says nothing: the shorter history stands as it is.
            result *= np.where(known, level.backoff[at], 1.0)
            at, known = _find(np, level.keys, keys)
            result += np.where(known, level.discounted[at], 0.0)
        return result


def max_order(vocabulary: int) -> int:
    """The longest n-gram over a vocabulary that fits 62 bits, at most 8."""
    return min(8, 62 // max(1, (vocabulary - 1).bit_length()))


def _level(keys: np.ndarray, counts: np.ndarray, vocabulary: int) -> _Level:
    np = need("numpy", extra="train", why="to count n-grams")
    discount = np.array([0.0, *_discounts(np, counts)])[np.minimum(counts, 3)]
    contexts, first = np.unique(keys // vocabulary, return_index=True)
    totals = np.add.reduceat(counts, first)
    per_key = np.repeat(totals, np.diff(np.append(first, len(keys))))
    return _Level(
        keys=keys,
        discounted=(counts - discount) / per_key,
        contexts=contexts,
        backoff=np.add.reduceat(discount, first) / totals,
    )


def _discounts(np, counts: np.ndarray) -> tuple[float, float, float]:  # type: ignore[no-untyped-def]
    """D1, D2 and D3+ from how many n-grams occur once to four times (Chen & Goodman, equation 26)."""
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == times)) for times in (1, 2, 3, 4))
    if n1 and n2 and n3 and n4:
        y = n1 / (n1 + 2 * n2)
        found = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
        if all(0 <= discount <= times for times, discount in enumerate(found, 1)):
            return found
    return 0.5, 1.0, 1.5


def _find(np, sorted_keys, wanted):  # type: ignore[no-untyped-def]
    """Positions of `wanted` in `sorted_keys`, and which of them are really there."""
    at = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    return at, sorted_keys[at] == wanted
