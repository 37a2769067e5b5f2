"""The step as a whole: it learns, it repeats itself to the byte, it survives being killed."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tenfold.core.asset import Document, Draft, view  # noqa: E402
from tenfold.errors import ConfigError, InputError, StepFailed  # noqa: E402
from tenfold.models.folder import load_model  # noqa: E402
from tenfold.train.pretrain import PretrainConfig, pretrain  # noqa: E402

SMALL = {"depth": 2, "width": 64, "heads": 2, "context": 64, "batch": 4, "steps": 60}


def test_it_predicts_heldout_text_better_than_token_frequencies(corpus, tokenizer, ctx, blobs):
    config = PretrainConfig(**{**SMALL, "steps": 120})
    asset = view("base", pretrain(corpus, tokenizer, ctx=ctx, config=config).commit(blobs), blobs)
    model, shape, vocabulary = load_model(asset.folder())
    assert ctx.results["heldout_loss"] < _unigram_nats(corpus, vocabulary) - 0.3
    assert asset.meta["parameters"] == sum(p.numel() for p in model.parameters())
    assert ctx.results["tokens"] == 120 * 4 * 64 == asset.meta["tokens_seen"]
    assert shape.eos_token_id == vocabulary.token_to_id("<|endoftext|>")
    losses = [value for name, _, value in ctx.curve if name == "loss"]
    assert losses[0] == pytest.approx(math.log(shape.vocab_size), rel=0.05)
    assert losses[-1] < losses[0] - 1
    assert ctx.notes[-1][:2] == (120, 120)


def test_what_is_saved_is_what_was_scored(corpus, tokenizer, ctx, blobs):
    """transformers reads the folder and finds the held-out loss that the step reported."""
    transformers = pytest.importorskip("transformers")
    config = PretrainConfig(**SMALL, precision="float32")
    asset = view("base", pretrain(corpus, tokenizer, ctx=ctx, config=config).commit(blobs), blobs)
    peer = transformers.AutoModelForCausalLM.from_pretrained(asset.folder())
    vocabulary = load_model(asset.folder()).tokenizer
    ids: list[int] = []
    for document in corpus.documents("heldout"):
        ids += [*vocabulary.encode(document.text).ids, vocabulary.token_to_id("<|endoftext|>")]
    total = 0.0
    for start in range(0, len(ids) - 1, 64):
        block = torch.tensor([ids[start : start + 65]])
        with torch.inference_mode():
            logits = peer(block[:, :-1]).logits[0]
        total += float(torch.nn.functional.cross_entropy(logits, block[0, 1:], reduction="sum"))
    assert ctx.results["heldout_loss"] == pytest.approx(total / (len(ids) - 1), abs=1e-4)


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_same_seed_same_bytes_and_another_seed_others(corpus, tokenizer, fresh, blobs, optimiser):
    config = PretrainConfig(**{**SMALL, "steps": 8}, optimiser=optimiser)
    digests = [
        pretrain(corpus, tokenizer, ctx=fresh(seed=seed), config=config).commit(blobs).digest
        for seed in (7, 7, 8)
    ]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("optimiser", ["muon", "adamw"])
def test_going_on_from_any_checkpoint_gives_the_same_bytes(
    corpus, tokenizer, ctx, fresh, blobs, optimiser
):
    config = PretrainConfig(**{**SMALL, "steps": 9}, optimiser=optimiser, checkpoint_every=3)
    whole = pretrain(corpus, tokenizer, ctx=ctx, config=config).commit(blobs)
    assert [step for _, step in ctx.checkpoints] == [3, 6]
    for checkpoint in ctx.checkpoints:
        again = fresh()
        again.resume_from = checkpoint
        assert pretrain(corpus, tokenizer, ctx=again, config=config).commit(blobs) == whole
        assert again.curve[0][1] == checkpoint[1] + 1


def test_a_killed_process_loses_only_what_follows_its_last_checkpoint(
    corpus, tokenizer, ctx, blobs, tmp_path
):
    settings = {**SMALL, "context": 32, "steps": 24, "checkpoint_every": 5}
    untouched = pretrain(corpus, tokenizer, ctx=ctx, config=PretrainConfig(**settings))
    manifests = []
    for asset in (corpus, tokenizer):
        manifests.append(tmp_path / f"{asset.name}.json")
        manifests[-1].write_bytes(asset.manifest.to_bytes())

    def run(kill_at: int) -> subprocess.CompletedProcess[str]:
        script = Path(__file__).with_name("until_killed.py")
        told = [blobs.root, *manifests, json.dumps(settings), ctx.seed, kill_at]
        return subprocess.run(
            [sys.executable, str(script), *map(str, told)],
            capture_output=True,
            text=True,
            check=False,
        )

    assert run(kill_at=13).returncode == -signal.SIGKILL
    resumed = run(kill_at=0)
    assert "resumed {'step': 10}" in resumed.stderr
    assert resumed.stdout.strip() == untouched.commit(blobs).digest


def test_a_checkpoint_of_another_shape_is_refused(corpus, tokenizer, ctx, fresh):
    config = PretrainConfig(**{**SMALL, "steps": 4}, checkpoint_every=2)
    pretrain(corpus, tokenizer, ctx=ctx, config=config)
    again = fresh()
    again.resume_from = ctx.checkpoints[0]
    wider = PretrainConfig(**{**SMALL, "steps": 4, "width": 128})
    with pytest.raises(InputError, match="checkpoint does not fit"):
        pretrain(corpus, tokenizer, ctx=again, config=wider)


def test_a_loss_that_is_no_number_stops_the_run(corpus, tokenizer, ctx):
    config = PretrainConfig(
        **SMALL, learning_rate=1e30, warmup=0.0, clip=0.0, optimiser="adamw", precision="float32"
    )
    with pytest.raises(StepFailed, match="stopped being a number"):
        pretrain(corpus, tokenizer, ctx=ctx, config=config)


def test_a_corpus_without_training_text_is_refused(tokenizer, ctx, blobs):
    from tenfold.core.asset import Corpus

    rows = [Document("a", "held out", "here", "CC0-1.0", split="heldout")]
    empty = view("empty", Corpus.write(Draft("corpus"), rows).commit(blobs), blobs)
    with pytest.raises(InputError, match="no training text") as raised:
        pretrain(empty, tokenizer, ctx=ctx, config=PretrainConfig(**SMALL))
    assert raised.value.where == "empty"


def test_a_corpus_shorter_than_a_block_is_refused(tokenizer, ctx, blobs):
    from tenfold.core.asset import Corpus

    rows = [Document("a", "def f(): pass", "here", "CC0-1.0")]
    short = view("short", Corpus.write(Draft("corpus"), rows).commit(blobs), blobs)
    with pytest.raises(InputError, match="one block takes 65"):
        pretrain(short, tokenizer, ctx=ctx, config=PretrainConfig(**SMALL))


def test_a_tokenizer_that_contradicts_itself_is_refused(corpus, tokenizer, ctx, blobs):
    draft = Draft("tokenizer")
    draft.write_bytes("tokenizer.json", tokenizer.read_bytes("tokenizer.json"))
    draft.write_json("tokenizer_config.json", {"eos_token": {"content": "<|fin|>"}})
    odd = view("odd", draft.commit(blobs), blobs)
    with pytest.raises(InputError, match="eos_token is not in the vocabulary"):
        pretrain(corpus, odd, ctx=ctx, config=PretrainConfig(**SMALL))


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"width": 100, "heads": 3}, "divide hidden_size"),
        ({"heads": 4, "kv_heads": 3}, "divide num_attention_heads"),
        ({"width": 12, "heads": 4}, "even"),
        ({"steps": 0}, "steps must be between"),
        ({"learning_rate": 0.0}, "above 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_runs(wrong, word):
    with pytest.raises(ConfigError, match=word):
        PretrainConfig(**wrong)


def _unigram_nats(corpus, vocabulary) -> float:
    """Cross-entropy of held-out tokens under the training frequencies, with one added to each count."""
    counts = Counter(
        token
        for document in corpus.documents("train")
        for token in vocabulary.encode(document.text).ids
    )
    total = counts.total() + vocabulary.get_vocab_size()
    heldout = [t for d in corpus.documents("heldout") for t in vocabulary.encode(d.text).ids]
    return -sum(math.log((counts[token] + 1) / total) for token in heldout) / len(heldout)
