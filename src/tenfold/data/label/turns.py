"""Whose turn it is: which records of a queue are still open for an annotator, and in which of its slots.

A record asks for `overlap` labels, each of another annotator, each in a slot of its own. Who is looking at a
record holds one slot of it, so it is never before more people than it still needs. Knows no lease and no clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tenfold.core.facts import LabelEvent
from tenfold.data.label.log import LABEL

Stands = Mapping[tuple[str, str], LabelEvent]
"""(record, annotator) -> what stands, of this queue alone."""


def slots_for(stands: Stands, record: str, annotator: str, overlap: int) -> list[int]:
    """Slots of a record that no other annotator's label stands in, this one's own first."""
    taken = {who: e.slot for (of, who), e in stands.items() if of == record and e.action == LABEL}
    own = taken.pop(annotator, None)
    free = [slot for slot in range(overlap) if slot not in taken.values()]
    return sorted(free, key=lambda slot: slot != own)


def open_for(order: Sequence[str], stands: Stands, annotator: str, overlap: int) -> Iterator[str]:
    """Records in order that want another label and that this annotator has neither labelled nor skipped."""
    labels: Counter[str] = Counter()
    met = set()
    for (record, who), event in stands.items():
        labels[record] += event.action == LABEL
        if who == annotator:
            met.add(record)
    return (record for record in order if record not in met and labels[record] < overlap)
