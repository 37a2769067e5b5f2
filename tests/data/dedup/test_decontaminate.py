"""What stands in an evaluation set does not stand in the corpus afterwards, or nothing passes at all."""

from __future__ import annotations

import random
import re

import pyarrow as pa
import pytest

from tenfold.data import operator, record
from tenfold.data.dedup.decontaminate import Decontaminate, eval_index, hits
from tenfold.errors import ConfigError, InputError

VOCABULARY = [f"word{number}" for number in range(500)]


def text(chance: random.Random, num: int) -> str:
    return " ".join(chance.choices(VOCABULARY, k=num))


def batch(texts) -> pa.RecordBatch:
    return pa.record_batch(
        {record.TEXT: pa.array(texts), record.DROP: pa.nulls(len(texts), pa.string())}
    )


def test_hits_are_the_shared_runs_of_words():
    chance = random.Random(1)
    items = [text(chance, num) for num in (5, 8, 10, 13, 40, 200)]
    index = eval_index("quiz", pa.array(items))
    assert (index.num_items, index.num_short) == (6, 1)

    known = set()
    for item in items[1:]:
        words = item.split()
        width = min(13, len(words))
        known |= {tuple(words[at : at + width]) for at in range(len(words) - width + 1)}
    corpus = [text(chance, 60) for _ in range(40)]
    for number, at in ((0, 0), (1, 1), (2, 2), (3, 4), (4, 5)):
        piece = items[at].split()[:15]
        corpus[number] += "\n" + ", ".join(piece).upper() + ". " + text(chance, 9)
    expected = []
    for document in corpus:
        words = re.findall(r"\w+", document.lower())
        runs = {
            tuple(words[at : at + width])
            for width in (8, 10, 13)
            for at in range(len(words) - width + 1)
        }
        expected.append(len(runs & known))
    assert hits(pa.array(corpus), index.grams).tolist() == expected
    assert (
        sum(expected) >= 7
    )  # 8 and 10 words: one each; 13 of 13: one; 15 of 40 and of 200: three each
    assert expected[0] == 0


def test_a_record_goes_under_the_name_of_the_set(tmp_path):
    chance = random.Random(2)
    quiz, exam = text(chance, 30), text(chance, 30)
    sets = []
    for name, item in (("quiz", quiz), ("exam", exam)):
        index = eval_index(name, pa.array([item]))
        index.save(tmp_path)
        sets.append((name, index.digest))
    gate = Decontaminate(sets=tuple(sets), folder=str(tmp_path))
    texts = [text(chance, 50), "x " + quiz, exam + " y", exam + " " + quiz, None, ""]
    out = gate(batch(texts))
    assert out[record.DROP].to_pylist() == [
        None, "decontaminate.quiz", "decontaminate.exam", "decontaminate.quiz", None, None,
    ]  # fmt: skip
    assert out["decontaminate.hits"].to_pylist() == [0, 18, 18, 36, 0, 0]
    assert set(operator.identity(gate)["parameters"]) == {"sets", "most_hits"}
    lenient = Decontaminate(sets=tuple(sets), folder=str(tmp_path), most_hits=18)
    assert lenient(batch(texts))[record.DROP].null_count == 6


def test_the_gate_is_shut_when_it_cannot_see(tmp_path):
    with pytest.raises(InputError, match="empty"):
        eval_index("quiz", pa.array([], pa.string()))
    with pytest.raises(InputError, match="8 words"):
        eval_index("quiz", pa.array(["too short", None, ""]))
    with pytest.raises(ConfigError):
        eval_index("quiz.v2", pa.array(["a " * 20]))
    with pytest.raises(ConfigError):
        Decontaminate(sets=(), folder=str(tmp_path))
    index = eval_index("quiz", pa.array(["one two three four five six seven eight nine"]))
    gate = Decontaminate(sets=(("quiz", index.digest),), folder=str(tmp_path))
    with pytest.raises(InputError, match="cannot be read"):
        gate(batch(["some text"]))
    path = index.save(tmp_path)
    assert gate(batch(["some text"]))[record.DROP].null_count == 1
    for spoilt in (path.read_bytes()[:-4], path.read_bytes()[:-1] + b"\xff", b""):
        other = tmp_path / f"{len(spoilt)}"
        other.mkdir()
        (other / path.name).write_bytes(spoilt)
        with pytest.raises(InputError):
            Decontaminate(sets=gate.sets, folder=str(other))(batch(["some text"]))
