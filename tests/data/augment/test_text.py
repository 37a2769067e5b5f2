"""Texts made of texts: what each operation may change, and whose child each is."""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.ports import GatewayHandle
from tenfold.data import record
from tenfold.data.augment import rewriting, slips
from tenfold.data.augment.offspring import draws
from tenfold.data.augment.rewriting import GatewayWriter, RewriteConfig, rewritten
from tenfold.data.augment.slips import Slips
from tenfold.data.augment.templates import FillTemplates
from tenfold.errors import BackendError, ConfigError, InputError

PROSE = "The quick brown fox jumps over the lazy dog, and then it rests in the shade of an oak."


def batch_of(texts, **columns) -> pa.RecordBatch:
    n = len(texts)
    values = {
        record.ID: [record.record_id("book", text.encode()) for text in texts],
        record.SOURCE: ["book"] * n,
        record.PLACE: [f"page {number}" for number in range(n)],
        record.MODALITY: ["text"] * n,
        record.TIME: [None] * n,
        record.LICENCE: ["CC0-1.0"] * n,
        record.AUTHORITY: [0.7] * n,
        record.SUBJECTS: [None] * n,
        record.META: [None] * n,
        record.DROP: [None] * n,
        record.TEXT: texts,
        **columns,
    }
    schema = record.ABOUT.append(pa.field(record.TEXT, pa.string()))
    return pa.RecordBatch.from_arrays(
        [pa.array(values[field.name], field.type) for field in schema], schema=schema
    )


def augmented(batch) -> list[dict]:
    return [json.loads(meta)["augmented"] for meta in batch["meta"].to_pylist()]


def test_touching_keys():
    """As they lie on a keyboard: read off one."""
    assert set(slips.neighbours("g")) == set("fhtyvb")
    assert set(slips.neighbours("q")) == set("wa")
    assert set(slips.neighbours("P")) == set("OL")
    assert slips.neighbours("ß") == ""
    letters = "".join(slips.KEYBOARD)
    assert all(a in slips.neighbours(b) for a in letters for b in slips.neighbours(a))


@given(st.text(max_size=200), st.floats(0, 1), st.integers(0, 2**32))
def test_typos_touch_letters_only(text, rate, seed):
    made = slips.typos(text, rate, draws(seed))
    others = [c for c in text if not slips.neighbours(c)]
    assert [c for c in made if not slips.neighbours(c)] == others
    assert slips.typos(text, 0.0, draws(seed)) == text


def test_a_rate_is_a_rate():
    slipped = sum(slips.typos("k", 0.2, draws(seed)) != "k" for seed in range(2000))
    assert 320 < slipped < 480
    changed = sum(slips.misread("8", 0.3, draws(seed)) == "B" for seed in range(2000))
    assert 500 < changed < 700


@given(st.text(alphabet="ab \n", max_size=80), st.integers(0, 2**32))
def test_swapped_words_are_the_same_words_on_the_same_lines(text, seed):
    made = slips.shuffled_words(text, 0.0, 0.5, draws(seed))
    assert Counter(made.split()) == Counter(text.split())
    assert made.count("\n") == text.count("\n")


@given(st.text(alphabet="ab \n", max_size=80), st.floats(0, 1), st.integers(0, 2**32))
def test_dropped_words_leave_the_others_in_order_and_never_nothing(text, rate, seed):
    made = slips.shuffled_words(text, rate, 0.0, draws(seed))
    rest = iter(text.split())
    assert all(word in rest for word in made.split())
    assert bool(made.split()) == bool(text.split())
    assert made.count("\n") == text.count("\n")


def test_children_of_slips():
    batch = batch_of([PROSE, PROSE.upper()])
    operator = Slips(typos=0.1, misread=0.1, drop=0.1, swap=0.1, copies=3, seed=4)
    made = operator(batch)
    assert made.num_rows == 6
    assert [one["parent"] for one in augmented(made)] == [
        one for one in batch["id"].to_pylist() for _ in range(3)
    ]
    assert made.equals(operator(batch))
    alone = operator(batch.slice(1))
    assert alone.to_pylist() == made.to_pylist()[3:]
    assert operator(made).num_rows == 0


def test_nothing_of_a_held_out_record():
    batch = batch_of(
        [PROSE + str(n) for n in range(3)],
        meta=['{"split": "heldout"}', '{"split": "train"}', None],
    )
    operator = Slips(typos=0.2)
    parents = {one["parent"] for one in augmented(operator(batch))}
    assert parents == set(batch["id"].to_pylist()[1:])


def test_a_child_like_its_parent_is_no_child():
    assert Slips(typos=0.0)(batch_of([PROSE])).num_rows == 0


def test_broken_meta_names_the_record():
    with pytest.raises(InputError, match="not a JSON object"):
        Slips()(batch_of([PROSE], meta=["[1]"]))


def test_templates():
    batch = batch_of(["It rained.", "It snowed."], meta=['{"title": "Tuesday"}', None])
    operator = FillTemplates(
        templates=("{meta.title} in {city} {{sic}}: {text}",),
        slots={"city": ("Ulm", "Kiel")},
        copies=8,
    )
    made = operator(batch)
    assert set(made["text"].to_pylist()) == {
        "Tuesday in Ulm {sic}: It rained.",
        "Tuesday in Kiel {sic}: It rained.",
    }
    meta = json.loads(made["meta"][0].as_py())
    assert meta["title"] == "Tuesday"
    assert meta["augmented"]["operator"] == "text.templates/1"


def test_a_text_with_braces_fills_no_slot():
    operator = FillTemplates(templates=("<{text}>",), slots={"city": ("Ulm",)})
    assert operator(batch_of(["{city} {"]))["text"].to_pylist() == ["<{city} {>"]


@pytest.mark.parametrize("template", ["{city}", "half {", "{0}"])
def test_templates_that_cannot_be_filled(template):
    with pytest.raises(ConfigError):
        FillTemplates(templates=(template,))


GERMAN = {"fox": "Fuchs", "dog": "Hund", "quick": "schnell"}


class Model(BaseHTTPRequestHandler):
    """Answers as a chat model that knows three words of German would."""

    asked: list[dict] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append({**body, "key": self.headers["Authorization"], "path": self.path})
        task, _, text = body["messages"][0]["content"].partition("\n\n")
        forth = "German" in task
        for english, german in GERMAN.items():
            text = text.replace(*((english, german) if forth else (german, english + "s")))
        answer = {"choices": [{"message": {"role": "assistant", "content": text}}]}
        if "secret" in text:
            self.send_response(403)
            self.end_headers()
            return
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def gateway():
    Model.asked.clear()
    server = HTTPServer(("127.0.0.1", 0), Model)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield GatewayHandle(f"http://127.0.0.1:{server.server_port}", "key", "tiny", "test")
    server.shutdown()
    server.server_close()
    thread.join()


def test_rewriting_there_and_back_over_http(gateway):
    batch = batch_of(
        [PROSE, "Nothing it knows stands here.", "held"], meta=[None, None, '{"split": "heldout"}']
    )
    made = rewritten(batch, GatewayWriter(gateway), RewriteConfig())
    assert made.children["text"].to_pylist() == [
        "The quicks brown foxs jumps over the lazy dogs, and then it rests in the shade of an oak."
    ]
    assert made.refused == Counter({"unchanged": 1})
    assert len(Model.asked) == 4
    assert {(one["path"], one["key"], one["model"]) for one in Model.asked} == {
        ("/v1/chat/completions", "Bearer key", "tiny")
    }
    assert "Fuchs" in Model.asked[1]["messages"][0]["content"]
    assert augmented(made.children)[0]["operator"] == "text.rewrite/1"


def test_a_gateway_that_refuses_or_is_gone_is_an_error_without_the_key(gateway):
    with pytest.raises(BackendError, match="refused") as caught:
        rewritten(batch_of(["secret"]), GatewayWriter(gateway), RewriteConfig())
    assert "key" not in str(caught.value)
    gone = GatewayHandle("http://127.0.0.1:9", "key", "tiny", "test")
    with pytest.raises(BackendError):
        GatewayWriter(gone)("x", 1)


@pytest.mark.parametrize(
    ("made", "cause"),
    [
        ("", "empty"),
        (PROSE, "unchanged"),
        (PROSE * 4, "length"),
        (
            "Completely different words about finance, markets, yields; bonds, stocks and futures!",
            "meaning",
        ),
        (PROSE.replace("quick", "fast").replace("rests", "lies down"), None),
    ],
)
def test_the_judge(made, cause):
    assert rewriting.fault(PROSE, made, RewriteConfig()) == cause


def test_similarity_is_the_cosine_that_scikit_learn_computes():
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.metrics.pairwise import cosine_similarity

    a, b = "a quick  brown fox", "the brown foxes were quick"
    counts = CountVectorizer(analyzer="char", ngram_range=(3, 5)).fit_transform(
        [f" {' '.join(text.split())} " for text in (a, b)]
    )
    assert np.isclose(rewriting.similarity(a, b), cosine_similarity(counts)[0, 1])
    assert rewriting.similarity("", "abc") == 0
