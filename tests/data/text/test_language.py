"""Language identification equals fasttext's own prediction from the same file."""

from __future__ import annotations

import fasttext
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.data.text.fasttext import read
from tenfold.data.text.language import Language, model_path
from tenfold.errors import ConfigError, InputError

WHOLE = Language(keep=(), window_bytes=0)


@pytest.fixture(scope="module")
def peer():
    return fasttext.load_model(str(model_path()))


def batch(texts: list[str]) -> pa.RecordBatch:
    return pa.record_batch({"text": texts, "drop": pa.nulls(len(texts), pa.string())})


def assert_same(peer, texts: list[str]) -> None:
    out = WHOLE(batch(texts))
    labels, scores = out["language.label"].to_pylist(), out["language.score"].to_pylist()
    for text, label, score in zip(texts, labels, scores, strict=True):
        (best, *_), (chance, *_) = peer.predict(text.replace("\n", " "), k=2)
        assert score == pytest.approx(chance, abs=2e-3)
        if label != best.removeprefix("__label__"):
            # Sums in another order: two languages may be a tie.
            others = dict(zip(*peer.predict(text.replace("\n", " "), k=2), strict=True))
            assert others[f"__label__{label}"] == pytest.approx(chance, abs=2e-3)


def test_real_documents_in_28_languages(documents, peer):
    assert_same(peer, documents(80))


def test_their_single_lines(documents, peer):
    texts = documents(40, 3000)
    assert_same(peer, [line for text in texts for line in text.split("\n") if line.strip()][:6000])


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60))
def test_any_text(peer, text):
    assert_same(peer, [text])


def test_three_windows_see_beginning_middle_and_end():
    english, german = (
        "this is the house of my father and we live in it. ",
        "das ist das Haus von meinem Vater und wir wohnen darin. ",
    )
    long = batch([english * 400, german * 400, english * 200 + german * 600, "ß漢" * 3000])
    out = Language(window_bytes=600)(long)
    assert out["language.label"].to_pylist()[:3] == ["en", "de", "de"]
    assert out["drop"].to_pylist()[:3] == [None, "language.other", "language.other"]


def test_what_has_no_words_goes_by_a_cause_of_its_own():
    out = Language()(batch(["", "the house of my father is in the village"]))
    assert out["drop"].to_pylist() == ["language.none", None]


def test_rows_with_a_cause_are_not_judged():
    rows = pa.record_batch({"text": ["the house of my father"] * 2, "drop": ["rules.empty", None]})
    out = Language()(rows)
    assert out["language.label"].to_pylist() == [None, "en"]
    assert out["drop"].to_pylist()[0] == "rules.empty"


def test_wrong_settings_and_files_are_refused():
    with pytest.raises(ConfigError, match="no such language"):
        Language(keep=("english",))
    whole = model_path().read_bytes()
    for cut in (10, 1000, len(whole) // 2, len(whole) - 1):
        with pytest.raises(InputError, match="cut short"):
            read(whole[:cut], "lid.176.ftz")
    with pytest.raises(InputError, match="not a fastText model"):
        read(b"PK\x03\x04" * 40, "lid.176.ftz")
