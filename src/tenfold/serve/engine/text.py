"""A model folder's words: how prompts are made, how ids become text, which ids end an answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.serve.engine.prompt import Prompts

if TYPE_CHECKING:
    import tokenizers

    from tenfold.models.config import LlamaConfig


@dataclass(frozen=True, slots=True)
class Text:
    prompts: Prompts
    tokenizer: tokenizers.Tokenizer
    eos_ids: frozenset[int]

    def decode(self, ids: Sequence[int]) -> str:
        """Without special tokens."""
        return self.tokenizer.decode(ids, skip_special_tokens=True)


def read_text(
    folder: Path, config: LlamaConfig, tokenizer: tokenizers.Tokenizer, context_tokens: int
) -> Text:
    """`generation_config.json` may name several end marks; without it config.json's one counts."""
    path = folder / "generation_config.json"
    plain = json.loads(path.read_bytes()) if path.is_file() else {}
    eos = plain.get("eos_token_id", config.eos_token_id)
    ids = eos if isinstance(eos, list) else [eos]
    prompts = Prompts(folder, tokenizer, config.bos_token_id, context_tokens)
    return Text(prompts, tokenizer, frozenset(i for i in ids if i is not None))
