"""A fastText model read from its own file: what a quantised classifier (`.ftz`) needs to predict, as arrays.

The format is the one fastText writes (github.com/facebookresearch/fastText: FastText::saveModel, Dictionary::save,
QMatrix::save, ProductQuantizer::save); the method is Joulin et al. 2016, "FastText.zip". Knows the
format and no language.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tenfold.errors import InputError

_MAGIC, _VERSION = 793712314, 12
_HIERARCHICAL = 1
_END = b"</s>"


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A supervised model with hierarchical softmax, ready to be asked."""

    labels: tuple[str, ...]
    vectors: npt.NDArray[np.float32]
    """One row per known word, then one per n-gram that was kept."""
    nodes: npt.NDArray[np.float32]
    """One row per inner node of the tree of labels, the root last."""
    children: npt.NDArray[np.int32]
    """Left and right child of each inner node: labels first, then inner nodes."""
    words: npt.NDArray[np.int32]
    """Open addressing by FNV-1a of 32 bits: the word's row, -1 where free. A power of two long."""
    word_hashes: npt.NDArray[np.uint32]
    kept: npt.NDArray[np.int32]
    """Row of each hash bucket of n-grams, -1 where it was pruned."""
    some: npt.NDArray[np.uint8]
    """One bit per bucket, low bits first: whether it has a row. Small enough for the processor's cache."""
    shortest: int
    """Characters of the shortest n-gram, and of the longest."""
    longest: int
    end: int
    """The row of the word that ends every line."""


class _Reader:
    """The file's values one after the other."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data, self.where, self.at = data, where, 0

    def take(self, kind: str, count: int = 1) -> npt.NDArray[np.generic]:
        size = np.dtype(kind).itemsize * count
        if count < 0 or self.at + size > len(self.data):
            raise InputError(
                "the fastText model is cut short", where=self.where, seen=f"{len(self.data)} bytes"
            )
        values = np.frombuffer(self.data, dtype=kind, count=count, offset=self.at)
        self.at += size
        return values

    def one(self, kind: str = "<i4") -> int:
        return int(self.take(kind)[0])

    def string(self) -> bytes:
        stop = self.data.find(b"\0", self.at)
        if stop < 0:
            raise InputError("the fastText model is cut short", where=self.where, seen="a word")
        found = self.data[self.at : stop]
        self.at = stop + 1
        return found

    def matrix(self) -> npt.NDArray[np.float32]:
        rows, columns = self.one("<i8"), self.one("<i8")
        return self.take("<f4", rows * columns).reshape(rows, columns).astype(np.float32)

    def quantised(self) -> npt.NDArray[np.float32]:
        """A product-quantised matrix, expanded: codes pick centroids, norms scale the rows."""
        norms = bool(self.one("u1"))
        rows, columns, num_codes = self.one("<i8"), self.one("<i8"), self.one("<i4")
        codes = self.take("u1", num_codes).reshape(rows, -1)
        matrix = self._product(codes, columns)
        if norms:
            codes = self.take("u1", rows).reshape(rows, 1)
            matrix *= self._product(codes, 1)
        return matrix

    def _product(self, codes: npt.NDArray[np.generic], columns: int) -> npt.NDArray[np.float32]:
        dim, parts, width, last = (self.one() for _ in range(4))
        centroids = self.take("<f4", dim * 256)
        out = np.empty((len(codes), columns), dtype=np.float32)
        for part in range(parts):
            size = last if part == parts - 1 else width
            table = centroids[part * 256 * width :][: 256 * size].reshape(256, size)
            out[:, part * width : part * width + size] = table[codes[:, part]]
        return out


def read(data: bytes, where: str) -> Model:
    """The model in `data`, the content of a `.ftz` file; `where` names it in errors.

    Raises InputError when it is not a quantised supervised model with hierarchical softmax.
    """
    file = _Reader(data, where)
    if (file.one(), file.one()) != (_MAGIC, _VERSION):
        raise InputError("not a fastText model of version 12", where=where, seen=data[:8].hex())
    settings = file.take("<i4", 12)
    dim, word_grams, loss, kind, bucket, shortest, longest = (
        int(settings[place]) for place in (0, 5, 6, 7, 8, 9, 10)
    )
    file.take("<f8")
    size, num_words, num_labels = (file.one() for _ in range(3))
    file.one("<i8")
    pruned = file.one("<i8")
    if (loss, kind, word_grams) != (_HIERARCHICAL, 3, 1) or pruned < 0:
        raise InputError(
            "only quantised classifiers with hierarchical softmax and single words are read",
            where=where,
            seen=f"loss {loss}, model {kind}, word n-grams {word_grams}",
        )
    entries = [(file.string(), file.one("<i8"), file.one("u1")) for _ in range(size)]
    kept = np.full(bucket, -1, dtype=np.int32)
    pairs = file.take("<i4", 2 * pruned).reshape(-1, 2)
    kept[pairs[:, 0]] = pairs[:, 1] + num_words
    vectors = file.quantised() if file.one("u1") else file.matrix()
    nodes = file.quantised() if file.one("u1") else file.matrix()
    if vectors.shape[1] != dim or len(nodes) != num_labels:
        raise InputError("the matrices do not fit the dictionary", where=where, seen=vectors.shape)
    table, hashes = _table([word for word, _, _ in entries[:num_words]])
    labels = [entry for entry in entries if entry[2] == 1]
    return Model(
        labels=tuple(word.decode().removeprefix("__label__") for word, _, _ in labels),
        vectors=vectors,
        nodes=nodes,
        children=_tree([count for _, count, _ in labels]),
        words=table,
        word_hashes=hashes,
        kept=kept,
        some=np.packbits(kept >= 0, bitorder="little"),
        shortest=shortest,
        longest=longest,
        end=[word for word, _, _ in entries].index(_END),
    )


def _table(words: list[bytes]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint32]]:
    places = 1 << (2 * len(words)).bit_length()
    rows = np.full(places, -1, dtype=np.int32)
    hashes = np.zeros(places, dtype=np.uint32)
    for row, word in enumerate(words):
        value = 2166136261
        for byte in word:  # bytes are signed there, so high ones flip all upper bits
            value = ((value ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * 16777619) & 0xFFFFFFFF
        place = value & (places - 1)
        while rows[place] >= 0:
            place = (place + 1) & (places - 1)
        rows[place], hashes[place] = row, value
    return rows, hashes


def _tree(counts: list[int]) -> npt.NDArray[np.int32]:
    """Huffman's tree over labels in falling order of count, as HierarchicalSoftmaxLoss::buildTree."""
    num = len(counts)
    weights = [*counts, *([10**15] * (num - 1))]
    children = np.zeros((num - 1, 2), dtype=np.int32)
    leaf, node = num - 1, num
    for inner in range(num, 2 * num - 1):
        for side in range(2):
            if leaf >= 0 and weights[leaf] < weights[node]:
                children[inner - num, side] = leaf
                leaf -= 1
            else:
                children[inner - num, side] = node
                node += 1
        weights[inner] = sum(weights[child] for child in children[inner - num])
    return children
