"""Texts that are equal but for case and blanks. Knows texts, not which copy is kept."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import xxhash

from tenfold.data.dedup.texts import Texts, folded


def exact_keys(texts: Texts) -> np.ndarray:
    """uint64 (num_texts, 2): XXH3's 128 bits over each text in lower case with single spaces.

    Two different texts of 2^40 share a key with a chance of 2^-49 (birthday bound, unless somebody
    set out to: XXH3 is no cryptography)."""
    data, offsets = folded(texts)
    view = data.data
    keys = bytearray()
    digest = xxhash.xxh3_128_digest
    for start, end in pairwise(offsets.tolist()):
        keys += digest(view[start:end])
    return np.frombuffer(keys, ">u8").astype(np.uint64).reshape(-1, 2)


def exact_twins(keys: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """For each text the rank of the best one with its key, int64 (num_texts,): its own where it stays."""
    order = np.lexsort((ranks, keys[:, 1], keys[:, 0]))
    sorted_keys, sorted_ranks = keys[order], ranks[order]
    fresh = np.ones(len(keys), bool)
    fresh[1:] = (sorted_keys[1:] != sorted_keys[:-1]).any(1)
    group = np.cumsum(fresh) - 1
    twins = np.empty(len(keys), np.int64)
    twins[order] = sorted_ranks[fresh][group]
    return twins
