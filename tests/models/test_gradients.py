"""Training through our attention and fused projections moves the weights as transformers' would."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tenfold.models.folder import save_model  # noqa: E402
from tenfold.models.names import to_transformers  # noqa: E402


def test_gradients_equal_those_of_transformers(draft, llama, config, tokenizer):
    transformers = pytest.importorskip("transformers")
    save_model(draft, llama, config, tokenizer)
    peer = transformers.AutoModelForCausalLM.from_pretrained(draft.path("config.json").parent)
    ids = torch.randint(config.vocab_size, (2, 41), generator=torch.Generator().manual_seed(1))
    llama.train().requires_grad_(True)
    logits = llama(ids[:, :-1])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()
    theirs = peer(ids, labels=ids).loss
    theirs.backward()
    assert float(loss.detach()) == pytest.approx(float(theirs.detach()), rel=1e-5)
    gradients = {name: parameter.grad for name, parameter in llama.named_parameters()}
    ours = to_transformers(gradients, config)
    for name, parameter in peer.named_parameters():
        largest = parameter.grad.abs().max()
        assert (ours[name] - parameter.grad).abs().max() < 1e-3 * largest, name
