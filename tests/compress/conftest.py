"""A small model that has learnt something, its corpus and tokenizer, and a context in memory."""

from __future__ import annotations

from pydoc_data.topics import topics

import pytest

torch = pytest.importorskip("torch")

from tenfold.core.asset import Corpus, Document, Draft, Model, view  # noqa: E402
from tenfold.models.config import LlamaConfig  # noqa: E402
from tenfold.models.folder import save_model  # noqa: E402
from tenfold.models.llama import Llama  # noqa: E402
from tenfold.stores.local import LocalBlobs  # noqa: E402


class MemoryContext:
    asset = "small"
    run_id = "run"
    seed = 0
    cpu = 1

    def __init__(self, blobs: LocalBlobs) -> None:
        self.blobs = blobs
        self.scratch: dict[str, object] = {}
        self.results: dict[str, float] = {}

    def draft(self, kind: str) -> Draft:
        return Draft(kind, self.blobs.staging())

    def metric(self, name: str, value: float, *, unit: str = "", step: int | None = None) -> None:
        self.results[name] = value

    def progress(self, done: float, total: float, note: str = "") -> None: ...

    def log(self, event: str, **fields) -> None: ...


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def blobs(tmp_path_factory) -> LocalBlobs:
    return LocalBlobs(tmp_path_factory.mktemp("store"))


@pytest.fixture
def ctx(blobs) -> MemoryContext:
    return MemoryContext(blobs)


@pytest.fixture(scope="session")
def corpus(blobs) -> Corpus:
    rows = [
        Document(name, topics[name][:4000], f"topics/{name}", "PSF-2.0", split)
        for name, split in (("if", "train"), ("while", "train"), ("for", "heldout"))
    ]
    return view("corpus", Corpus.write(Draft("corpus"), rows).commit(blobs), blobs)


@pytest.fixture(scope="session")
def base(blobs, corpus) -> Model:
    """Overfitted on purpose to a few paragraphs: its predictions are sharp, so that a change shows."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = [document.text for document in corpus.documents()]
    made.train_from_iterator(texts, trainer)
    draft = Draft("tokenizer")
    draft.write_bytes("tokenizer.json", made.to_str().encode())
    tokenizer = view("tokenizer", draft.commit(blobs), blobs)
    config = LlamaConfig(
        vocab_size=made.get_vocab_size(),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
    )
    model = Llama(config)
    model.initialise(torch.Generator().manual_seed(0))
    ids = torch.tensor(made.encode("\n".join(texts)).ids)
    blocks = ids[: len(ids) // 65 * 65].view(-1, 65)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(120):
        block = blocks[step % 4 :: 4]
        loss = torch.nn.functional.cross_entropy(
            model(block[:, :-1]).flatten(0, 1), block[:, 1:].flatten()
        )
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    made_draft = save_model(
        Draft("model", blobs.staging()), model, config, tokenizer, recipe="here"
    )
    return view("base", made_draft.commit(blobs), blobs)
