from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tenfold.core.asset import Draft, view  # noqa: E402
from tenfold.errors import ConfigError, InputError  # noqa: E402
from tenfold.evaluate.compression import compression  # noqa: E402
from tenfold.evaluate.language import language  # noqa: E402


def rounded(parameter):
    """Weights on a coarse grid: 3 bits a row, which must cost something."""
    step = parameter.abs().amax(dim=1, keepdim=True) / 3
    return (parameter / step).round() * step


def test_a_model_against_itself(run, ctx, model_of, corpus):
    model = model_of(seed=1)
    report = run(compression, model, model, corpus).content
    assert report["bytes_ratio"] == report["greedy_agreement"] == 1
    assert report["perplexity_ratio"] == {"value": 1, "low": 1, "high": 1}
    assert report["before"] == report["after"]
    assert {"speed_ratio", "speed_ratio.prefill", "decode_tokens_per_s_after"} <= set(ctx.metrics)


def test_the_ratio_is_that_of_two_separate_evaluations(run, ctx, model_of, corpus):
    before, after = model_of(seed=1), model_of(seed=1, name="small", change=rounded)
    report = run(compression, before, after, corpus, rounds=0).content
    apart = [
        run(language, model, corpus).content["model"]["perplexity"]["value"]
        for model in (before, after)
    ]
    assert apart[0] != apart[1]
    assert report["perplexity_ratio"]["value"] == pytest.approx(apart[1] / apart[0], rel=1e-3)
    assert report["before"]["perplexity"] == pytest.approx(apart[0], rel=1e-3)
    low, high = (report["perplexity_ratio"][edge] for edge in ("low", "high"))
    assert low < report["perplexity_ratio"]["value"] < high
    assert report["greedy_agreement"] < 1
    assert "speed_ratio" not in ctx.metrics


def test_fewer_layers_are_fewer_bytes(run, ctx, model_of, corpus):
    before, after = model_of(), model_of(name="small", num_hidden_layers=1)
    run(compression, before, after, corpus, rounds=0)
    assert ctx.metrics["bytes_before"] == before.num_bytes
    assert ctx.metrics["bytes_ratio"] == pytest.approx(after.num_bytes / before.num_bytes, rel=1e-4)
    assert ctx.metrics["bytes_ratio"] < 1


def test_the_report_holds_no_timing(run, model_of, corpus):
    before, after = model_of(seed=1), model_of(seed=1, name="small", change=rounded)
    first, second = (run(compression, before, after, corpus, rounds=1) for _ in range(2))
    assert first.digest == second.digest


def test_another_vocabulary_is_refused(run, model_of, corpus, blobs):
    whole = model_of()
    other = Draft("model")
    for file in whole.files:
        other.write_bytes(file, whole.read_bytes(file))
    swapped = whole.read_json("tokenizer.json")
    vocabulary = swapped["model"]["vocab"]
    a, b = sorted(vocabulary)[:2]
    vocabulary[a], vocabulary[b] = vocabulary[b], vocabulary[a]
    other.write_json("tokenizer.json", swapped)
    stranger = view("stranger", other.commit(blobs), blobs)
    with pytest.raises(InputError, match=r"base and stranger: .*do not share a vocabulary"):
        run(compression, whole, stranger, corpus)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match="rounds must be 0 or more"):
        compression.configure({"rounds": -1})
