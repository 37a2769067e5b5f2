"""Asking a fastText model about many texts at once, compiled: the same labels and scores as its own program.

A word's vectors are summed once and remembered for the words to come, which changes no sum by more than
rounding. Of a long text three windows are read: its beginning, its middle and its end. Knows
hashes, vectors and the tree of labels; knows no file.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from tenfold.data.text.buffers import Bytes, Offsets, Rows
from tenfold.data.text.fasttext import Model

_MEMORY = 1 << 17
"""Words remembered in one call, at most half of these."""
_OFFSET = np.uint64(2166136261)
_PRIME = np.uint64(16777619)
_LOW = np.uint64(0xFFFFFFFF)
_SIGN = np.uint64(0xFFFFFF00)
_START = np.uint64(0xCBF29CE484222325)
_LONG = np.uint64(0x100000001B3)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


def predict(
    model: Model, data: Bytes, offsets: Offsets, rows: Rows, *, window_bytes: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The likeliest label of each text and its probability; -1 and 0 where `rows` is false or nothing was read.

    `window_bytes`: of texts longer than three times this, three windows are read; 0: always all of it.
    """
    return _predict(
        data, offsets, rows, window_bytes, model.vectors, model.nodes, model.children, model.words,
        model.word_hashes, model.kept, model.some, model.shortest, model.longest, model.end,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _step(value, byte):
    """FNV-1a of 32 bits, kept in 64; fastText's bytes are signed, so high ones flip all upper bits."""
    if byte < 128:
        return ((value ^ np.uint64(byte)) * _PRIME) & _LOW
    return ((value ^ (np.uint64(byte) | _SIGN)) * _PRIME) & _LOW


@njit(cache=True, nogil=True)
def _blank(byte):
    return byte == 32 or 9 <= byte <= 13 or byte == 0


@njit(cache=True, nogil=True)
def _grams(marked, size, vectors, kept, some, shortest, longest, total):
    """Adds the vectors of all n-grams of a word between its marks `<` and `>`; returns how many."""
    count = 0
    bucket = np.uint64(len(kept))
    for start in range(size):
        if marked[start] & 0xC0 == 0x80:
            continue
        value, at, n = _OFFSET, start, 1
        while at < size and n <= longest:
            value = _step(value, marked[at])
            at += 1
            while at < size and marked[at] & 0xC0 == 0x80:
                value = _step(value, marked[at])
                at += 1
            if n >= shortest and not (n == 1 and (start == 0 or at == size)):
                value_bucket = value % bucket
                if (some[value_bucket >> np.uint64(3)] >> (value_bucket & np.uint64(7))) & 1:
                    row = kept[value_bucket]
                    for place in range(total.size):
                        total[place] += vectors[row, place]
                    count += 1
            n += 1
    return count


@njit(cache=True, nogil=True)
def _sum_word(
    data, start, end, vectors, words, word_hashes, kept, some, shortest, longest, marked, total
):
    """The vectors of one word and of its n-grams, summed; returns how many there were."""
    total[:] = 0
    value = _OFFSET
    for at in range(start, end):
        value = _step(value, data[at])
        marked[at - start + 1] = data[at]
    count = 0
    mask = np.uint64(len(words) - 1)
    place = value & mask
    while words[place] >= 0:
        if word_hashes[place] == value:
            for column in range(total.size):
                total[column] += vectors[words[place], column]
            count = 1
            break
        place = (place + np.uint64(1)) & mask
    marked[0] = 60
    marked[end - start + 1] = 62
    return count + _grams(marked, end - start + 2, vectors, kept, some, shortest, longest, total)


@njit(cache=True, nogil=True)
def _best(hidden, nodes, children, chances):
    """The likeliest leaf of the tree and its logarithm of probability."""
    num_inner = len(children)
    num_leaves = num_inner + 1
    chances[num_leaves + num_inner - 1] = 0.0
    best, highest = -1, -np.inf
    for inner in range(num_inner - 1, -1, -1):
        dot = np.float32(0)
        for place in range(hidden.size):
            dot += nodes[inner, place] * hidden[place]
        right = 1.0 / (1.0 + math.exp(-dot))
        so_far = chances[num_leaves + inner]
        for side in range(2):
            child = children[inner, side]
            # The same floor as fastText's std_log.
            chance = so_far + math.log((right if side else 1.0 - right) + 1e-5)
            chances[child] = chance
            if child < num_leaves and chance > highest:
                best, highest = child, chance
    return best, highest


@njit(cache=True, nogil=True)
def _predict(
    data, offsets, rows, window, vectors, nodes, children, words, word_hashes, kept, some, shortest, longest, end_row
):  # fmt: skip
    num_texts = len(offsets) - 1
    dim = vectors.shape[1]
    labels = np.full(num_texts, -1, dtype=np.int32)
    scores = np.zeros(num_texts, dtype=np.float32)
    hidden = np.empty(dim, dtype=np.float32)
    total = np.empty(dim, dtype=np.float32)
    chances = np.empty(2 * len(children) + 1, dtype=np.float64)
    known = np.zeros(_MEMORY, dtype=np.uint64)
    counts = np.empty(_MEMORY, dtype=np.int64)
    sums = np.empty((_MEMORY, dim), dtype=np.float32)
    num_known = 0
    biggest = 0
    for row in range(num_texts):
        biggest = max(biggest, offsets[row + 1] - offsets[row])
    marked = np.empty(biggest + 2, dtype=np.uint8)
    mask = np.uint64(_MEMORY - 1)
    for row in range(num_texts):
        start, end = offsets[row], offsets[row + 1]
        if not rows[row] or start == end:
            continue
        size = end - start
        windows = 3 if window and size > 3 * window else 1
        hidden[:] = vectors[end_row]
        num = 1
        for part in range(windows):
            at, until = start, end
            if windows == 3:
                at = (
                    start
                    if part == 0
                    else end - window
                    if part == 2
                    else start + (size - window) // 2
                )
                until = at + window
                # Not in mid-word where white space is near, never in mid-character.
                near = at
                while part and near < at + 40 and not _blank(data[near]):
                    near += 1
                if part and near < at + 40:
                    at = near
                while at < until and data[at] & 0xC0 == 0x80:
                    at += 1
                near = until
                while part < 2 and near > until - 40 and not _blank(data[near - 1]):
                    near -= 1
                if part < 2 and near > until - 40:
                    until = near
                while until > at and until < end and data[until] & 0xC0 == 0x80:
                    until -= 1
            while at < until:
                if _blank(data[at]):
                    at += 1
                    continue
                begin, value = at, _START
                while at < until and not _blank(data[at]):
                    value = (value ^ np.uint64(data[at])) * _LONG
                    at += 1
                if (
                    at - begin >= 9 and data[begin] == 95 and data[begin + 1] == 95 and data[begin + 2] == 108
                    and data[begin + 3] == 97 and data[begin + 4] == 98 and data[begin + 5] == 101
                    and data[begin + 6] == 108 and data[begin + 7] == 95 and data[begin + 8] == 95
                ):  # fmt: skip
                    continue  # __label__: no word of a text
                place = (value * _SPREAD) >> np.uint64(47)
                while known[place] != 0 and known[place] != value:
                    place = (place + np.uint64(1)) & mask
                if known[place] == value:
                    num += counts[place]
                    for column in range(dim):
                        hidden[column] += sums[place, column]
                    continue
                count = _sum_word(
                    data,
                    begin,
                    at,
                    vectors,
                    words,
                    word_hashes,
                    kept,
                    some,
                    shortest,
                    longest,
                    marked,
                    total,
                )
                num += count
                for column in range(dim):
                    hidden[column] += total[column]
                if num_known < _MEMORY // 2 and value != 0:
                    known[place], counts[place] = value, count
                    sums[place] = total
                    num_known += 1
        if num:
            for column in range(dim):
                hidden[column] /= num
            best, highest = _best(hidden, nodes, children, chances)
            labels[row] = best
            scores[row] = math.exp(highest)
    return labels, scores
