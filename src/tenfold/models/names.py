"""Tensor names on disk: transformers keeps projections apart that our Llama fuses. Knows no files."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from tenfold.errors import InputError
from tenfold.models.config import LlamaConfig

SCALE = "_scale"
"""After the name of a quantised weight: the name of its scales [rows, 1], under both naming schemes."""

_PLAIN = {
    "embedding.weight": "model.embed_tokens.weight",
    "norm.weight": "model.norm.weight",
    "head.weight": "lm_head.weight",
}
_IN_LAYER = {
    "attention_norm.weight": ("input_layernorm.weight",),
    "attention.qkv.weight": tuple(f"self_attn.{part}_proj.weight" for part in "qkv"),
    "attention.out.weight": ("self_attn.o_proj.weight",),
    "mlp_norm.weight": ("post_attention_layernorm.weight",),
    "mlp.gate_up.weight": ("mlp.gate_proj.weight", "mlp.up_proj.weight"),
    "mlp.down.weight": ("mlp.down_proj.weight",),
}


def fused_names(config: LlamaConfig) -> dict[str, tuple[str, ...]]:
    """Our name -> the names whose tensors, one below the other, make it."""
    names: dict[str, tuple[str, ...]] = {
        ours: (theirs,)
        for ours, theirs in _PLAIN.items()
        if ours != "head.weight" or not config.tie_word_embeddings
    }
    for layer in range(config.num_hidden_layers):
        for ours, theirs in _IN_LAYER.items():
            names[f"layers.{layer}.{ours}"] = tuple(f"model.layers.{layer}.{t}" for t in theirs)
    return names


def split_rows(ours: str, config: LlamaConfig) -> list[int]:
    """Rows of each part of a fused tensor; empty when it is not fused."""
    if ours.endswith("qkv.weight"):
        kv = config.num_key_value_heads * config.head_dim
        return [config.num_attention_heads * config.head_dim, kv, kv]
    if ours.endswith("gate_up.weight"):
        return [config.intermediate_size] * 2
    return []


def to_transformers(state: Mapping[str, Tensor], config: LlamaConfig) -> dict[str, Tensor]:
    """Our state under transformers' names, each tensor contiguous."""
    tensors: dict[str, Tensor] = {}
    for ours, theirs in fused_names(config).items():
        rows = split_rows(ours, config)
        parts = state[ours].split(rows) if rows else (state[ours],)
        tensors.update((name, part.contiguous()) for name, part in zip(theirs, parts, strict=True))
    return tensors


def from_transformers(
    tensors: Mapping[str, Tensor], config: LlamaConfig, where: str | None = None
) -> dict[str, Tensor]:
    """transformers' tensors, scales among them, as our state. Raises InputError naming the first tensor that is missing."""
    state = {}
    for ours, theirs in fused_names(config).items():
        missing = [name for name in theirs if name not in tensors]
        if missing:
            raise InputError(
                f"the tensor {missing[0]!r} is missing",
                where=where,
                hint="the weights and config.json do not belong together; save the model again",
            )
        parts = [tensors[name] for name in theirs]
        state[ours] = parts[0] if len(parts) == 1 else torch.cat(parts)
        scales = [tensors[name + SCALE] for name in theirs if name + SCALE in tensors]
        if len(scales) == len(theirs):
            state[ours + SCALE] = torch.cat(scales)
    return state
