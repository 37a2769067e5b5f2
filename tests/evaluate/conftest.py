"""A small tokenizer and small networks as assets, and a corpus with a held-out part."""

from __future__ import annotations

import random

import pytest

torch = pytest.importorskip("torch")

from tenfold.core.asset import Asset, Corpus, Document, Draft, view  # noqa: E402
from tenfold.data.tokenizer import TokenizerConfig, learn, settings  # noqa: E402
from tenfold.models.config import LlamaConfig  # noqa: E402
from tenfold.models.folder import save_model  # noqa: E402
from tenfold.models.llama import Llama  # noqa: E402

WORDS = [
    "the",
    "class",
    "statement",
    "binds",
    "a",
    "name",
    "to",
    "new",
    "type",
    "object",
    "in",
    "scope",
    "and",
    "runs",
    "its",
    "body",
    "first",
]


def texts(count: int, seed: int) -> list[str]:
    chance = random.Random(seed)
    return [
        " ".join(chance.choice(WORDS) for _ in range(chance.randrange(20, 90))) + "."
        for _ in range(count)
    ]


@pytest.fixture(scope="session")
def tokenizer(blobs) -> Asset:
    made = learn(iter(texts(60, 1)), config := TokenizerConfig(vocabulary=300))
    draft = Draft("tokenizer")
    draft.write_bytes("tokenizer.json", made.to_str().encode())
    draft.write_json("tokenizer_config.json", settings(config))
    draft.meta["vocabulary"] = made.get_vocab_size()
    return view("tokenizer", draft.commit(blobs), blobs)


@pytest.fixture(scope="session")
def corpus(blobs) -> Corpus:
    documents = [
        Document(f"{n}", text, f"s{n}", "CC0-1.0", split="heldout" if n % 10 == 0 else "train")
        for n, text in enumerate(texts(200, 2))
    ]
    return view("corpus", Corpus.write(Draft(Corpus.kind), documents).commit(blobs), blobs)


@pytest.fixture(scope="session")
def model_of(blobs, tokenizer):
    """A model asset: random weights of a given size, or all zero, which predicts every token alike."""

    def make(seed: int = 0, scale: float = 10.0, name: str = "base", change=None, **sizes):
        shape = {
            "vocab_size": tokenizer.meta["vocabulary"],
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 48,
            "bos_token_id": 0,
            "eos_token_id": 0,
            **sizes,
        }
        config = LlamaConfig(**shape)
        network = Llama(config)
        network.initialise(torch.Generator().manual_seed(seed))
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(scale)
                    if change is not None:
                        parameter.copy_(change(parameter))
        draft = save_model(Draft("model"), network, config, tokenizer)
        return view(name, draft.commit(blobs), blobs)

    return make
