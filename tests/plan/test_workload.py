import itertools

import pytest

from tenfold.core.asset import Corpus, Document, Draft, Table, view
from tenfold.errors import ConfigError, InputError
from tenfold.plan.trace import parse_trace, trace_lines
from tenfold.plan.workload import (
    WorkloadConfig,
    ask_about,
    catalogue,
    continue_from,
    describe,
    synthesise,
    workload,
)


def document(text="one two three four", source="", **meta):
    return Document("id", text, source, "PSF-2.0", meta=meta)


def test_a_named_document_is_asked_about_and_any_other_continued():
    assert ask_about(document(source="python:json.loads")).text == "What does json.loads do?"
    assert (
        ask_about(document(title="truth value testing")).text
        == "Tell me about truth value testing."
    )
    assert (
        ask_about(document(text="os.path.join(a, *p)\nJoin")).text == "What does os.path.join do?"
    )
    assert ask_about(document(source="python:3.11/topics/assert")).text == "Tell me about assert."
    assert ask_about(document(text="abc._private(x) does it")) is None
    assert ask_about(document(source="no name here")) is None
    opening = continue_from(document(text="a  b\nc d e f g h i j"))
    assert opening.text == "a b c d e f g h"
    assert continue_from(document(text="too short")) is None


def test_the_catalogue_prefers_held_out_documents_and_has_no_prompt_twice(corpus):
    config = WorkloadConfig(distinct=200)
    prompts = [prompt.text for prompt in catalogue(corpus, config, seed=1)]
    assert len(prompts) == len(set(prompts))
    heldout = {f"What does module{n % 7}.function{n} do?" for n in range(1, 60, 2)}
    heldout |= {
        f"module{n % 7}.function{n} returns the value that was given to" for n in range(1, 60, 2)
    }
    assert set(prompts[:60]) == heldout
    assert len(prompts) == 120  # both wordings of 60 documents: fewer than asked for


def test_the_same_seed_gives_the_same_stream_and_another_seed_another(corpus):
    config = WorkloadConfig(requests=200, distinct=40, rate_per_s=5.0)

    def stream(seed):
        return synthesise(catalogue(corpus, config, seed), config, seed)

    assert stream(1) == stream(1) != stream(2)


def test_poisson_arrivals_have_the_rate_and_the_spread_of_poisson(corpus):
    config = WorkloadConfig(requests=5000, rate_per_s=50.0)
    times = [request.at_s for request in synthesise(catalogue(corpus, config, 1), config, 1)]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert mean == pytest.approx(1 / 50, rel=0.06)
    assert deviation == pytest.approx(mean, rel=0.06)


def test_bounds_are_those_of_the_stream_and_near_the_law(corpus):
    config = WorkloadConfig(requests=2000, distinct=100)
    prompts = catalogue(corpus, config, 3)
    requests = synthesise(prompts, config, 3)
    facts = describe(config, prompts, requests)
    assert facts["distinct"] == len({request.prompt for request in requests})
    assert facts["exact_bound"] == pytest.approx(1 - facts["distinct"] / 2000)
    assert facts["expected_exact_bound"] == pytest.approx(facts["exact_bound"], abs=0.02)


def test_the_step_makes_a_table_that_is_a_trace(corpus, blobs, rehearsal):
    ctx = rehearsal()
    made = workload.invoke([corpus], ctx, workload.configure({"requests": 50}))
    table = view("stream", made.commit(blobs), blobs)
    assert isinstance(table, Table)
    assert table.count == 50
    read = parse_trace(table.lines(Table.FILE))
    config = WorkloadConfig(requests=50)
    assert read == synthesise(catalogue(corpus, config, ctx.seed), config, ctx.seed)
    assert list(parse_trace(trace_lines(read))) == read
    again = workload.invoke([corpus], ctx, workload.configure({"requests": 50})).commit(blobs)
    assert again.digest == table.digest


def test_a_corpus_without_words_is_refused(blobs):
    draft = Corpus.write(Draft(Corpus.kind), [Document("a", "", "", "CC0-1.0")])
    empty = view("empty", draft.commit(blobs), blobs)
    with pytest.raises(InputError, match="no document"):
        catalogue(empty, WorkloadConfig(), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"requests": 0},
        {"zipf_s": -0.1},
        {"stream_share": 1.5},
        {"rate_per_s": -1.0},
        {"split": "test"},
    ],
)
def test_impossible_streams_are_refused(wrong):
    with pytest.raises(ConfigError):
        workload.configure(wrong)
