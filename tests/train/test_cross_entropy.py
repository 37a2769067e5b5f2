from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402

from tenfold.train import cross_entropy  # noqa: E402


@pytest.mark.parametrize("num_tokens", [1, 512, 700])
def test_loss_and_gradients_equal_torchs_own(num_tokens):
    chance = torch.Generator().manual_seed(num_tokens)
    hidden = torch.randn(num_tokens, 32, generator=chance, requires_grad=True)
    weight = torch.randn(300, 32, generator=chance, requires_grad=True)
    targets = torch.randint(300, (num_tokens,), generator=chance)
    theirs = F.cross_entropy(hidden @ weight.T, targets)
    expected = torch.autograd.grad(3 * theirs, (hidden, weight))
    ours = cross_entropy.linear_cross_entropy(hidden, weight, targets)
    gradients = torch.autograd.grad(3 * ours, (hidden, weight))
    assert torch.allclose(ours, theirs, rtol=1e-5)
    for got, wanted in zip(gradients, expected, strict=True):
        assert torch.allclose(got, wanted, rtol=1e-4, atol=1e-6)


def test_in_bfloat16_it_stays_near_the_float32_loss():
    chance = torch.Generator().manual_seed(3)
    hidden = torch.randn(600, 64, generator=chance)
    weight = torch.randn(1000, 64, generator=chance) * 0.3
    targets = torch.randint(1000, (600,), generator=chance)
    exact = F.cross_entropy(hidden @ weight.T, targets)
    ours = cross_entropy.linear_cross_entropy(hidden.bfloat16(), weight, targets)
    assert ours.dtype == torch.float32
    assert float(ours) == pytest.approx(float(exact), rel=2e-3)
