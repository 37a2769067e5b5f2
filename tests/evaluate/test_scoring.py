from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

from tenfold.errors import ConfigError  # noqa: E402
from tenfold.evaluate.scoring import losses, windows  # noqa: E402
from tenfold.evaluate.subject import load  # noqa: E402
from tenfold.models.folder import load_model  # noqa: E402


@given(st.lists(st.integers(0, 100), max_size=5), st.integers(1, 20), st.data())
def test_every_token_is_scored_once_with_enough_before_it(lengths, context, data):
    stride = data.draw(st.integers(1, context))
    scored = [[0] * length for length in lengths]
    for window in windows(lengths, context=context, stride=stride):
        assert window.end - window.start <= context
        for place in range(window.end - window.num_scored, window.end):
            scored[window.text][place] += 1
            seen = place - window.start + 1  # inputs up to and including the one before this token
            assert seen >= min(place + 1, context - stride + 1)
    assert all(all(times == 1 for times in text) for text in scored)


def transformers_losses(peer, text, start, context, stride):
    """The loop of transformers' own perplexity guide, one window at a time, labels masked by -100."""
    ids = torch.tensor([[start, *text]])
    total, scored_to = 0.0, 0
    while scored_to < len(text):
        end = min(len(text), scored_to + (stride if scored_to else context))
        begin = max(0, end - context)
        inputs, labels = ids[:, begin : end + 1], ids[:, begin : end + 1].clone()
        labels[:, : scored_to - begin + 1] = -100
        with torch.inference_mode():
            # a window of context + 1 ids: the last is only a label, so rotary tables must reach it
            total += float(peer(inputs, labels=labels).loss) * (end - scored_to)
        scored_to = end
    return total


def test_sums_equal_those_of_transformers(model_of):
    transformers = pytest.importorskip("transformers")
    asset = model_of(seed=3)
    subject = load(asset)
    peer = transformers.AutoModelForCausalLM.from_pretrained(asset.folder()).eval()
    generator = torch.Generator().manual_seed(4)
    texts = [
        torch.randint(3, subject.vocabulary, (length,), generator=generator).tolist()
        for length in (1, 7, 48, 49, 130, 300)
    ]
    for stride in (48, 24, 7):
        ours = losses(
            subject.network, texts, start=subject.start, context=48, stride=stride, batch_tokens=200
        )
        for text, each in zip(texts, ours, strict=True):
            theirs = transformers_losses(peer, text, subject.start, 48, stride)
            assert each.sum() == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("published", ["stories260K"], indirect=True)
def test_published_weights_give_transformers_loss(published):
    transformers = pytest.importorskip("transformers")
    folder = published
    network, config, tokenizer = load_model(folder)
    text = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    (ours,) = losses(network, [ids], start=config.bos_token_id, context=512, stride=256)
    peer = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    whole = torch.tensor([[config.bos_token_id, *ids]])
    with torch.inference_mode():
        loss = peer(whole, labels=whole).loss
    assert ours.mean() == pytest.approx(float(loss), rel=1e-4)
    assert ours.mean() < 1.3  # its published loss on such stories is 1.297


def test_company_in_a_batch_changes_nothing(model_of):
    subject = load(model_of(seed=5))
    texts = [[(7 * n + length) % 290 + 3 for n in range(length)] for length in (5, 90, 33, 48)]
    alone = [
        losses(subject.network, [text], start=0, context=48, stride=24, batch_tokens=1)[0]
        for text in texts
    ]
    together = losses(subject.network, texts, start=0, context=48, stride=24)
    for one, other in zip(alone, together, strict=True):
        assert np.abs(one - other).max() < 1e-4


def test_a_stride_beyond_the_context_is_refused():
    with pytest.raises(ConfigError, match="between 1 and the context of 8"):
        list(windows([10], context=8, stride=9))
