"""A tiny tokenizer, tiny networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from tenfold.core.asset import Asset, Draft, view  # noqa: E402
from tenfold.models.config import LlamaConfig  # noqa: E402
from tenfold.models.llama import Llama  # noqa: E402
from tenfold.stores.local import LocalBlobs  # noqa: E402

TEXT = [
    "The class statement binds a name to a new type object.",
    "A function definition is an executable statement; it does not run the body.",
    "Yield expressions are only used when defining a generator function.",
]


@pytest.fixture(scope="session")
def blobs(tmp_path_factory) -> LocalBlobs:
    return LocalBlobs(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="session")
def tokenizer(blobs) -> Asset:
    """A byte-level BPE of 300 entries, learnt from three sentences."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator(TEXT * 20, trainer)
    draft = Draft("tokenizer")
    draft.write_bytes("tokenizer.json", made.to_str().encode())
    draft.meta.update(vocabulary=made.get_vocab_size())
    return view("tokenizer", draft.commit(blobs), blobs)


@pytest.fixture(params=["grouped", "plain", "untied"])
def config(request, tokenizer) -> LlamaConfig:
    variants = {
        "grouped": {"num_key_value_heads": 2},
        "plain": {"num_key_value_heads": 4},
        "untied": {"num_key_value_heads": 1, "tie_word_embeddings": False},
    }
    return small_config(tokenizer, **variants[request.param])


def small_config(tokenizer: Asset, **changes) -> LlamaConfig:
    sizes = {
        "vocab_size": tokenizer.meta["vocabulary"],
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "eos_token_id": 0,
    }
    return LlamaConfig(**{**sizes, **changes})


def random_llama(config: LlamaConfig, seed: int = 0) -> Llama:
    """Weights ten times as large as at the start of training, so that logits differ visibly."""
    model = Llama(config)
    model.initialise(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(10)
    return model.requires_grad_(False).eval()


@pytest.fixture
def llama(config) -> Llama:
    return random_llama(config)


@pytest.fixture
def draft(tmp_path) -> Draft:
    folder = tmp_path / "draft"
    folder.mkdir()
    return Draft("model", folder)
