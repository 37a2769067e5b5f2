"""Real text that every Python has, a small tokenizer learnt from it, and a context in memory."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import partial
from pydoc_data.topics import topics

import pytest

torch = pytest.importorskip("torch")

from tenfold.core.asset import Asset, Corpus, Document, Draft, view  # noqa: E402
from tenfold.stores.local import LocalBlobs  # noqa: E402

END = "<|endoftext|>"


class MemoryContext:
    """What a step sees, with everything it reports kept in lists."""

    asset = "base"
    run_id = "run"
    cpu = 1

    def __init__(self, blobs: LocalBlobs, seed: int = 7) -> None:
        self.blobs = blobs
        self.seed = seed
        self.scratch: dict[str, object] = {}
        self.curve: list[tuple[str, int, float]] = []
        self.results: dict[str, float] = {}
        self.notes: list[tuple[float, float, str]] = []
        self.checkpoints: list[tuple[Asset, int]] = []
        self.resume_from: tuple[Asset, int] | None = None

    def draft(self, kind: str) -> Draft:
        return Draft(kind, self.blobs.staging())

    def metric(self, name: str, value: float, *, unit: str = "", step: int | None = None) -> None:
        if step is None:
            self.results[name] = value
        else:
            self.curve.append((name, step, value))

    def progress(self, done: float, total: float, note: str = "") -> None:
        self.notes.append((done, total, note))

    def log(self, event: str, **fields) -> None: ...

    def checkpoint(self, draft: Draft, step: int) -> None:
        self.checkpoints.append((view("checkpoint", draft.commit(self.blobs), self.blobs), step))

    def resume(self) -> tuple[Asset, int] | None:
        return self.resume_from

    @contextmanager
    def gateway(self, model: Asset, *, tiers=()):
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def blobs(tmp_path_factory) -> LocalBlobs:
    return LocalBlobs(tmp_path_factory.mktemp("store"))


@pytest.fixture
def ctx(blobs) -> MemoryContext:
    return MemoryContext(blobs)


@pytest.fixture
def fresh(blobs):
    """A function that makes further contexts, as if the step started again."""
    return partial(MemoryContext, blobs)


def documents() -> list[Document]:
    """Twenty-six chapters of the language reference; one in nine held out."""
    names = sorted(topics)[:26]
    return [
        Document(
            id=name,
            text=re.sub(r"[ \t]+", " ", topics[name])[:6000],
            source=f"python/topics/{name}",
            licence="PSF-2.0",
            split="heldout" if number % 9 == 4 else "train",
        )
        for number, name in enumerate(names)
    ]


@pytest.fixture(scope="session")
def corpus(blobs) -> Corpus:
    return make_corpus(blobs, documents())


def make_corpus(blobs: LocalBlobs, rows: list[Document]) -> Corpus:
    return view("corpus", Corpus.write(Draft("corpus"), rows).commit(blobs), blobs)


@pytest.fixture(scope="session")
def tokenizer(blobs) -> Asset:
    """A byte-level BPE of 384 entries."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384,
        special_tokens=[END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    made.train_from_iterator((d.text for d in documents() if d.split == "train"), trainer)
    draft = Draft("tokenizer")
    draft.write_bytes("tokenizer.json", made.to_str().encode())
    draft.write_json("tokenizer_config.json", {"bos_token": END, "eos_token": END})
    draft.meta.update(vocabulary=made.get_vocab_size())
    return view("tokenizer", draft.commit(blobs), blobs)
