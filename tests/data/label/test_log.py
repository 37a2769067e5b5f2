"""The log of labels: what stands after undos, and that it survives being taken along."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.facts import LabelEvent
from tenfold.data.label.log import ballots, from_lines, last_deed, standing, to_line
from tenfold.errors import InputError

DEEDS = st.lists(
    st.tuples(st.sampled_from("xyz"), st.sampled_from(["ann", "bo"]), st.sampled_from(["label", "skip", "undo"])),
    max_size=30,
)  # fmt: skip


def event(record, annotator, label="", action="label", seq=0):
    return LabelEvent(
        factory="f", queue="q", digest="d", record=record, annotator=annotator, action=action,
        label=label, seq=seq,
    )  # fmt: skip


def log_of(deeds):
    return [
        event(record, who, "yes" if action == "label" else "", action, seq)
        for seq, (record, who, action) in enumerate(deeds, 1)
    ]


@given(DEEDS)
def test_an_undo_is_as_if_the_last_deed_had_never_been(deeds):
    before = log_of(deeds)
    for who in ("ann", "bo"):
        done = event("x", who, "no", seq=len(before) + 1)
        undone = event("x", who, action="undo", seq=len(before) + 2)
        assert standing([*before, done])["x", who] == done
        assert last_deed([*before, done], who) == done
        assert standing([*before, done, undone]) == standing(before)
        assert last_deed([*before, done, undone], who) == last_deed(before, who)


@given(DEEDS)
def test_lines_carry_every_event(deeds):
    events = log_of(deeds)
    assert from_lines([to_line(each) for each in events], "log") == events


def test_an_annotator_has_one_vote_on_a_record():
    events = log_of([("x", "ann", "label"), ("x", "bo", "skip"), ("y", "bo", "label")])
    events.append(event("x", "ann", "no", seq=9))
    found = ballots(events, ["yes", "no"])
    assert (found.records, found.annotators) == (("x", "y"), ("ann", "bo")) or (
        found.records == ("y", "x")
    )
    table = dict(zip(found.records, found.votes, strict=True))
    assert table == {"x": (1, -1), "y": (-1, 0)}
    assert ballots(events, ["no", "maybe"]).records == ("x",)


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"record": "x"}', to_line(event("x", "ann", "yes")).replace('"label"', '"praise"', 1),
             to_line(event("x", "ann", "yes")).replace('"x"', "7")],
)  # fmt: skip
def test_what_is_no_event_is_refused_with_its_line(line):
    good = to_line(event("x", "ann", "yes"))
    with pytest.raises(InputError, match="not an event") as caught:
        from_lines([good, line], "log.jsonl")
    assert caught.value.where == "log.jsonl:2"
