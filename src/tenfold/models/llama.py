"""Llama in plain torch: training on blocks, and generating with many sequences of different lengths.

The query, key and value projections are one matrix, gate and up another: fewer, larger products, which
is what small models need. `names.py` maps them to the names that transformers uses on disk. This file
knows nothing about files, tokenizers, sampling or schedules. Shapes: B rows, T tokens, D width, V
vocabulary, H query heads, K key-value heads, E head dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tenfold.models.cache import KVCache
from tenfold.models.config import LlamaConfig


class Attention(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.num_heads = config.num_attention_heads
        self.num_kv_heads = config.num_key_value_heads
        self.head_dim = config.head_dim
        rows = (self.num_heads + 2 * self.num_kv_heads) * self.head_dim
        self.qkv = nn.Linear(config.hidden_size, rows, bias=False)
        self.out = nn.Linear(self.num_heads * self.head_dim, config.hidden_size, bias=False)

    def forward(self, x_BTD: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        num_rows, num_tokens, _ = x_BTD.shape
        heads = self.qkv(x_BTD).view(num_rows, num_tokens, -1, self.head_dim)
        q, k, v = heads.transpose(1, 2).split(
            (self.num_heads, self.num_kv_heads, self.num_kv_heads), dim=1
        )
        # tables are in the heads' own precision: under autocast, rotating must not widen them again
        q, k = (
            rotate(q, cos.to(q.dtype), sin.to(q.dtype)),
            rotate(k, cos.to(k.dtype), sin.to(k.dtype)),
        )
        y = causal_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(num_rows, num_tokens, -1))


class MLP(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.down = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class Layer(nn.Module):
    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.attention = Attention(config)
        self.mlp_norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = MLP(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x), cos, sin)
        return x + self.mlp(self.mlp_norm(x))


class Llama(nn.Module):
    """A decoder. `forward` for training and scoring, `prefill` and `decode` for generating."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.head: nn.Module | None = None
        """The output layer where it is not the embedding."""
        if not config.tie_word_embeddings:
            self.head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        cos, sin = rotary_tables(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Normal weights of deviation 0.02, the two projections into the residual stream smaller by
        sqrt(2 * layers) so that its variance does not grow with depth (GPT-2, section 2.3)."""
        shrink = (2 * self.config.num_hidden_layers) ** -0.5
        for name, parameter in self.named_parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0)
            else:
                deviation = 0.02 * (shrink if name.endswith(("out.weight", "down.weight")) else 1.0)
                parameter.normal_(0.0, deviation, generator=generator)

    @property
    def stack(self) -> Sequence[Layer]:
        """The layers, from the embedding up."""
        return cast("Sequence[Layer]", self.layers)

    def forward(self, ids_BT: Tensor) -> Tensor:
        """Logits [B, T, V] of the token after each position."""
        return self.logits(self.hidden(ids_BT))

    def hidden(self, ids_BT: Tensor) -> Tensor:
        """The normalised residual stream [B, T, D]. Causal: what is padded on the right changes nothing
        to its left."""
        num_tokens = ids_BT.shape[1]
        x = self.embedding(ids_BT)
        cos, sin = self.cos[:num_tokens], self.sin[:num_tokens]
        for layer in self.stack:
            x = layer(x, cos, sin)
        return self.norm(x)

    def pooled(self, ids_BT: Tensor, mask_BT: Tensor) -> Tensor:
        """The mean [B, D] of the hidden states where the mask is true: an embedding of each text."""
        weights = mask_BT.to(torch.float32).unsqueeze(-1)
        return (self.hidden(ids_BT) * weights).sum(1) / weights.sum(1).clamp(min=1.0)

    def logits(self, hidden: Tensor) -> Tensor:
        return F.linear(hidden, self.embedding.weight) if self.head is None else self.head(hidden)

    @torch.inference_mode()
    def prefill(
        self, cache: KVCache, slots: Sequence[int], prompts: Sequence[Sequence[int]]
    ) -> Tensor:
        """Append a prompt to each slot and return the logits [B, V] after its last token.

        Prompts of different lengths are packed into one row of tokens, so that no product is spent on
        padding; only attention is computed prompt by prompt. A slot may already hold a shared prefix.
        Raises InputError when a prompt does not fit.
        """
        spans = [cache.room_for(slot, len(ids)) for slot, ids in zip(slots, prompts, strict=True)]
        positions = torch.cat(spans)
        x = self.embedding(torch.tensor([token for ids in prompts for token in ids]))
        cos, sin = self._step_tables(positions)
        for index, layer in enumerate(self.stack):
            attention = layer.attention
            heads = turned(attention.qkv(layer.attention_norm(x)), cos, sin)
            pieces, offset = [], 0
            for slot, span in zip(slots, spans, strict=True):
                num_tokens, start = len(span), cache.lengths[slot]
                own = heads[offset : offset + num_tokens]
                offset += num_tokens
                row = cache.kv[index, slot]
                row[start : start + num_tokens] = own[:, attention.num_heads :]
                pieces.append(_attend(own, row[: start + num_tokens], attention))
            x = x + attention.out(torch.cat(pieces))
            x = x + layer.mlp(layer.mlp_norm(x))
        for slot, ids in zip(slots, prompts, strict=True):
            cache.lengths[slot] += len(ids)
        ends = torch.tensor([len(ids) for ids in prompts]).cumsum(0) - 1
        return self.logits(self.norm(x[ends]))

    @torch.inference_mode()
    def decode(
        self, cache: KVCache, slots: Sequence[int], ids: Sequence[int], width: int | None = None
    ) -> Tensor:
        """Append one token to each slot and return the logits [B, V] after it.

        All rows share every product; rows are as long as they are, the mask hides what lies behind each
        row's own length. Slots 0, 1, 2... in order are read in place, any other choice is gathered
        first. `width` fixes how many positions attention reads (at least the longest row's, at most
        `cache.width`), always through a mask: the kernel, and with it each sum's order, is then the
        caller's choice and not the longest row's. Raises InputError when a slot is full.
        """
        num_rows = len(slots)
        lengths = [cache.lengths[slot] for slot in slots]
        longest = max(lengths) + 1
        if longest > cache.context:
            cache.room_for(slots[lengths.index(longest - 1)], 1)
        positions, where = torch.tensor(lengths), torch.tensor(slots)
        in_place = list(slots) == list(range(num_rows))
        masked = width is not None or min(lengths) + 1 < longest
        width = longest if width is None else max(width, longest)
        mask = None
        if masked:
            hidden = torch.arange(width) > positions.unsqueeze(1)
            mask = torch.zeros(num_rows, 1, 1, width)
            mask.masked_fill_(hidden.view(num_rows, 1, 1, width), -torch.inf)
        cos, sin = self._step_tables(positions)
        x = self.embedding(torch.tensor(ids))
        for index, layer in enumerate(self.stack):
            attention = layer.attention
            heads = turned(attention.qkv(layer.attention_norm(x)), cos, sin)
            stored = cache.kv[index]
            stored[where, positions] = heads[:, attention.num_heads :]
            kv = stored[:num_rows, :width] if in_place else stored[where, :width]
            k, v = kv.transpose(1, 2).chunk(2, dim=1)
            # the query heads that share a key head stand as further queries of it: nothing is repeated
            q = heads[:, : attention.num_heads].view(num_rows, k.shape[1], -1, k.shape[3])
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
            x = x + attention.out(y.reshape(num_rows, -1))
            x = x + layer.mlp(layer.mlp_norm(x))
        for slot in slots:
            cache.lengths[slot] += 1
        return self.logits(self.norm(x))

    def _step_tables(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Rotation of all of a position's heads at once, [N, H + 2K, E]; values turn by zero."""
        config = self.config
        turning = config.num_attention_heads + config.num_key_value_heads
        cos = torch.ones(len(positions), turning + config.num_key_value_heads, config.head_dim)
        sin = torch.zeros_like(cos)
        cos[:, :turning] = self.cos[positions].unsqueeze(1)
        sin[:, :turning] = self.sin[positions].unsqueeze(1)
        return cos, sin


def rotary_tables(config: LlamaConfig) -> tuple[Tensor, Tensor]:
    """Cosines and signed sines [context, E] (RoFormer, arXiv 2104.09864, in transformers' half layout)."""
    half = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    frequencies = 1.0 / (config.rope_theta**half)
    angles = torch.outer(torch.arange(config.max_position_embeddings).float(), frequencies)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat((cos, cos), dim=1), torch.cat((-sin, sin), dim=1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (i, i + E/2). The sign is in the table, so the halves only change places."""
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


def turned(qkv: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rows of fused projections [N, (H + 2K) * E] as rotated heads [N, H + 2K, E]."""
    return rotate(qkv.view(cos.shape), cos, sin)


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention [B, H, T, E] of every token over itself and what came before it.

    Short blocks that need gradients take plain matrix products: on a CPU, backward through them takes
    half the time of torch's flash kernel at 256 tokens, and their T x T scores are small.
    """
    num_rows, num_heads, num_tokens, size = q.shape
    num_kv = k.shape[1]
    if num_tokens > 512 or q.device.type != "cpu" or not torch.is_grad_enabled():
        return F.scaled_dot_product_attention(
            q, k, v, is_causal=True, enable_gqa=num_heads != num_kv
        )
    # query heads that share a key head lie one below the other, so that keys are never repeated
    q = (q * size**-0.5).reshape(num_rows, num_kv, -1, size)
    scores = (q @ k.transpose(-1, -2)).view(num_rows, -1, num_tokens, num_tokens)
    ahead = torch.full((num_tokens, num_tokens), -torch.inf, dtype=scores.dtype).triu(1)
    weights = (scores + ahead).softmax(-1).view(num_rows, num_kv, -1, num_tokens)
    return (weights @ v).view(num_rows, num_heads, num_tokens, size)


def _attend(heads: Tensor, kv: Tensor, attention: Attention) -> Tensor:
    """Causal attention [T, H * E] of the last T tokens of a sequence over all of it."""
    num_tokens, num_kv = len(heads), attention.num_kv_heads
    q = heads[:, : attention.num_heads].transpose(0, 1).unsqueeze(0)
    k, v = kv.transpose(0, 1).unsqueeze(0).split(num_kv, dim=1)
    before = len(kv) - num_tokens
    mask = None
    if before:
        mask = torch.ones(num_tokens, len(kv), dtype=torch.bool).tril(before)
    y = F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=not before, enable_gqa=attention.num_heads != num_kv
    )
    return y.squeeze(0).transpose(0, 1).reshape(num_tokens, -1)
