"""The step: smaller, close, repeatable, and honest about what it changed."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")

from tenfold.compress.int8 import Int8Config, int8, sample  # noqa: E402
from tenfold.core.asset import Corpus, Draft, view  # noqa: E402
from tenfold.errors import ConfigError, InputError  # noqa: E402
from tenfold.models.folder import load_model  # noqa: E402


@pytest.fixture
def small(base, corpus, ctx, blobs):
    return view("small", int8(base, corpus, ctx=ctx, config=Int8Config()).commit(blobs), blobs)


def test_it_is_a_third_of_the_size_and_says_so(base, small, ctx):
    before, after = (asset.files["model.safetensors"].num_bytes for asset in (base, small))
    assert ctx.results["bytes_before"] == before
    assert ctx.results["bytes_after"] == after
    assert ctx.results["ratio"] == after / before < 0.4
    assert small.meta["dtype"] == "int8"
    assert small.meta["compressed_from"] == base.digest
    assert small.meta["recipe"] == "here"
    assert small.meta["parameters"] == base.meta["parameters"]


def test_the_loss_on_text_hardly_moves(base, small, corpus, ctx):
    def loss(asset) -> float:
        loaded = load_model(asset.folder())
        ids = loaded.tokenizer.encode(next(corpus.documents("train")).text).ids[:64]
        with torch.inference_mode():
            logits = loaded.model(torch.tensor([ids[:-1]]))[0]
        return float(torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:])))

    before, after = loss(base), loss(small)
    assert before < 3
    assert after == pytest.approx(before, rel=0.01)
    assert ctx.results["agreement"] > 0.95
    assert 0 < ctx.results["divergence_nats"] < 0.01
    assert 0 < ctx.results["max_logit_difference"] < 2


def test_doing_it_again_gives_the_same_bytes(base, small, corpus, ctx, blobs):
    again = int8(base, corpus, ctx=ctx, config=Int8Config(sample_tokens=100)).commit(blobs)
    assert again.digest == small.digest


def test_the_sample_is_held_out_text_and_no_longer_than_asked(base, corpus):
    loaded = load_model(base.folder())
    heldout = next(corpus.documents("heldout")).text
    for wanted in (5, 64, 4096):
        blocks = sample(corpus, loaded, wanted)
        assert sum(map(len, blocks)) == min(wanted, 64)
        assert heldout.startswith(loaded.tokenizer.decode(blocks[0].tolist()))


def test_an_empty_corpus_still_quantises(base, ctx, blobs):
    empty = view("empty", Corpus.write(Draft("corpus"), []).commit(blobs), blobs)
    int8(base, empty, ctx=ctx, config=Int8Config())
    assert "ratio" in ctx.results
    assert "agreement" not in ctx.results


def test_a_foreign_network_is_refused_by_name(base, corpus, ctx, blobs):
    draft = Draft("model", blobs.staging())
    for file in base.files:
        draft.write_bytes(file, base.read_bytes(file))
    plain = json.loads(base.read_bytes("config.json"))
    draft.write_json("config.json", {**plain, "model_type": "mamba"})
    foreign = view("foreign", draft.commit(blobs), blobs)
    with pytest.raises(InputError, match="only Llama") as raised:
        int8(foreign, corpus, ctx=ctx, config=Int8Config())
    assert raised.value.seen == "mamba"


def test_quantising_twice_is_refused(small, corpus, ctx):
    with pytest.raises(InputError, match="quantised already"):
        int8(small, corpus, ctx=ctx, config=Int8Config())


def test_a_sample_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="sample_tokens"):
        Int8Config(sample_tokens=1)
