"""Repair is ftfy's own, byte for byte, though only suspicious lines go to it."""

from __future__ import annotations

import ftfy
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.data.text.repair import Repair

ENCODING = {
    "fix_latin_ligatures": False, "fix_character_width": False, "uncurl_quotes": False,
    "fix_line_breaks": False, "normalization": None,
}  # fmt: skip
FORMS = {"encoding": ENCODING, "full": {}}


def repaired(texts: list[str], form: str) -> pa.RecordBatch:
    batch = pa.record_batch({"text": texts, "drop": pa.nulls(len(texts), pa.string())})
    return Repair(form=form)(batch)  # type: ignore[arg-type]


def as_ftfy(texts: list[str], form: str) -> list[str]:
    return [ftfy.fix_text(text, **FORMS[form]) for text in texts]


@pytest.mark.parametrize("form", FORMS)
def test_real_texts_and_their_mojibake(documents, form):
    texts = documents(20)
    texts += [text.encode().decode("latin-1") for text in texts[::2]]
    out = repaired(texts, form)
    expected = as_ftfy(texts, form)
    assert out["text"].to_pylist() == expected
    assert [count > 0 for count in out["repair.lines"].to_pylist()] == [
        text != fixed for text, fixed in zip(texts, expected, strict=True)
    ]


PIECES = [
    "â€œquotedâ€\x9d", "schÃ¶n", "voilÃ  le", "Ã©", "œuf", "“” ’—", "&amp;", "&eacute;", "&AMP ;", "<b>", "\n", "\r\n",
    "\x1b[31m", "\x00", "\x85", "\ufeff", "ﬁn", "ｆｕｌｌ", "e\u0301", "a", " ", "Â£5", "×²", "Ð¿Ñ€Ð¸", "漢字", "ØÙØ§", "\u2028", "²³¹",
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=12))
@settings(max_examples=150)
def test_any_mixture_of_what_ftfy_mends(form, pieces):
    text = "".join(pieces)
    assert repaired([text], form)["text"].to_pylist() == as_ftfy([text], form)


LATIN = st.characters(min_codepoint=0x20, max_codepoint=0x24F)


@given(
    text=st.text(
        alphabet=LATIN | st.sampled_from("€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ√∂≤≥Αβγ╗█\n"), max_size=60
    )
)
@settings(max_examples=300)
def test_no_line_that_ftfy_changes_is_passed_over(text):
    assert repaired([text], "encoding")["text"].to_pylist() == as_ftfy([text], "encoding")


def test_a_tag_switches_entities_off_for_the_rest_of_the_text_only():
    texts = ["a &amp; b\n<p>\nc &amp; d\n", "e &amp; f"]
    assert repaired(texts, "encoding")["text"].to_pylist() == ["a & b\n<p>\nc &amp; d\n", "e & f"]


def test_rows_with_a_cause_are_left_alone():
    batch = pa.record_batch({"text": ["schÃ¶n"] * 2, "drop": [None, "language.other"]})
    out = Repair()(batch)
    assert out["text"].to_pylist() == ["schön", "schÃ¶n"]
    assert out["repair.lines"].to_pylist() == [1, None]
