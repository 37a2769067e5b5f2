"""Similar texts: cosine of character n-grams weighted by rarity, or of vectors that an encoder makes.

The offline default needs no model: TF-IDF over hashed character 3- to 5-grams, kept sparse. On STS-B's test
sentences its rank correlation with people's scores is .69 (bench/data_dedup.py).
Similar is not same: two texts that differ in one number are similar. Knows texts and ranks, not records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import scipy.sparse as sp

from tenfold.data.dedup.alphabet import BLANK, alphabet
from tenfold.data.dedup.bands import distinct
from tenfold.data.dedup.texts import Texts, code_point, kind_of, lower_of, mixed
from tenfold.errors import ConfigError, InputError

NEIGHBOURS = 16
"""Nearest texts looked at for each text, with an encoder."""
EXACT_ROWS = 20_000
"""Up to so many vectors are compared all with all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Similar:
    """When two texts are similar."""

    threshold: float = 0.9
    """Cosine from which one goes, above 0 to 1."""
    shortest: int = 3
    longest: int = 5
    """Characters of the n-grams, 1 to 8."""
    width: int = 1 << 20
    """Buckets that n-grams are hashed to, a power of two."""
    most_share: float = 0.2
    """N-grams in more than this share of the texts are left out of the search (not of the cosine)."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ConfigError("threshold must be above 0 and at most 1", seen=self.threshold)
        if not 1 <= self.shortest <= self.longest <= 8:
            raise ConfigError(
                "n-grams have 1 to 8 characters", seen=f"{self.shortest} to {self.longest}"
            )
        if self.width < 2 or self.width & (self.width - 1):
            raise ConfigError("width must be a power of two", seen=self.width)


@numba.njit(cache=True)
def _ngrams(data, offsets, kinds, lower, shortest, longest, width, columns, ends):  # type: ignore[no-untyped-def]
    filled = 0
    recent = np.empty(8, np.int64)
    mask = np.uint64(width - 1)
    for row in range(offsets.size - 1):
        place, end = offsets[row], offsets[row + 1]
        seen, blank = 0, True
        # A blank before and behind, so that the first and the last letters count as such.
        recent[0] = 32
        seen = 1
        while place < end or not blank:
            if place < end:
                code, place = code_point(data, place, end)
                if kind_of(kinds, code) == BLANK:
                    code = np.int64(32)
                code = lower_of(lower, code)
            else:
                code = np.int64(32)
            if code == 32:
                if blank:
                    continue
                blank = True
            else:
                blank = False
            recent[seen % 8] = code
            seen += 1
            for length in range(shortest, min(longest, seen) + 1):
                value = np.uint64(length)
                for back in range(length):
                    value = mixed(value ^ np.uint64(recent[(seen - 1 - back) % 8]))
                columns[filled] = np.int32(value & mask)
                filled += 1
        ends[row + 1] = filled
    return filled


def character_counts(texts: Texts, config: Similar) -> sp.csr_matrix:
    """How often each text has each hashed n-gram, float32 (num_texts, width). Case does not count, and a run
    of blanks is one."""
    num_bytes = int(texts.offsets[-1] - texts.offsets[0])
    lengths = config.longest - config.shortest + 1
    columns = np.empty((num_bytes + 2 * len(texts.offsets)) * lengths, np.int32)
    ends = np.zeros(len(texts.offsets), np.int64)
    filled = _ngrams(
        *texts, *alphabet(), config.shortest, config.longest, config.width, columns, ends
    )
    counts = sp.csr_matrix(
        (np.ones(filled, np.float32), columns[:filled], ends),
        shape=(len(ends) - 1, config.width),
    )
    counts.sum_duplicates()
    return counts


def tfidf(counts: sp.csr_matrix) -> sp.csr_matrix:
    """Rows of length 1: (1 + ln count) x ln((1 + n) / (1 + texts with it)) + 1, as scikit-learn smooths it."""
    present = np.bincount(counts.indices, minlength=counts.shape[1])
    rarity = (np.log((1 + counts.shape[0]) / (1 + present)) + 1).astype(np.float32)
    weighted = counts.copy()
    weighted.data = (1 + np.log(weighted.data)) * rarity[weighted.indices]
    norms = np.sqrt(np.asarray(weighted.multiply(weighted).sum(1)).ravel())
    norms[norms == 0] = 1
    weighted.data /= np.repeat(norms, np.diff(weighted.indptr)).astype(np.float32)
    return weighted


def similar_pairs(
    texts: Texts, config: Similar, vectors: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(left, right, cosine) of the pairs from `threshold` on; left < right are rows, the better ones first.

    `vectors` (num_texts, any width) of an encoder stand in for the n-grams: then each text is compared with
    all others, or, above EXACT_ROWS, with its NEIGHBOURS nearest ones by usearch. Vectors of no length
    are similar to nothing. Raises InputError where vectors do not fit the texts."""
    if vectors is not None:
        num = len(texts.offsets) - 1
        if vectors.ndim != 2 or len(vectors) != num or not np.isfinite(vectors).all():
            raise InputError(
                "an encoder gives one finite vector for each text",
                seen=f"{vectors.shape} for {num} texts",
            )
        return _of_vectors(vectors.astype(np.float32), config.threshold)
    weighted = tfidf(character_counts(texts, config))
    present = np.bincount(weighted.indices, minlength=weighted.shape[1])
    # Two texts are compared if they share an n-gram that is not everywhere; then by all of them.
    rare = present <= max(2, config.most_share * weighted.shape[0])
    search = weighted.copy()
    search.data = search.data * rare[search.indices]
    search.eliminate_zeros()
    found = []
    other = search.T.tocsr()
    # Common n-grams hold this much of a row's length at most, so no pair is lost by leaving them out.
    left_out = np.sqrt(np.maximum(0, 1 - np.asarray(search.multiply(search).sum(1)).ravel()))
    step = 256
    for first in range(0, weighted.shape[0], step):
        products = (search[first : first + step] @ other).tocoo()
        left, right = products.row + first, products.col
        bound = products.data + left_out[left] * left_out[right]
        near = (left < right) & (bound >= config.threshold - 1e-5)
        found.append(np.stack((left[near], right[near]), 1))
    pairs = np.concatenate(found) if found else np.zeros((0, 2), np.int64)
    left, right = distinct(pairs[:, 0].astype(np.int64), pairs[:, 1].astype(np.int64))
    cosine = _cosines(weighted, left, right)
    alike = cosine >= config.threshold
    return left[alike], right[alike], cosine[alike]


def _cosines(rows: sp.csr_matrix, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    out = np.empty(len(left))
    for first in range(0, len(left), 4096):
        part = slice(first, first + 4096)
        out[part] = np.asarray(rows[left[part]].multiply(rows[right[part]]).sum(1)).ravel()
    return np.minimum(out, 1.0)


def _of_vectors(vectors: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
    found = []
    if len(vectors) <= EXACT_ROWS:
        for first in range(0, len(vectors), 512):
            cosines = vectors[first : first + 512] @ vectors.T
            left, right = np.nonzero(cosines >= threshold - 1e-5)
            found.append(np.stack((left + first, right), 1))
    else:
        from usearch.index import Index  # an index is only worth its start for many vectors

        index = Index(ndim=vectors.shape[1], metric="cos", dtype="f32")
        # One thread: a graph grown by several depends on which of them was first.
        index.add(np.arange(len(vectors)), vectors, threads=1)
        near = index.search(vectors, NEIGHBOURS, threads=1)
        left = np.repeat(np.arange(len(vectors)), near.keys.shape[1])
        found.append(np.stack((left, near.keys.ravel().astype(np.int64)), 1))
    pairs = np.concatenate(found) if found else np.zeros((0, 2), np.int64)
    pairs = np.sort(pairs, 1)
    left, right = distinct(pairs[:, 0], pairs[:, 1])
    cosine = np.minimum((vectors[left] * vectors[right]).sum(1, dtype=np.float64), 1.0)
    alike = cosine >= threshold
    return left[alike], right[alike], cosine[alike]
