"""Our Llama against transformers', and generating against scoring."""

from __future__ import annotations

import random

import pytest

torch = pytest.importorskip("torch")

from tenfold.errors import InputError  # noqa: E402
from tenfold.models.cache import KVCache  # noqa: E402
from tenfold.models.folder import load_model, save_model  # noqa: E402


def test_logits_equal_those_of_transformers(draft, llama, config, tokenizer):
    transformers = pytest.importorskip("transformers")
    save_model(draft, llama, config, tokenizer)
    peer = transformers.AutoModelForCausalLM.from_pretrained(draft.path("config.json").parent)
    ids = torch.randint(config.vocab_size, (3, 50), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        theirs, ours = peer(ids).logits, llama(ids)
    assert ours.std() > 0.1
    assert (ours - theirs).abs().max() < 1e-4
    assert sum(p.numel() for p in peer.parameters()) == config.num_parameters


def test_published_weights_give_the_same_logits_and_text_as_transformers(published):
    transformers = pytest.importorskip("transformers")
    model, _, tokenizer = load_model(published)
    peer = transformers.AutoModelForCausalLM.from_pretrained(published)
    ids = torch.tensor([[1, *tokenizer.encode("once", add_special_tokens=False).ids]])
    with torch.inference_mode():
        assert (model(ids) - peer(ids).logits).abs().max() < 1e-4
    theirs = peer.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=40
    )
    assert _greedy(model, ids[0].tolist(), 40) == theirs[0].tolist()


def test_rows_of_different_lengths_decode_as_if_alone(llama, config):
    """A continuous batch: sequences join and leave, every logit equals the full forward pass."""
    chance = random.Random(5)
    cache = KVCache(config, slots=6)
    texts: dict[int, list[int]] = {}

    def check(slots, logits):
        for slot, row in zip(slots, logits, strict=True):
            with torch.inference_mode():
                alone = llama(torch.tensor([texts[slot]]))[0, -1]
            assert (row - alone).abs().max() < 1e-4

    for arriving in ([0, 1, 2], [4], [3, 5]):
        for slot in arriving:
            texts[slot] = [chance.randrange(config.vocab_size) for _ in range(3 + 7 * slot)]
        check(arriving, llama.prefill(cache, arriving, [texts[slot] for slot in arriving]))
        for _ in range(4):
            slots = sorted(texts)
            chance.shuffle(slots)
            news = [chance.randrange(config.vocab_size) for _ in slots]
            for slot, new in zip(slots, news, strict=True):
                texts[slot].append(new)
            check(slots, llama.decode(cache, slots, news))
        gone = chance.choice(sorted(texts))
        cache.clear(gone)
        del texts[gone]


def test_a_shared_prefix_is_computed_once_and_changes_nothing(llama, config):
    cache = KVCache(config, slots=2)
    prefix, rest = [5, 6, 7, 8, 9], [10, 11, 12]
    llama.prefill(cache, [0], [[*prefix, 1, 2]])
    cache.share(0, 1, len(prefix))
    logits = llama.prefill(cache, [1], [rest])
    with torch.inference_mode():
        alone = llama(torch.tensor([prefix + rest]))[0, -1]
    assert (logits[0] - alone).abs().max() < 1e-4
    with pytest.raises(InputError, match="cannot share more"):
        cache.share(1, 0, 9)


def test_a_full_slot_is_refused(llama, config):
    cache = KVCache(config, slots=1, context=8)
    with pytest.raises(InputError, match="context of 8"):
        llama.prefill(cache, [0], [[1] * 9])
    llama.prefill(cache, [0], [[1] * 8])
    with pytest.raises(InputError, match="context of 8"):
        llama.decode(cache, [0], [1])


def test_padding_on_the_right_does_not_change_an_embedding(llama, config):
    ids = torch.randint(config.vocab_size, (1, 9), generator=torch.Generator().manual_seed(2))
    padded = torch.cat((ids, torch.zeros(1, 5, dtype=torch.long)), dim=1)
    mask = torch.arange(14).unsqueeze(0) < 9
    with torch.inference_mode():
        alone = llama.pooled(ids, torch.ones_like(ids))
        assert (llama.pooled(padded, mask) - alone).abs().max() < 1e-5
        assert (alone - llama.hidden(ids).mean(1)).abs().max() < 1e-5


def _greedy(model, ids: list[int], num_tokens: int) -> list[int]:
    cache = KVCache(model.config, slots=1)
    logits = model.prefill(cache, [0], [ids])
    out = list(ids)
    for _ in range(num_tokens):
        out.append(int(logits[0].argmax()))
        logits = model.decode(cache, [0], [out[-1]])
    return out
