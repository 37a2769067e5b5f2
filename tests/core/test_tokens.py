"""Tokens in files, the order of blocks, and who gets which: against plain lists and the whole order held."""

from __future__ import annotations

import tracemalloc
from array import array
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core import tokens as tokens_module
from tenfold.core.blocks import Blocks, Share
from tenfold.core.permutation import Permutation
from tenfold.core.tokens import TokenFile, TokenStream, width_for
from tenfold.errors import ConfigError, InputError

DOCUMENTS = st.lists(st.lists(st.integers(0, 65_535), min_size=1, max_size=9), max_size=8)


def written(folder: Path, files: list[list[list[int]]], width: int = 2) -> TokenStream:
    """Files of documents of ids."""
    found = []
    for number, documents in enumerate(files):
        ids, offsets = array("H" if width == 2 else "I"), array("Q", [0])
        for document in documents:
            ids.extend(document)
            offsets.append(len(ids))
        (folder / f"{number}.ids").write_bytes(ids.tobytes())
        (folder / f"{number}.offsets").write_bytes(offsets.tobytes())
        found.append(
            TokenFile(
                path=folder / f"{number}.ids",
                num_tokens=len(ids),
                num_bytes=3 * len(ids),
                offsets=folder / f"{number}.offsets",
                num_documents=len(documents),
            )
        )
    return TokenStream(found, width)


@given(files=st.lists(DOCUMENTS, max_size=5), width=st.sampled_from([2, 4]), data=st.data())
def test_files_read_as_one_row_with_the_documents_where_they_were(
    tmp_path_factory, files, width, data
):
    stream = written(tmp_path_factory.mktemp("tokens"), files, width)
    documents = [document for file in files for document in file]
    row = [token for document in documents for token in document]
    assert (stream.num_tokens, stream.num_documents) == (len(row), len(documents))
    assert stream.num_bytes == 3 * len(row)
    start = data.draw(st.integers(0, len(row)))
    stop = data.draw(st.integers(start, len(row)))
    assert stream.ids(start, stop).tolist() == row[start:stop]
    spans = list(stream.documents())
    assert [stream.ids(*span).tolist() for span in spans] == documents
    assert stream.boundaries(start, stop) == [a for a, _ in spans if start <= a < stop]


def test_more_files_than_are_held_open(tmp_path, monkeypatch):
    monkeypatch.setattr(tokens_module, "MOST_MAPS", 3)
    stream = written(tmp_path, [[[n, n]] for n in range(20)])
    assert stream.ids(0, 40).tolist() == [n for n in range(20) for _ in range(2)]
    assert stream.ids(3, 5).tolist() == [1, 2]
    assert len(stream._maps) == 3


def test_what_cannot_be_read_is_said(tmp_path):
    stream = written(tmp_path, [[[1, 2, 3]]])
    with pytest.raises(IndexError):
        stream.read(2, 4)
    (tmp_path / "0.ids").write_bytes(b"\0\0")
    with pytest.raises(InputError, match="not as long as it says"):
        stream.read(0, 1)
    bare = TokenStream([TokenFile(path=tmp_path / "0.ids", num_tokens=1, num_bytes=1)], 2)
    with pytest.raises(InputError, match="was not kept"):
        bare.boundaries(0, 1)
    assert (width_for(65_536), width_for(65_537)) == (2, 4)


@given(size=st.integers(1, 3_000), key=st.integers(0, 2**64))
def test_an_order_has_every_number_once(size, key):
    assert sorted(Permutation(size, key)[i] for i in range(size)) == list(range(size))


@given(size=st.integers(1, 2**62), data=st.data())
def test_numbers_of_any_size_stay_apart_and_inside(size, data):
    order = Permutation(size, 7)
    asked = data.draw(st.lists(st.integers(0, size - 1), unique=True, max_size=20))
    found = [order[index] for index in asked]
    assert len(set(found)) == len(found)
    assert all(0 <= place < size for place in found)
    with pytest.raises(IndexError):
        order[size]


@pytest.mark.parametrize("size", [5, 24, 100])
def test_every_place_is_as_likely_as_any_other(size):
    """Chi-square of where the first number goes, over keys: within 5 standard deviations of its mean."""
    rounds = 200 * size
    counts = Counter(Permutation(size, key)[0] for key in range(rounds))
    statistic = sum((counts[place] - 200) ** 2 / 200 for place in range(size))
    assert abs(statistic - (size - 1)) < 5 * (2 * (size - 1)) ** 0.5


def blocks_of(folder: Path, num_tokens: int, seed: int = 3) -> Blocks:
    """Token i is i, so that a block shows where it was cut."""
    return Blocks(written(folder, [[list(range(num_tokens))]]), context=8, seed=seed)


@given(num_tokens=st.integers(9, 400), ranks=st.integers(1, 5), epochs=st.integers(1, 3))
def test_ranks_take_every_block_once_an_epoch(tmp_path_factory, num_tokens, ranks, epochs):
    blocks = blocks_of(tmp_path_factory.mktemp("blocks"), num_tokens)
    shares = [Share(blocks, rank=rank, ranks=ranks) for rank in range(ranks)]
    whole = epochs * blocks.num_blocks
    taken = [next(share) for _ in range(-(-whole // ranks)) for share in shares][:whole]
    for epoch in range(epochs):
        seen = taken[epoch * blocks.num_blocks : (epoch + 1) * blocks.num_blocks]
        assert len(set(seen)) == blocks.num_blocks


@given(before=st.integers(0, 60), ranks=st.integers(1, 4), later=st.integers(1, 4))
def test_a_reading_goes_on_from_its_position_on_any_number_of_ranks(
    tmp_path_factory, before, ranks, later
):
    folder = tmp_path_factory.mktemp("blocks")
    blocks = blocks_of(folder, 300)
    one = Share(blocks)
    whole = [next(one) for _ in range(before * ranks + 5 * later)]
    shares = [Share(blocks, rank=rank, ranks=ranks) for rank in range(ranks)]
    taken = [next(share) for _ in range(before) for share in shares]
    assert {share.position for share in shares} == {before * ranks}
    again = blocks_of(folder, 300)
    shares = [Share(again, rank=r, ranks=later, position=shares[0].position) for r in range(later)]
    taken += [next(share) for _ in range(5) for share in shares]
    assert taken == whole


def test_what_is_held_does_not_grow_with_the_corpus(tmp_path):
    """Two thousand million ids in a file with holes: the order of its blocks alone would be 16 MB."""
    num_tokens = 1 << 31
    path = tmp_path / "large.ids"
    with path.open("wb") as file:
        file.truncate(2 * num_tokens)
    tracemalloc.start()
    try:
        stream = TokenStream([TokenFile(path=path, num_tokens=num_tokens, num_bytes=1)], 2)
        blocks = Blocks(stream, context=1024, seed=1)
        share = Share(blocks, rank=5, ranks=8, position=3 * blocks.num_blocks)
        assert all(len(next(share)) == 2 * 1025 for _ in range(200))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_rank_that_is_none(tmp_path):
    with pytest.raises(ConfigError, match="0 to ranks - 1"):
        Share(blocks_of(tmp_path, 100), rank=2, ranks=2)
