"""A small random Llama as a model folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TEXT = [
    "The class statement binds a name to a new type object.",
    "Ein Mädchen namens Élise aß im Café ein Stück Kuchen, für 3 €.",
    "你好，世界。 今天天气很好 🙂🙃 emoji 🇩🇪",
    "user: what is that?\nassistant: a generator function, of course.",
]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Path:
    """Three layers, grouped queries, byte-level BPE of 320 entries, context 160: gibberish, but bytes of all
    kinds, and logits far enough from uniform that greedy text wanders."""
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    from tenfold.core.asset import Draft
    from tenfold.models.config import LlamaConfig
    from tenfold.models.folder import write_weights
    from tenfold.models.llama import Llama
    from tenfold.models.names import to_transformers

    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<|end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT * 20, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=160,
        eos_token_id=0,
        bos_token_id=0,
    )
    model = Llama(config)
    model.initialise(torch.Generator().manual_seed(1))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(10)
    draft = Draft("model", folder)
    write_weights(draft, to_transformers(model.state_dict(), config))
    draft.write_json("config.json", config.to_dict())
    draft.write_json("generation_config.json", {"eos_token_id": 0})
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|end|>",
        "bos_token": "<|end|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder
