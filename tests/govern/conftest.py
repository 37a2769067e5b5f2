"""Small models that are really trained, so that what a probe should find is there to be found."""

import random

import hypothesis
import pytest

torch = pytest.importorskip("torch")

from tenfold.core.asset import Asset, Corpus, Document, Draft, view  # noqa: E402
from tenfold.models.config import LlamaConfig  # noqa: E402
from tenfold.models.folder import save_model  # noqa: E402
from tenfold.models.llama import Llama  # noqa: E402
from tenfold.stores.memory import MemoryBlobs  # noqa: E402

hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


class Probing:
    """A Context that remembers metrics and logs."""

    asset = "probe"
    run_id = "run-1"
    cpu = 1

    def __init__(self, folder, seed=7):
        self.seed = seed
        self.scratch: dict = {}
        self.metrics: dict[str, float] = {}
        self._folder = folder
        self._drafts = 0

    def draft(self, kind):
        self._drafts += 1
        folder = self._folder / f"draft-{self._drafts}"
        folder.mkdir(parents=True)
        return Draft(kind, folder)

    def metric(self, name, value, *, unit="", step=None):
        self.metrics[name] = value

    def progress(self, done, total, note=""):
        pass

    def log(self, event, **fields):
        pass


@pytest.fixture
def probing(tmp_path):
    made = iter(range(100))
    return lambda seed=7: Probing(tmp_path / f"probing-{next(made)}", seed)


@pytest.fixture(scope="session")
def blobs():
    return MemoryBlobs()


@pytest.fixture(scope="session")
def words(blobs):
    """A tokenizer asset over the words of given texts: fast to train a model on, exact to decode."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    def build(texts) -> Asset:
        splitter = pre_tokenizers.Split(Regex(r" ?[^\s.]+|."), "isolated")
        vocabulary = {"<|end|>": 0, "<|unknown|>": 1}
        for text in texts:
            for piece, _ in splitter.pre_tokenize_str(text):
                vocabulary.setdefault(piece, len(vocabulary))
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<|unknown|>"))
        tokenizer.pre_tokenizer = splitter
        tokenizer.decoder = decoders.Fuse()
        tokenizer.add_special_tokens(["<|end|>"])
        draft = Draft("tokenizer")
        draft.write_bytes("tokenizer.json", tokenizer.to_str().encode())
        draft.meta["vocabulary"] = len(vocabulary)
        return view("tokenizer", draft.commit(blobs), blobs)

    return build


@pytest.fixture(scope="session")
def trained(blobs, words):
    """(texts, steps) -> a model asset trained on them: a Llama of about 100,000 weights."""

    def train(texts, steps, *, vocabulary_of=None, context=64) -> Asset:
        from tokenizers import Tokenizer

        tokenizer = words(vocabulary_of or texts)
        reader = Tokenizer.from_str(tokenizer.read_bytes("tokenizer.json").decode())
        config = LlamaConfig(
            vocab_size=tokenizer.meta["vocabulary"],
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=context,
            eos_token_id=0,
        )
        model = Llama(config)
        model.initialise(torch.Generator().manual_seed(0))
        rows = [[0, *reader.encode(text).ids, 0][:context] for text in texts]
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            fit(model, rows, steps)
        finally:
            torch.set_num_threads(before)
        draft = save_model(Draft("model"), model.eval(), config, tokenizer)
        return view("model", draft.commit(blobs), blobs)

    return train


def fit(model, rows, steps):
    """Few steps at a high rate that falls to nothing: enough for a hundred thousand weights."""
    draws = random.Random(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 1e-2 * (1 - step / steps)
        batch = draws.sample(rows, min(32, len(rows)))
        longest = max(map(len, batch))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in batch])
        targets = torch.tensor([row + [-100] * (longest - len(row)) for row in batch])
        loss = torch.nn.functional.cross_entropy(
            model(ids[:, :-1]).flatten(0, 1), targets[:, 1:].flatten(), ignore_index=-100
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@pytest.fixture
def corpus_of(blobs):
    def build(training, heldout=()):
        documents = [
            Document(f"{split}-{number:03}", text, f"test:{number}", "CC0-1.0", split)
            for split, texts in (("train", training), ("heldout", heldout))
            for number, text in enumerate(texts)
        ]
        return view("corpus", Corpus.write(Draft(Corpus.kind), documents).commit(blobs), blobs)

    return build
