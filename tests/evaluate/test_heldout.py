from __future__ import annotations

import pytest

pytest.importorskip("tokenizers")

from tenfold.core.asset import Corpus, Document, Draft
from tenfold.errors import InputError
from tenfold.evaluate.heldout import sample, training_tokens
from tenfold.evaluate.subject import load


@pytest.fixture
def library(model_of):
    return load(model_of()).tokenizer


def test_a_cap_takes_whole_documents_and_a_smaller_cap_fewer_of_them(corpus, library):
    everything = sample(corpus, library, max_tokens=10**6)
    assert len(everything.documents) == everything.num_available == 20
    texts = {document.text for document in corpus.documents("heldout")}
    assert {document.text for document in everything.documents} == texts
    assert everything.num_bytes == sum(len(text.encode()) for text in texts)
    some = sample(corpus, library, max_tokens=everything.num_tokens // 2)
    assert 0 < some.num_tokens <= everything.num_tokens // 2
    assert some.documents == everything.documents[: len(some.documents)]
    assert some.num_available == 20


def test_a_document_longer_than_the_cap_is_cut_at_a_token(commit, library):
    text = "the class statement binds a ünïcödé name " * 50
    made = commit(Corpus.write(Draft("corpus"), [Document("a", text, "s", "l", split="heldout")]))
    (only,) = sample(made, library, max_tokens=30).documents
    assert text.startswith(only.text)
    assert len(only.tokens) <= 30
    assert only.tokens == library.encode(only.text).ids
    assert only.num_bytes == len(only.text.encode())


def test_no_held_out_text_says_what_to_do(commit, library):
    made = commit(Corpus.write(Draft("corpus"), [Document("a", "text", "s", "l")]), "corpus")
    with pytest.raises(InputError, match=r"no heldout text(.|\n)*heldout_share"):
        sample(made, library, max_tokens=100)


def test_training_tokens_stop_at_the_cap(corpus, library):
    every = training_tokens(corpus, library, max_tokens=10**9)
    train = [document.text for document in corpus.documents("train")]
    assert [library.decode(list(text)) for text in every] == train
