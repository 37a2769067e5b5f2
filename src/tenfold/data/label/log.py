"""The log of labels: what annotators did, in order, and what stands of it. Lines of JSON to take along.

Events are only ever added; an undo takes back its annotator's last label or skip. Knows the events by their
shape, not where they are kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tenfold.core.facts import LabelEvent
from tenfold.errors import InputError

LABEL, SKIP, UNDO = "label", "skip", "undo"


def standing(events: Iterable[LabelEvent]) -> dict[tuple[str, str], LabelEvent]:
    """(record, annotator) -> the label or skip that stands, in the order of the events.

    A second label of the same annotator for the same record replaces the first, until it is undone.
    """
    done: dict[str, list[LabelEvent]] = {}
    for event in events:
        own = done.setdefault(event.annotator, [])
        if event.action != UNDO:
            own.append(event)
        elif own:
            own.pop()
    kept = sorted((event for own in done.values() for event in own), key=lambda e: e.seq)
    found: dict[tuple[str, str], LabelEvent] = {}
    for event in kept:
        found[event.record, event.annotator] = event
    return found


def last_deed(events: Iterable[LabelEvent], annotator: str) -> LabelEvent | None:
    """What an undo of this annotator would take back."""
    own: list[LabelEvent] = []
    for event in events:
        if event.annotator == annotator:
            if event.action != UNDO:
                own.append(event)
            elif own:
                own.pop()
    return own[-1] if own else None


@dataclass(frozen=True, slots=True, eq=False)
class Ballots:
    """The labels that stand, as a table."""

    records: tuple[str, ...]
    annotators: tuple[str, ...]
    choices: tuple[str, ...]
    votes: tuple[tuple[int, ...], ...]
    """Per record and annotator the index of the choice, -1: none."""


def ballots(events: Iterable[LabelEvent], choices: Sequence[str]) -> Ballots:
    """Records in the order they were first labelled, annotators by name. A label that is no longer among
    `choices` is left out."""
    stands = [e for e in standing(events).values() if e.action == LABEL and e.label in choices]
    records = {record: n for n, record in enumerate(dict.fromkeys(e.record for e in stands))}
    annotators = {name: n for n, name in enumerate(sorted({e.annotator for e in stands}))}
    place = {choice: n for n, choice in enumerate(choices)}
    table = [[-1] * len(annotators) for _ in records]
    for event in stands:
        table[records[event.record]][annotators[event.annotator]] = place[event.label]
    return Ballots(tuple(records), tuple(annotators), tuple(choices), tuple(map(tuple, table)))


def to_line(event: LabelEvent) -> str:
    """One line of JSON, its end included."""
    return json.dumps(asdict(event), ensure_ascii=False, sort_keys=True) + "\n"


def from_lines(lines: Iterable[str], where: str) -> list[LabelEvent]:
    """The events of an exported log, in order. Raises InputError naming the line that is none."""
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            plain: Any = json.loads(line)
            event = LabelEvent(**plain)
            whole = event.action in (LABEL, SKIP, UNDO) and all(
                isinstance(value, kind) for value, kind in _typed(plain)
            )
        except (ValueError, TypeError) as error:
            raise InputError(
                f"not an event of a label log: {error}", where=f"{where}:{number}"
            ) from None
        if not whole:
            raise InputError(
                "not an event of a label log", where=f"{where}:{number}", seen=line[:80],
                hint="export the log again; its lines are not made for editing",
            )  # fmt: skip
        found.append(event)
    return sorted(found, key=lambda event: event.seq)


_TEXTS = ("factory", "queue", "digest", "record", "annotator", "action", "label")


def _typed(plain: Mapping[str, Any]) -> Iterable[tuple[Any, Any]]:
    for name, value in plain.items():
        yield value, str if name in _TEXTS else int if name in ("slot", "seq") else (int, float)
