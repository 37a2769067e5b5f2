from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from tenfold.core.tokens import TokenFile, TokenStream  # noqa: E402
from tenfold.errors import InputError  # noqa: E402
from tenfold.train.batches import Blocks, tokenise  # noqa: E402


def numbered(tmp_path, num_tokens: int) -> TokenStream:
    """Token i is i, so that a block shows where it was cut."""
    path = tmp_path / "tokens"
    np.arange(num_tokens, dtype="<u4").tofile(path)
    file = TokenFile(path=path, num_tokens=num_tokens, num_bytes=num_tokens)
    return TokenStream([file], 4)


@given(num_tokens=st.integers(9, 200), seed=st.integers(0, 2**40))
def test_an_epoch_shows_every_block_once_whatever_the_length(tmp_path_factory, num_tokens, seed):
    tokens = numbered(tmp_path_factory.mktemp("blocks"), num_tokens)
    blocks = Blocks(tokens, context=8, batch=1, part=1, seed=seed)
    for epoch in range(3):
        starts = set()
        for step in range(epoch * blocks.num_blocks, (epoch + 1) * blocks.num_blocks):
            (block,) = blocks.at(step)
            first = int(block[0, 0])
            assert block.tolist() == [list(range(first, first + 9))]
            starts.add(first)
        assert len(starts) == blocks.num_blocks
        assert len({start % 8 for start in starts}) == 1
        assert num_tokens - 1 - 8 * blocks.num_blocks < 16


def test_a_batch_depends_on_its_number_alone(tmp_path):
    tokens = numbered(tmp_path, 500)
    one = Blocks(tokens, context=8, batch=4, part=2, seed=3)
    forward = [torch.cat(one.at(step)) for step in range(40)]
    other = Blocks(tokens, context=8, batch=4, part=2, seed=3)
    for step in reversed(range(40)):
        parts = other.at(step)
        assert [len(part) for part in parts] == [2, 2]
        assert torch.equal(torch.cat(parts), forward[step])


def test_epochs_differ_in_order_and_in_their_cuts(tmp_path):
    blocks = Blocks(numbered(tmp_path, 500), context=8, batch=1, part=1, seed=0)
    orders = [
        [int(blocks.at(e * blocks.num_blocks + i)[0][0, 0]) for i in range(blocks.num_blocks)]
        for e in range(4)
    ]
    assert len({tuple(order) for order in orders}) == 4
    assert len({order[0] % 8 for order in orders}) > 1


def test_tokens_in_the_file_decode_to_the_documents(corpus, tokenizer, tmp_path):
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_file(str(tokenizer.folder() / "tokenizer.json"))
    texts = [document.text for document in corpus.documents("train")]
    tokens = tokenise(iter(texts), vocabulary, 0, tmp_path / "tokens")
    ids = np.array(tokens.ids(0, tokens.num_tokens))
    assert tokens.num_bytes == sum(len(text.encode()) for text in texts)
    ends = np.flatnonzero(ids == 0)
    assert len(ends) == len(texts)
    decoded = [vocabulary.decode(part.tolist()) for part in np.split(ids, ends + 1)[:-1]]
    assert [text.removesuffix("<|endoftext|>") for text in decoded] == texts


def test_text_shorter_than_a_block_is_refused(tmp_path):
    with pytest.raises(InputError, match="one block takes 9"):
        Blocks(numbered(tmp_path, 8), context=8, batch=1, part=1, seed=0)
