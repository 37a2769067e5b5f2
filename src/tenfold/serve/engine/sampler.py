"""Which token comes next: greedy, temperature, top-p, for all rows of a batch at once.

A row's randomness is a function of its seed and of how many tokens it has, not of a shared generator, so
the same seed gives the same text whatever else is in the batch. Rows do not touch each other: every
operation here is elementwise, or along one row.
"""

from __future__ import annotations

import torch
from torch import Tensor

GREEDY_BELOW = 1e-4
"""Temperatures under this are greedy: the distribution has one point in double precision anyway."""


def sample(
    logits_RV: Tensor, temperature_R: Tensor, top_p_R: Tensor, seed_R: Tensor, step_R: Tensor
) -> Tensor:
    """Token ids, shape R. `temperature` and `top_p` are floats, `seed` and `step` int64, all of shape R."""
    ids_R = logits_RV.argmax(-1)
    warm = (temperature_R >= GREEDY_BELOW).nonzero().flatten()
    if warm.numel() == 0:
        return ids_R
    # Double precision: a cumulative sum over a large vocabulary must not lose its tail.
    scaled = logits_RV[warm].double() / temperature_R[warm].double().unsqueeze(-1)
    probs = scaled.softmax(-1)
    u = uniform(seed_R[warm], step_R[warm])
    top_p = top_p_R[warm].double()
    cut = top_p < 1.0
    drawn = _whole(probs, u)
    if cut.any():  # sorting a vocabulary costs more than all the rest
        drawn[cut] = _nucleus(probs[cut], top_p[cut], u[cut])
    ids_R[warm] = drawn
    return ids_R


def uniform(seed_R: Tensor, step_R: Tensor) -> Tensor:
    """A number in [0, 1) for each (seed, step): SplitMix64 (Steele, Lea, Flood 2014), the seed hashed once
    so that neighbouring seeds do not give shifted copies of one sequence."""
    mixed = _mix(_mix(seed_R + _GOLDEN) + _GOLDEN * (step_R + 1))
    return (_shifted(mixed, 11)).double() * 2.0**-53


def _whole(probs_RV: Tensor, u_R: Tensor) -> Tensor:
    cumulative = probs_RV.cumsum(-1)
    return _draw(cumulative, u_R * cumulative[:, -1])


def _nucleus(probs_RV: Tensor, top_p_R: Tensor, u_R: Tensor) -> Tensor:
    """Draw from the fewest likeliest tokens whose probabilities reach top_p (Holtzman et al. 2020, 3.1)."""
    sorted_RV, order_RV = probs_RV.sort(dim=-1, descending=True, stable=True)
    cumulative = sorted_RV.cumsum(-1)
    inside = (cumulative - sorted_RV) < top_p_R.unsqueeze(-1)
    inside[:, 0] = True  # top_p = 0 still leaves the likeliest
    kept = cumulative.gather(-1, inside.sum(-1, keepdim=True) - 1).squeeze(-1)
    return order_RV.gather(-1, _draw(cumulative, u_R * kept).unsqueeze(-1)).squeeze(-1)


def _draw(cumulative_RV: Tensor, at_R: Tensor) -> Tensor:
    """The first index whose cumulative probability exceeds `at`: never a token of probability zero."""
    found = torch.searchsorted(cumulative_RV, at_R.unsqueeze(-1), right=True).squeeze(-1)
    return found.clamp_(max=cumulative_RV.shape[-1] - 1)


_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number; int64 arithmetic wraps


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shifted(x, 30)) * -4658895280553007687  # 0xBF58476D1CE4E5B9
    x = (x ^ _shifted(x, 27)) * -7723592293110705685  # 0x94D049BB133111EB
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """A logical shift right; torch's own keeps the sign."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
