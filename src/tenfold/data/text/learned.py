"""The operator `learned`: quality as a linear classifier sees it, trained from good records and poor ones.

Features are hashed words and pairs of words, each once per text, so that neither length nor repetition
counts (the idea of Brown et al. 2020, appendix A, and of Joulin et al. 2017 for hashed n-grams). Training is
logistic regression with AdaGrad steps (Duchi et al. 2011) in a fixed order: same records, same weights. A score is
annotated; nothing is dropped unless a limit is set. Knows texts, not what makes them good.
"""

from __future__ import annotations

import base64
import math
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from tenfold.data import operator, record
from tenfold.data.text import buffers
from tenfold.data.text.repetition import mixed
from tenfold.errors import ConfigError, InputError

BITS = 18
"""Weights are 2 to this power; one byte each once trained."""
MOST_WORDS = 2000
"""Words read of a text, from its beginning."""
_START = np.uint64(0xCBF29CE484222325)
_PRIME = np.uint64(0x100000001B3)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_PLACES = np.uint64((1 << BITS) - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """Writes `learned.score`, the probability of being good, 0 to 1; drops `learned.poor` below `min_score`."""

    name: ClassVar[str] = "learned"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.TEXT, record.DROP)
    writes: ClassVar[tuple[str, ...]] = ("learned.score", record.DROP)

    weights: str = field(repr=False)
    """What `train` made, as text, so that it is part of the key of what it scores."""
    min_score: float = 0.0
    """Below it a text goes; 0: none does."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise ConfigError("min_score must be between 0 and 1", seen=self.min_score)
        _unpacked(self.weights)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        data, offsets = buffers.views(batch.column(record.TEXT))
        judged = batch.column(record.DROP).is_null().to_numpy(zero_copy_only=False)
        scores = _scores(data, offsets, judged, *_unpacked(self.weights))
        batch = operator.with_column(batch, "learned.score", buffers.floats(scores, judged))
        poor = judged & (scores < self.min_score)
        return operator.dropped(batch, pa.array(poor), "learned.poor")


def train(good: pa.Array, poor: pa.Array, *, passes: int = 5, min_score: float = 0.0) -> Learned:
    """A classifier of texts like `good` (score near 1) from texts like `poor`.

    Both are columns of strings. The sets weigh the same, whatever their sizes. Raises InputError where one is empty.
    """
    if not len(good) or not len(poor):
        raise InputError(
            "a quality classifier needs good and poor texts", seen=f"{len(good)} and {len(poor)}"
        )
    texts = pa.concat_arrays([part.cast(pa.large_string()) for part in (good, poor)])
    data, offsets = buffers.views(texts)
    labels = np.zeros(len(texts), dtype=np.float64)
    labels[: len(good)] = 1
    shares = np.where(labels > 0, len(texts) / (2 * len(good)), len(texts) / (2 * len(poor)))
    order = np.random.default_rng(0).permuted(np.tile(np.arange(len(texts)), (passes, 1)), axis=1)
    weights, bias = _fit(data, offsets, labels, shares, order.ravel())
    return Learned(weights=_packed(weights, bias), min_score=min_score)


def _packed(weights: npt.NDArray[np.float32], bias: float) -> str:
    scale = float(np.abs(weights).max()) / 127 or 1.0
    codes = np.round(weights / scale).astype(np.int8).tobytes()
    head = np.array([scale, bias], dtype="<f8").tobytes()
    return base64.b85encode(zlib.compress(head + codes, 9)).decode()


@lru_cache(maxsize=4)
def _unpacked(text: str) -> tuple[npt.NDArray[np.float32], float]:
    try:
        raw = zlib.decompress(base64.b85decode(text))
    except (ValueError, zlib.error):
        raw = b""
    if len(raw) != 16 + (1 << BITS):
        raise ConfigError("these are not weights of a quality classifier", seen=text[:40])
    scale, bias = np.frombuffer(raw, dtype="<f8", count=2)
    codes = np.frombuffer(raw, dtype=np.int8, offset=16)
    return codes.astype(np.float32) * np.float32(scale), float(bias)


@njit(cache=True, nogil=True)
def _features(data, start, end, seen, stamp, out):
    """Places of the text's words and pairs of words, each once, letters in lower case; how many there are.

    `seen` holds for every place the last text that had it.
    """
    count, num_words, at = 0, 0, start
    before = np.uint64(0)
    while at < end and num_words < MOST_WORDS:
        if data[at] <= 32:
            at += 1
            continue
        value = _START
        while at < end and data[at] > 32:
            byte = data[at]
            if 65 <= byte <= 90:
                byte |= np.uint8(32)
            value = (value ^ np.uint64(byte)) * _PRIME
            at += 1
        num_words += 1
        for pair in range(2 if num_words > 1 else 1):
            place = mixed(before * _MIX + value if pair else value) & _PLACES
            if seen[place] != stamp:
                seen[place] = stamp
                out[count] = place
                count += 1
        before = value
    return count


@njit(cache=True, nogil=True)
def _chance(weights, bias, places, count):
    total = 0.0
    for number in range(count):
        total += weights[places[number]]
    # As many features, as many votes: a long text is not surer than a short one.
    margin = bias + total / math.sqrt(max(count, 1))
    return 1.0 / (1.0 + math.exp(-min(max(margin, -30.0), 30.0)))


@njit(cache=True, nogil=True)
def _scores(data, offsets, rows, weights, bias):
    seen = np.full(len(weights), -1, dtype=np.int64)
    places = np.empty(2 * MOST_WORDS, dtype=np.int64)
    out = np.zeros(len(rows), dtype=np.float64)
    for row in range(len(rows)):
        if rows[row]:
            count = _features(data, offsets[row], offsets[row + 1], seen, row, places)
            out[row] = _chance(weights, bias, places, count)
    return out


@njit(cache=True, nogil=True)
def _fit(data, offsets, labels, shares, order):
    weights = np.zeros(1 << BITS, dtype=np.float32)
    squares = np.full(1 << BITS, 1e-4, dtype=np.float32)
    seen = np.full(1 << BITS, -1, dtype=np.int64)
    places = np.empty(2 * MOST_WORDS, dtype=np.int64)
    bias, bias_squares = 0.0, 1e-4
    for turn in range(len(order)):
        row = order[turn]
        count = _features(data, offsets[row], offsets[row + 1], seen, turn, places)
        error = (labels[row] - _chance(weights, bias, places, count)) * shares[row]
        bias_squares += error * error
        bias += 0.1 * error / math.sqrt(bias_squares)
        slope = error / math.sqrt(max(count, 1))
        for number in range(count):
            place = places[number]
            squares[place] += slope * slope
            weights[place] += 0.1 * (slope - 1e-5 * weights[place]) / math.sqrt(squares[place])
    return weights, bias
