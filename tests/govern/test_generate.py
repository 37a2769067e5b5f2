"""Scores and samples against transformers on the same folder."""

import pytest

torch = pytest.importorskip("torch")

from tenfold.govern.generate import Ask, generate  # noqa: E402
from tenfold.govern.likelihood import log_likelihoods  # noqa: E402
from tenfold.models.folder import load_model  # noqa: E402

TEXTS = [
    "the cat sat on the mat.",
    "the dog sat on the cat and the mat sat on the dog.",
    "a mat.",
    "on the mat the dog and a cat sat.",
]


@pytest.fixture(scope="module")
def folder(trained):
    return trained(TEXTS, steps=30).folder()


@pytest.fixture(scope="module")
def peer(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def test_likelihoods_are_those_of_transformers_whatever_the_batch(folder, peer):
    loaded = load_model(folder)
    scores = log_likelihoods(loaded, TEXTS)
    for text, score in zip(TEXTS, scores, strict=True):
        ids = torch.tensor([[0, *loaded.tokenizer.encode(text).ids]])
        with torch.no_grad():
            mean = -peer(ids, labels=ids).loss.item()
        assert score == pytest.approx(mean * (ids.shape[1] - 1), abs=1e-3)
        assert log_likelihoods(loaded, [text]) == [pytest.approx(score, abs=1e-4)]


def test_greedy_text_is_that_of_transformers(folder, peer):
    loaded = load_model(folder)
    prompts = ["the cat", "a mat on the dog", "on"]
    samples = generate(
        loaded, [Ask(p, greedy=True) for p in prompts], prompt_tokens=8, new_tokens=12, seed=1
    )
    for prompt, sample in zip(prompts, samples, strict=True):
        ids = torch.tensor([[0, *loaded.tokenizer.encode(prompt).ids]])
        out = peer.generate(ids, max_new_tokens=12, do_sample=False, pad_token_id=0)
        expected = loaded.tokenizer.decode(out[0, ids.shape[1] :].tolist())
        assert (sample.prompt, sample.text) == (prompt, expected)
        assert not sample.text or sample.ends[-1] == len(sample.text)


def test_samples_are_a_function_of_the_seed_and_follow_the_models_distribution(folder):
    loaded = load_model(folder)
    asks = [Ask("the")] * 600
    drawn = generate(loaded, asks, prompt_tokens=4, new_tokens=1, seed=5)
    assert drawn == generate(loaded, asks, prompt_tokens=4, new_tokens=1, seed=5)
    assert drawn != generate(loaded, asks, prompt_tokens=4, new_tokens=1, seed=6)
    ids = torch.tensor([[0, *loaded.tokenizer.encode("the").ids]])
    probabilities = loaded.model(ids)[0, -1].softmax(-1)
    token = int(probabilities.argmax())
    share = sum(s.text == loaded.tokenizer.decode([token]) for s in drawn) / 600
    deviation = (probabilities[token] * (1 - probabilities[token]) / 600).sqrt()
    assert abs(share - probabilities[token]) < 4 * deviation


def test_a_prompt_longer_than_the_context_is_cut(folder):
    loaded = load_model(folder)
    long = "the cat sat on " * 60
    [sample] = generate(loaded, [Ask(long)], prompt_tokens=500, new_tokens=500, seed=1)
    tokens = len(loaded.tokenizer.encode(sample.prompt).ids) + len(sample.ends)
    assert tokens <= loaded.config.max_position_embeddings
