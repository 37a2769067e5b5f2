"""Labelling over real ledgers: nobody shares a record, nothing that was said is lost, undo is exact."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter

import pytest

from tenfold import Factory
from tenfold.errors import InputError, LeaseHeld, UnknownName
from tenfold.factory.labelling import LEASE_S, Labelling, annotator_name

TEXTS = [f"{word} number {n}, in its own words" for n, word in enumerate("abcdefghijklmnopqrst")]


class Clock:
    now_s = 1_000_000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


def made(tmp_path, overlap=1, size=20):
    rows = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    (tmp_path / "given.jsonl").write_text(rows)
    factory = Factory("f", store=str(tmp_path / "store"), directory=tmp_path)
    source = {"kind": "jsonl", "path": "given.jsonl", "licence": "CC0-1.0"}
    factory.add("data.ingest", name="records", config={"sources": [source]})
    asked = {"choices": ["yes", "no"], "overlap": overlap, "size": size, "max_similarity": 1.0}
    factory.add("data.review", name="review", needs=["records"], config=asked)
    assert factory.run().ok
    return factory


@pytest.fixture
def labelling(tmp_path, clock):
    with made(tmp_path) as factory:
        yield Labelling(factory.ledger, factory.blobs, "f", factory.graph, now=clock)


@pytest.fixture
def doubly(tmp_path, clock):
    with made(tmp_path, overlap=2) as factory:
        yield Labelling(factory.ledger, factory.blobs, "f", factory.graph, now=clock)


def test_a_record_is_before_one_person_at_a_time(labelling, clock):
    first = labelling.next("review", "ann")
    assert first.record == labelling.queue("review").order[0]
    second = labelling.next("review", "bo")
    assert second.record != first.record
    assert labelling.next("review", "ann").record == first.record, (
        "hers, whatever became of the page"
    )
    clock.now_s += LEASE_S + 1
    assert labelling.next("review", "bo").record == first.record, "she has left"
    with pytest.raises(LeaseHeld, match="somebody else"):
        labelling.decide("review", first.record, "ann", "yes", 3.0)
    assert not labelling.hold("review", first.record, "ann")
    assert labelling.hold("review", first.record, "bo")


def test_who_says_that_she_is_there_keeps_it(labelling, clock):
    record = labelling.next("review", "ann").record
    for _ in range(5):
        clock.now_s += LEASE_S * 0.9
        assert labelling.hold("review", record, "ann")
        assert labelling.next("review", "bo").record != record
    assert labelling.decide("review", record, "ann", "yes", 1.0).label == "yes"


def test_a_lease_that_ran_out_and_that_nobody_took_still_takes_the_label(labelling, clock):
    record = labelling.next("review", "ann").record
    clock.now_s += 10 * LEASE_S
    labelling.decide("review", record, "ann", "no", 900.0)
    assert labelling.progress("review").done == 1


def test_overlap_asks_as_many_persons_as_it_says(doubly):
    record = doubly.next("review", "ann").record
    assert doubly.next("review", "bo").record == record
    assert doubly.next("review", "cy").record != record
    doubly.decide("review", record, "ann", "yes", 1.0)
    assert doubly.next("review", "cy").record != record, "bo holds the other half"
    doubly.decide("review", record, "bo", "no", 1.0)
    for who in ("ann", "bo", "cy"):
        assert doubly.next("review", who).record != record
    found = doubly.progress("review")
    assert (found.done, found.wanted, found.percent) == (2, 40, 0.0)


def test_skips_are_for_oneself(labelling):
    record = labelling.next("review", "ann").record
    labelling.decide("review", record, "ann", None, 1.0)
    assert labelling.next("review", "ann").record != record
    assert labelling.next("review", "bo").record == record
    assert labelling.progress("review").skipped == 1


def test_undo_goes_back_step_by_step(labelling):
    assert labelling.undo("review", "ann") is None
    seen = []
    for label in ("yes", "no", "no"):
        seen.append(labelling.next("review", "ann").record)
        labelling.decide("review", seen[-1], "ann", label, 1.0)
    for record in reversed(seen):
        assert labelling.undo("review", "ann").record == record
        assert labelling.next("review", "bo").record != record, "it is before ann again"
    assert labelling.undo("review", "ann") is None
    assert labelling.progress("review").done == 0
    assert len(list(labelling.export("review"))) == 6, "nothing is ever taken out of the log"


def test_what_was_skipped_and_taken_by_another_is_not_shown_twice(labelling):
    record = labelling.next("review", "ann").record
    labelling.decide("review", record, "ann", None, 1.0)
    assert labelling.next("review", "bo").record == record
    assert labelling.undo("review", "ann") is None
    labelling.decide("review", record, "bo", "yes", 1.0)
    assert labelling.next("review", "ann").record != record


@pytest.mark.parametrize("overlap", [1, 3])
def test_a_crowd_labels_everything_exactly_as_often_as_wanted(tmp_path, overlap):
    """Eight threads on one SQLite file, each shown and deciding as fast as they can."""
    before: dict[str, Counter] = {}
    most: Counter = Counter()
    lock = threading.Lock()
    failed = []

    def annotate(labelling, who):
        draw = random.Random(who)
        try:
            while (item := labelling.next("review", who)) is not None:
                with lock:
                    shown = before.setdefault(item.record, Counter())
                    shown[who] += 1
                    most[item.record] = max(most[item.record], len(shown))
                label = None if draw.random() < 0.1 else draw.choice(["yes", "no"])
                with lock:
                    del before[item.record][who]
                labelling.decide("review", item.record, who, label, 0.1)
                if draw.random() < 0.1:
                    labelling.undo("review", who)
        except Exception as error:
            failed.append(error)

    with made(tmp_path, overlap) as factory:
        labelling = Labelling(factory.ledger, factory.blobs, "f", factory.graph)
        crowd = [threading.Thread(target=annotate, args=(labelling, f"a{n}")) for n in range(8)]
        for each in crowd:
            each.start()
        for each in crowd:
            each.join(60)
        assert failed == []
        assert max(most.values()) <= overlap, "never before more than are wanted"
        with Factory("f", store=str(tmp_path / "store"), directory=tmp_path) as again:
            stands = labelling._stands("review", labelling.queue("review").digest)
            found = Labelling(again.ledger, again.blobs, "f", factory.graph).progress("review")
        per_record = Counter(record for (record, _), e in stands.items() if e.action == "label")
        assert max(per_record.values()) <= overlap
        assert found.done == sum(per_record.values()) >= 0.9 * found.wanted


def test_strangers_are_refused(labelling):
    record = labelling.next("review", "ann").record
    with pytest.raises(InputError, match="choices"):
        labelling.decide("review", record, "ann", "perhaps", 1.0)
    with pytest.raises(UnknownName):
        labelling.decide("review", "0" * 16, "ann", "yes", 1.0)
    with pytest.raises(UnknownName):
        labelling.next("reviews", "ann")
    for name in ("", "  ", "x" * 41, "a\nb", "a\0b", "a\u202eb"):
        with pytest.raises(InputError):
            labelling.next("review", name)
    assert annotator_name(" Zoe\u0308 ") == "Zo\u00eb"


def test_rounds(tmp_path):
    """Label, export, ask again: the next queue holds what has no label, and the labels reach the snapshot."""
    with made(tmp_path, size=8) as factory:
        desk = factory.labelling
        while (item := desk.next("review", "ann")) is not None:
            desk.decide("review", item.record, "ann", "yes" if item.text < "k" else "no", 1.0)
        first = set(desk.queue("review").order)
        (tmp_path / "labels.jsonl").write_text("".join(desk.export("review")))
    with Factory("f", store=str(tmp_path / "store"), directory=tmp_path) as factory:
        source = {"kind": "jsonl", "path": "given.jsonl", "licence": "CC0-1.0"}
        factory.add("data.ingest", name="records", config={"sources": [source]})
        asked = {
            "choices": ["yes", "no"],
            "size": 8,
            "labels": "labels.jsonl",
            "max_similarity": 1.0,
        }
        factory.add("data.review", name="review", needs=["records"], config=asked)
        told = {"choices": ["yes", "no"], "labels": "labels.jsonl"}
        factory.add("data.labels", name="labelled", needs=["records"], config=told)
        assert factory.run().ok
        second = factory.labelling.queue("review").order
        new = [record for record in second if record not in first]
        assert len(new) >= 6
        summary = factory.labelling.queues()[0]
        assert (summary.done, summary.wanted) == (0, 8), "a new queue asks anew"
        assert factory.asset("labelled").count == 8
