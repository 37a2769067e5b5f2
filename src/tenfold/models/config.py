"""The shape of a Llama network, under the names that transformers gives it. Knows nothing about torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from tenfold.errors import ConfigError, InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaConfig:
    """Sizes of a Llama: rotary positions, grouped-query attention, RMSNorm, SwiGLU, no biases.

    (Touvron et al. 2023, arXiv 2302.13971; grouped queries: Ainslie et al. 2023, arXiv 2305.13245.)
    """

    vocab_size: int
    """Rows of the embedding; at least as many as the tokenizer has entries."""
    hidden_size: int
    """Width of the residual stream; a multiple of `num_attention_heads`."""
    intermediate_size: int
    """Width inside the SwiGLU block."""
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    """Divides `num_attention_heads`."""
    max_position_embeddings: int
    """Context in tokens."""
    head_dim: int = 0
    """Even; 0: hidden_size / num_attention_heads."""
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-5
    tie_word_embeddings: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | None = None

    def __post_init__(self) -> None:
        for name in _SIZES:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be 1 or more", seen=getattr(self, name))
        if self.num_attention_heads % self.num_key_value_heads:
            raise ConfigError(
                "num_key_value_heads must divide num_attention_heads",
                seen=(self.num_key_value_heads, self.num_attention_heads),
            )
        if not self.head_dim:
            if self.hidden_size % self.num_attention_heads:
                raise ConfigError(
                    "num_attention_heads must divide hidden_size",
                    seen=(self.num_attention_heads, self.hidden_size),
                )
            object.__setattr__(self, "head_dim", self.hidden_size // self.num_attention_heads)
        if self.head_dim % 2:
            raise ConfigError("the head dimension must be even (rotary pairs)", seen=self.head_dim)

    @property
    def num_parameters(self) -> int:
        """Weights in all, a tied output layer counted once."""
        embeddings = self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2)
        return embeddings + self.num_hidden_layers * self._layer + self.hidden_size

    @property
    def _layer(self) -> int:
        heads = self.num_attention_heads + self.num_key_value_heads
        attention = 2 * self.hidden_size * self.head_dim * heads
        return attention + 3 * self.hidden_size * self.intermediate_size + 2 * self.hidden_size

    def forward_flops(self, num_tokens: int, context: int) -> int:
        """Multiply-adds (2 FLOPs each) of a forward pass over sequences of `context` tokens.

        Matrix products only, the output layer included, attention scores as if not causal (the
        convention of Kaplan et al. 2020, arXiv 2001.08361, and of PaLM's appendix B). Training takes
        three times this.
        """
        matrices = self.num_hidden_layers * (self._layer - 2 * self.hidden_size)
        matrices += self.vocab_size * self.hidden_size
        scores = 2 * self.num_hidden_layers * self.num_attention_heads * self.head_dim * context
        return 2 * num_tokens * (matrices + scores)

    def to_dict(self) -> dict[str, Any]:
        """As the `config.json` that transformers, vLLM and llama.cpp's converter read."""
        plain: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            **plain,
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            # transformers 5 reads the first, everything older the plain `rope_theta`
            "rope_parameters": {"rope_type": "default", "rope_theta": self.rope_theta},
            "torch_dtype": "float32",
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], where: str | None = None) -> LlamaConfig:
        """Raises InputError for another architecture, or for a variant this Llama does not compute."""
        if plain.get("model_type") != "llama":
            raise InputError(
                "only Llama networks can be read",
                where=where,
                seen=plain.get("model_type"),
                hint="serve other architectures with an OpenAI-compatible server (vLLM, SGLang)",
            )
        rope = plain.get("rope_parameters") or {}
        scalings = (rope, plain.get("rope_scaling") or {})
        variants = {
            "rotary scaling": any(
                scaling.get("rope_type", scaling.get("type", "default")) != "default"
                for scaling in scalings
            ),
            "attention biases": plain.get("attention_bias"),
            "biases in the MLP": plain.get("mlp_bias"),
            "an activation other than SiLU": plain.get("hidden_act", "silu") != "silu",
        }
        for variant, present in variants.items():
            if present:
                raise InputError(f"a Llama with {variant} cannot be read", where=where)
        values = {f.name: plain[f.name] for f in fields(cls) if plain.get(f.name) is not None}
        if "rope_theta" in rope:
            values["rope_theta"] = rope["rope_theta"]
        values.setdefault("num_key_value_heads", plain.get("num_attention_heads"))
        values["tie_word_embeddings"] = bool(plain.get("tie_word_embeddings", False))
        if isinstance(
            values.get("eos_token_id"), list
        ):  # some folders name several; the first ends
            values["eos_token_id"] = values["eos_token_id"][0]
        try:
            return cls(**values)
        except (TypeError, ConfigError) as error:
            raise InputError(f"not a Llama configuration: {error}", where=where) from None


_SIZES = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
)
