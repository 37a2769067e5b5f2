"""Matrices as 8-bit integers: four times smaller on disk, and faster products on a CPU where they are large.

Each output channel of a weight has a scale of its own; each token's activations get one while they pass
(W8A8, dynamic per token). Products of whole numbers are exact: a row's result does not depend on its
neighbours in the batch. Small matrices are widened instead (`SMALLEST`). On disk this is the `int-quantized` format of compressed-tensors,
which transformers and vLLM read. Embedding rows are looked up, not multiplied, and stay in float16.
Knows tensors, not files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tenfold.errors import InputError
from tenfold.models.names import SCALE

if TYPE_CHECKING:
    from tenfold.models.llama import Llama

_EIGHT_BITS = {"num_bits": 8, "type": "int", "symmetric": True}
QUANTIZATION: Mapping[str, Any] = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {**_EIGHT_BITS, "strategy": "channel", "dynamic": False},
            "input_activations": {**_EIGHT_BITS, "strategy": "token", "dynamic": True},
        }
    },
}
"""What config.json says of it."""


SMALLEST = 1 << 17
"""Weights from which a matrix is multiplied as integers. For one row, quantising the activations costs
about 12 us and the product of 131,072 weights wins as much back; from there on integers are faster, up to
four times with more rows and larger matrices. Smaller matrices are widened to float32 when loaded."""


class Int8Linear(nn.Module):
    """`nn.Linear` without bias over an int8 weight [out, in] and its scales [out]. Inference only."""

    weight: Tensor
    scale: Tensor

    def __init__(self, weight: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scale", scale.float().flatten())

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1]).float()
        steps = rows.abs().amax(-1, keepdim=True).mul_(1 / 127).clamp_(min=1e-12)
        whole = torch.round(rows / steps).to(torch.int8)
        # `.T` is a view: oneDNN wants exactly this layout, a copy of it is slower
        product = torch._int_mm(whole, self.weight.T)
        return (product * steps).mul_(self.scale).view(*x.shape[:-1], -1)


def quantise_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest int8 matrix [out, in] and the scales [out, 1] that bring it back.

    Symmetric, the largest magnitude of a row at 127: no zero point, so that zeros stay zeros.
    """
    weight = weight.float()
    scale = weight.abs().amax(1, keepdim=True) / 127
    scale = torch.where(scale > 0, scale, torch.ones_like(scale))
    return torch.round(weight / scale).to(torch.int8), scale


def quantise(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under transformers' names with the layers' projections in int8, embeddings in float16."""
    small: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if is_projection(name):
            small[name], small[name + SCALE] = quantise_rows(tensor)
        else:
            small[name] = tensor.half() if tensor.dim() == 2 else tensor.float()
    return small


def is_projection(name: str) -> bool:
    """Whether a tensor (transformers' name) is a linear layer's weight inside the network."""
    return name.endswith("_proj.weight")


def to_int8(model: Llama, state: Mapping[str, Tensor], where: str) -> set[str]:
    """Put the int8 projections of `state` (our names) in the place of a Llama's linear layers.

    Small ones become float32, for speed. A large output layer becomes int8 too, made here from what is on
    disk: all of it is read for every token. Returns the names of the weights now in place. Raises InputError for shapes that config.json does not say.
    """
    placed = set()
    for name, module in list(model.named_modules()):
        weight, scale = state.get(f"{name}.weight"), state.get(f"{name}.weight{SCALE}")
        if not isinstance(module, nn.Linear) or weight is None or scale is None:
            continue
        if weight.shape != module.weight.shape or scale.numel() != len(weight):
            raise InputError(
                f"the weights do not have the shapes that config.json says: {name}",
                where=where,
                seen=(tuple(weight.shape), tuple(scale.shape)),
            )
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, _linear(weight, scale))
        placed.add(f"{name}.weight")
    output = state.get("head.weight", state["embedding.weight"])
    if output.numel() >= SMALLEST:
        model.head = Int8Linear(*quantise_rows(output))
        placed.add("head.weight")
    return placed


def _linear(weight: Tensor, scale: Tensor) -> nn.Module:
    """The faster way to multiply by an int8 matrix of this size."""
    if weight.numel() >= SMALLEST:
        return Int8Linear(weight, scale)
    rows, columns = weight.shape
    layer = nn.Linear(columns, rows, bias=False, device="meta")
    layer.weight = nn.Parameter(weight.float() * scale.float().view(-1, 1), requires_grad=False)
    return layer


def check(quantization: Mapping[str, Any], where: str) -> None:
    """Raises InputError unless config.json describes what `Int8Linear` computes."""
    groups = list(quantization.get("config_groups", {}).values())
    weights = groups[0].get("weights", {}) if len(groups) == 1 else {}
    known = (
        quantization.get("quant_method") == "compressed-tensors"
        and quantization.get("format") == "int-quantized"
        and all(weights.get(key) == value for key, value in _EIGHT_BITS.items())
        and weights.get("strategy") == "channel"
    )
    if not known:
        raise InputError(
            "quantised in a way that cannot be read",
            where=where,
            seen={key: quantization.get(key) for key in ("quant_method", "format")},
            hint="read here: compressed-tensors, int-quantized, 8 bits, one scale per channel",
        )
