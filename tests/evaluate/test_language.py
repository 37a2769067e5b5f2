from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from tenfold.core.asset import Corpus, Document, Draft  # noqa: E402
from tenfold.errors import ConfigError, InputError  # noqa: E402
from tenfold.evaluate.language import language  # noqa: E402


def test_a_network_that_knows_nothing_is_as_perplexed_as_its_vocabulary(run, ctx, model_of, corpus):
    """All weights zero: every token has probability 1 / V, in each window, whatever the stride."""
    report = run(language, model_of(scale=0.0), corpus, stride=5).content
    vocabulary = 300
    assert report["model"]["perplexity"] == pytest.approx(
        {"value": vocabulary, "low": vocabulary, "high": vocabulary}, rel=1e-4
    )
    bits = report["measured"]["tokens"] * math.log2(vocabulary) / report["measured"]["bytes"]
    assert ctx.metrics["bits_per_byte"] == pytest.approx(bits, rel=1e-4)
    assert ctx.metrics["bits_per_byte.ngram"] < ctx.metrics["bits_per_byte.unigram"] < bits
    gained = report["bits_per_byte_gained_over_ngram"]["value"]
    assert gained == pytest.approx(ctx.metrics["bits_per_byte.ngram"] - bits, rel=1e-3)


def test_the_interval_holds_the_value_and_more_text_narrows_it(run, model_of, corpus):
    model = model_of(seed=2)
    wide, narrow = (
        run(language, model, corpus, max_tokens=tokens).content["model"]["bits_per_byte"]
        for tokens in (400, 10_000)
    )
    for each in (wide, narrow):
        assert each["low"] < each["value"] < each["high"]
    assert narrow["high"] - narrow["low"] < wide["high"] - wide["low"]


def test_the_same_work_gives_the_same_bytes(run, model_of, corpus):
    model = model_of(seed=2)
    assert run(language, model, corpus).digest == run(language, model, corpus).digest


def test_continuations_are_what_transformers_would_write(run, model_of, corpus):
    transformers = pytest.importorskip("transformers")
    model = model_of(seed=6)
    shown = run(language, model, corpus, samples=2, sample_tokens=12).content["samples"]
    assert len(shown) == 2
    peer = transformers.AutoModelForCausalLM.from_pretrained(model.folder())
    tokenizer = transformers.AutoTokenizer.from_pretrained(model.folder())
    documents = {document.id: document.text for document in corpus.documents("heldout")}
    for each in shown:
        assert documents[each["document"]].startswith(each["prompt"] + each["original"])
        ids = torch.tensor([[0, *tokenizer.encode(each["prompt"], add_special_tokens=False)]])
        made = peer.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=12,
            pad_token_id=0,
        )[0, ids.shape[1] :]
        assert tokenizer.decode(made, skip_special_tokens=True) == each["continuation"]


def test_text_that_spells_a_special_token_is_text(run, commit, model_of):
    text = "the statement <|endoftext|> binds a name"
    held = Document("a", text, "s", "l", split="heldout")
    report = run(language, model_of(), commit(Corpus.write(Draft("corpus"), [held]))).content
    assert report["measured"]["documents_not_restored"] == 0
    assert report["measured"]["tokens"] > len("<|endoftext|>")


def test_without_training_text_there_are_no_yardsticks(run, ctx, commit, model_of):
    held = Document("a", "the class binds a name to an object", "s", "l", split="heldout")
    report = run(language, model_of(), commit(Corpus.write(Draft("corpus"), [held]))).content
    assert report["yardsticks"]["train_documents"] == 0
    assert "ngram" not in report
    assert "perplexity" in ctx.metrics
    assert "perplexity.ngram" not in ctx.metrics


def test_faults_name_the_asset(run, commit, model_of, corpus, blobs):
    train_only = commit(Corpus.write(Draft("corpus"), [Document("a", "text", "s", "l")]), "corpus")
    with pytest.raises(InputError, match=r"corpus/documents\.jsonl: .*no heldout text"):
        run(language, model_of(), train_only)

    whole = model_of(name="cut")
    broken = Draft("model")
    for file in whole.files:
        data = whole.read_bytes(file)
        broken.write_bytes(file, data[: len(data) // 2] if file.endswith("safetensors") else data)
    with pytest.raises(InputError, match=r"^cut: .*cut short"):
        run(language, commit(broken, "cut"), corpus)

    with pytest.raises(InputError, match="neither a begin nor an end mark"):
        run(language, model_of(bos_token_id=None, eos_token_id=None), corpus)
    with pytest.raises(InputError, match="more entries than the model has rows"):
        run(language, model_of(vocab_size=280), corpus)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="max_tokens must be 1 or more"):
        language.configure({"max_tokens": 0})
    with pytest.raises(ConfigError, match="8 or less"):
        language.configure({"ngram_order": 9})
