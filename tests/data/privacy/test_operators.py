"""Operators over batches: what they take out, what stands in for it, and what may not be read off it."""

from __future__ import annotations

import json
import pickle
import stat

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core import pii
from tenfold.core.keys import canonical_json
from tenfold.data import record
from tenfold.data.operator import identity
from tenfold.data.privacy.pseudonymise import PiiPseudonymise
from tenfold.data.privacy.recognise import PiiFind, PiiRedact
from tenfold.data.privacy.subject_key import SubjectKey, open_key
from tenfold.data.privacy.subjects import Subjects
from tenfold.errors import ConfigError

KEY = SubjectKey(bytes(range(32)))
OTHER = SubjectKey(bytes(range(1, 33)))


def batch_of(payloads, modality="text", kind=None):
    fields = record.ABOUT.append(pa.field(modality, kind or pa.string()))
    rows = [
        {
            "id": str(number), "source": "s", "place": f"s:{number}", "modality": modality, "time": None,
            "licence": "", "authority": 1.0, "subjects": None, "meta": None, "drop": None, modality: payload,
        }
        for number, payload in enumerate(payloads)
    ]  # fmt: skip
    return pa.RecordBatch.from_pylist(rows, schema=fields)


@pytest.fixture(scope="module")
def sentences(shared):
    import gzip

    file = shared / "pii" / "synth_dataset_v2.json.gz"
    return [row["full_text"] for row in json.loads(gzip.decompress(file.read_bytes()))]


def test_counts_are_those_of_each_text_alone(sentences):
    made = PiiFind()(batch_of([*sentences[:300], None]))
    for kind in pii.EVERY:
        alone = [sum(s.kind == kind for s in pii.find(t, pii.EVERY)) for t in sentences[:300]]
        assert made.column(f"pii.find.{kind}").to_pylist() == [*alone, 0]
    assert sum(made.column("pii.find.spans").to_pylist()) > 50


def test_nothing_is_left_to_find_after_redaction(sentences):
    made = PiiRedact(kinds=pii.EVERY)(batch_of(sentences))
    after = PiiFind()(made)
    assert sum(after.column("pii.find.spans").to_pylist()) == 0
    assert sum(made.column("pii.redact.spans").to_pylist()) > 300


def test_rows_are_searched_in_every_text_field():
    kind = pa.struct([("name", pa.string()), ("mail", pa.string()), ("age", pa.int64())])
    made = PiiRedact()(batch_of([{"name": "Al", "mail": "al@web.de", "age": 4}, None], "row", kind))
    assert made.column("row").to_pylist() == [{"name": "Al", "mail": "[EMAIL]", "age": 4}, None]
    assert made.column("pii.redact.spans").to_pylist() == [1, 0]


def test_stand_ins_are_stable_keyed_and_of_the_same_kind(sentences):
    once, again = (PiiPseudonymise(key=KEY)(batch_of(sentences)) for _ in range(2))
    assert once == again
    other = PiiPseudonymise(key=OTHER)(batch_of(sentences))
    num_cards = num_ibans = num_same = 0
    columns = [c.column("text").to_pylist() for c in (once, other)]
    for text, made, made_by_other in zip(sentences, *columns, strict=True):
        before = pii.find(text)
        for span in before:
            if made == text or made_by_other == made:
                num_same += 1
            if span.kind in ("email", "card", "iban", "phone", "ssn"):
                assert span.text not in made
        num_cards += sum(s.kind == "card" for s in pii.find(made))
        num_ibans += sum(s.kind == "iban" for s in pii.find(made))
        mails = [s.text for s in pii.find(made, ["email"])]
        assert len(mails) == sum(s.kind == "email" for s in before)
    assert num_same == 0
    # the stand-ins of what has check digits pass the same check
    assert num_cards == sum(s.kind == "card" for t in sentences for s in pii.find(t))
    assert num_ibans == sum(s.kind == "iban" for t in sentences for s in pii.find(t))


@given(
    st.integers(0, 10**7 - 1), st.sampled_from(["+49 30 {}", "(030) {}", "+1-212-{}", "0041 44 {}"])
)
def test_a_phone_keeps_its_country_and_its_spelling(number, form):
    text = "Tel. " + form.format(f"{number:07}")
    [made] = PiiPseudonymise(key=KEY)(batch_of([text])).column("text").to_pylist()
    assert len(made) == len(text)
    assert made[:8] == text[:8]
    assert [a.isdigit() for a in made] == [b.isdigit() for b in text]


def test_one_address_in_two_spellings_has_one_stand_in():
    made = PiiPseudonymise(key=KEY)(batch_of(["Al@Web.de", "x al@web.DE y"])).column("text")
    assert made[1].as_py() == f"x {made[0].as_py()} y"


def test_subjects_come_from_declared_columns_and_from_what_is_found():
    kind = pa.struct([("given", pa.string()), ("last", pa.string()), ("note", pa.string())])
    rows = [
        {"given": "Ann", "last": "Berg", "note": "call +49 30 901820"},
        {"given": "ann ", "last": "BERG", "note": None},
        {"given": "Ann", "last": None, "note": "Tel 030 901820"},
        {"given": "Bo", "last": "Li", "note": ""},
    ]
    operator = Subjects(key=KEY, declared=(("given", "last"),))
    ann, same, phoned, bo = operator(batch_of(rows, "row", kind)).column("subjects").to_pylist()
    assert set(same) < set(ann)
    assert set(phoned) < set(ann)
    assert not set(bo) & set(ann)
    assert all(len(value) == 16 for value in ann)
    assert b"erg" not in b"".join(ann)
    with pytest.raises(ConfigError, match="no such column"):
        Subjects(key=KEY, declared=(("givn",),))(batch_of(rows, "row", kind))


def test_the_secret_stands_in_no_stage_key_and_no_message():
    operator = pickle.loads(pickle.dumps(Subjects(key=KEY)))
    assert operator.key.secret == KEY.secret
    shown = canonical_json(identity(operator)).decode() + repr(operator)
    assert str(KEY) in shown
    assert KEY.secret.hex() not in shown
    assert repr(KEY.secret) not in shown
    assert identity(Subjects(key=OTHER)) != identity(operator)


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path):
    path = tmp_path / "private" / "subject.key"
    first = open_key(path)
    assert open_key(path).secret == first.secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["subject.key"]
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read"):
        open_key(path)
