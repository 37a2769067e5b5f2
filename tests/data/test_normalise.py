from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.data.normalise import normalise


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("e\u0301", "é"),
        ("e\u200b\u0301", "é"),  # hidden between letter and accent
        ("\ufeffa\x00b\x1bc", "abc"),
        ("soft\xadware", "software"),
        ("a\xa0b\u3000c", "a b c"),
        ("a  \t\nb \n\n\n\n\n\nc\n\n", "a\nb\n\n\nc"),
        ("def f():\n    return 1", "def f():\n    return 1"),
        (
            "👩\u200d💻 \u0915\u094d\u200d\u0937",
            "👩\u200d💻 \u0915\u094d\u200d\u0937",
        ),  # joiners stay
    ],
)
def test_what_a_reader_would_not_see(before, after):
    assert normalise(before) == after


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_once_is_enough_and_the_result_is_nfc(text):
    once = normalise(text)
    assert normalise(once) == once
    assert unicodedata.is_normalized("NFC", once)
    assert "\r" not in once
