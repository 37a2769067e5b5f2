import collections
import json

import pytest

pytest.importorskip("torch")

import torch
from tokenizers import Tokenizer

from tenfold.core.asset import Report, view
from tenfold.errors import ConfigError
from tenfold.govern.bias import bias, probe, scrambled
from tenfold.govern.pairs import definitions, stereotypes
from tenfold.models.config import LlamaConfig
from tenfold.models.folder import LoadedModel

TIED = [s for square in stereotypes() for s in (square.first_first, square.second_second)]
UNTIED = [s for square in stereotypes() for s in (square.first_second, square.second_first)]
KNOWN = [s for square in definitions() for s in (square.first_first, square.second_second)]
ALL_WORDS = [s for square in (*stereotypes(), *definitions()) for s in square.sentences]
ALL_WORDS += [scrambled(sentence) for sentence in ALL_WORDS]


@pytest.fixture
def run(trained, blobs, probing):
    def run(texts, steps):
        ctx = probing()
        model = trained(sorted(set(texts)), steps, vocabulary_of=ALL_WORDS)
        report = view("bias", bias.invoke([model], ctx, bias.configure({})).commit(blobs), blobs)
        assert isinstance(report, Report)
        return ctx.metrics, report.content

    return run


def test_every_category_has_two_sides_and_no_square_holds_a_sentence_twice():
    squares = [*stereotypes(), *definitions()]
    assert len({s for square in squares for s in square.sentences}) > 500
    for square in squares:
        assert len(set(square.sentences)) == 4
    assert len(TIED) == len(UNTIED)
    assert not set(TIED) & set(UNTIED)


def test_a_model_raised_on_stereotypes_is_found_out(run):
    metrics, report = run(TIED + KNOWN, steps=240)
    assert metrics["bias.competent"] == 1.0
    assert report["verdict"] == "prefers stereotypes"
    assert metrics["bias.preference_share"] > 0.75
    assert metrics["bias.preference_gap_low_points"] > 10
    assert set(report["categories"]) == {square.category for square in stereotypes()}


class Reader(torch.nn.Module):
    """Expects what it has read: the next word by how often it followed the same beginning."""

    def __init__(self, tokenizer, texts):
        super().__init__()
        self.vocabulary = tokenizer.get_vocab_size()
        self.followers = collections.defaultdict(collections.Counter)
        for text in texts:
            ids = [0, *tokenizer.encode(text).ids]
            for place in range(1, len(ids)):
                self.followers[tuple(ids[:place])][ids[place]] += 1

    def forward(self, ids_BT):
        counts = torch.full((*ids_BT.shape, self.vocabulary), 1e-3)
        for row, ids in enumerate(ids_BT.tolist()):
            for place in range(len(ids)):
                for token, count in self.followers.get(tuple(ids[: place + 1]), {}).items():
                    counts[row, place, token] += count
        return counts.log()


def reading(texts, words):
    tokenizer = Tokenizer.from_str(words(ALL_WORDS).read_bytes("tokenizer.json").decode())
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        num_key_value_heads=1,
        max_position_embeddings=64,
        eos_token_id=0,
    )
    return probe(LoadedModel(Reader(tokenizer, texts), config, tokenizer), 0.75)


def test_a_model_that_read_the_opposite_is_as_far_from_neutral(words):
    found = reading(UNTIED + KNOWN, words)
    assert found.verdict == "prefers the opposite of stereotypes"
    assert found.overall.gap[0] > 0.4


def test_a_model_that_read_both_alike_is_neutral_however_common_one_word_is(words):
    """Three times as many men as women in everything it read: squares let that cancel."""
    men = [s for s in TIED + UNTIED if " he " in s or " man " in s or "boy" in s]
    found = reading(TIED + UNTIED + KNOWN + 2 * men, words)
    assert found.competent
    assert found.overall.value == pytest.approx(0.5, abs=0.02)
    assert found.verdict.startswith("no preference")


def test_a_model_that_knows_nothing_gets_no_clean_bill(run):
    metrics, report = run(TIED[:3], steps=1)
    assert metrics["bias.competent"] == 0.0
    assert report["verdict"].startswith("not competent")
    assert "says nothing" in report["verdict"]


def test_the_report_is_the_same_bytes_every_time(trained, probing, blobs):
    model = trained(sorted(set(KNOWN)), 3, vocabulary_of=ALL_WORDS)
    digests = {
        bias.invoke([model], probing(), {"competence": 0.75}).commit(blobs).digest for _ in "ab"
    }
    assert len(digests) == 1


def test_scrambling_keeps_the_words_and_changes_the_order():
    for sentence in TIED:
        mixed = scrambled(sentence)
        assert mixed != sentence
        assert sorted(mixed.lower().strip(".").split()) == sorted(
            sentence.lower().strip(".").split()
        )


def test_the_report_is_json_with_its_limits(run):
    _, report = run(TIED[:3], steps=1)
    assert json.loads(json.dumps(report))["limits"]


def test_an_impossible_gate_is_refused():
    with pytest.raises(ConfigError, match="competence"):
        bias.configure({"competence": 0.2})


def test_whoever_answers_everything_rightly_passes_the_strictest_sensible_gate():
    """The gate asks for the lower end of an interval: there must be enough questions to reach it."""
    from tenfold.govern.interval import clustered_share

    clusters = {square.cluster: [1.0] for square in definitions()}
    assert clustered_share(clusters).low > 0.8
