"""Words as spaCy cuts them. `spacy_words.json` holds what spaCy 3.8.18 (English, blank) made of each text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.data.text import characters, exceptions
from tenfold.data.text.words import words

SPACY = json.loads((Path(__file__).parent / "spacy_words.json").read_text())


def cut(text: str, *, further: bool = True) -> list[str]:
    raw = text.encode()
    data = np.frombuffer(raw or b"\0", dtype=np.uint8)
    starts, ends, lengths = (np.empty(len(raw) + 2, dtype=np.int64) for _ in range(3))
    hashes = np.empty(len(raw) + 2, dtype=np.uint64)
    count = words(
        data,
        0,
        len(raw),
        characters.flags(),
        exceptions.table(),
        further,
        starts,
        ends,
        hashes,
        lengths,
    )
    found = [raw[starts[word] : ends[word]] for word in range(count)]
    assert [exceptions.fnv(word) for word in found] == hashes[:count].tolist()
    assert [len(word.decode()) for word in found] == lengths[:count].tolist()
    return [word.decode() for word in found]


@pytest.mark.parametrize(("text", "expected"), SPACY)
def test_the_words_are_spacys(text, expected):
    assert cut(text) == expected


@given(st.text(max_size=200))
def test_white_space_words_are_those_of_split(text):
    text = text.encode("utf-8", "ignore").decode()
    assert cut(text, further=False) == text.split()


@given(st.text(alphabet="aB1.,'’:;()-–—…!?/@#$%+ \n\t\u00a0éя漢😀", max_size=120))
def test_no_byte_but_white_space_is_lost(text):
    assert "".join(cut(text)) == "".join(text.split())


@pytest.mark.parametrize("unit", ["(", ".", "'", "a", "漢", "://", "a.", ")x("])
def test_one_giant_word_takes_no_longer_than_its_length(unit):
    text = unit * (400_000 // len(unit))
    assert "".join(cut(text)) == text
