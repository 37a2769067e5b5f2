"""Labelling: review queues of a factory, who looks at what, and the log of what they said.

Every deed is one event in the ledger before the next record is shown, so that a killed browser or server
loses at most the record at hand. A record that is shown is leased: nobody else gets it while it is needed
no more often. The page, notebooks and the command line are on top of this.
"""

from __future__ import annotations

import threading
import time
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenfold.core.asset import Snapshot, view
from tenfold.core.facts import LabelEvent, StepResult
from tenfold.core.graph import Graph
from tenfold.core.ports import Blobs, Ledger
from tenfold.data.label import log, turns
from tenfold.errors import InputError, LeaseHeld, UnknownName

if TYPE_CHECKING:
    from tenfold.data.label.agreement import Estimate
    from tenfold.data.label.queue import Item, Queue

LEASE_S = 120.0
"""How long a record waits for an annotator who says nothing; the page says every quarter of it that it is there."""
MAX_NAME = 40
_OPEN_QUEUES = 4
_REPEATS = 200
"""Of the bootstrap; the page shows two digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    wanted: int
    """Labels: records times how many annotators label each."""
    done: int
    skipped: int
    by_annotator: tuple[tuple[str, int], ...]
    """(name, labels), most first."""
    by_choice: tuple[tuple[str, int], ...]
    median_s: float | None
    """Seconds a label took."""
    percent: float | None
    """Of pairs of labels of one record that are equal, 0 to 1; None: no record has two."""
    alpha: Estimate | None
    """Krippendorff's, with its interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSummary:
    name: str
    digest: str
    question: str
    choices: tuple[str, ...]
    records: int
    reasons: tuple[tuple[str, int], ...]
    wanted: int
    done: int
    made_at_s: float


class Labelling:
    """The review queues that a factory's newest results hold."""

    def __init__(
        self,
        ledger: Ledger,
        blobs: Blobs,
        factory: str,
        graph: Graph,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Queues are the snapshots of `graph` that ask something, as data.review makes them."""
        self._names = [n.name for n in graph.nodes.values() if n.step.output == Snapshot.kind]
        self._ledger = ledger
        self._blobs = blobs
        self._factory = factory
        self._now = now
        self._queues: dict[str, Queue] = {}
        self._agreement: dict[tuple[str, int], tuple[float | None, Estimate | None]] = {}
        self._lock = threading.Lock()

    def queues(self) -> list[QueueSummary]:
        """Newest first."""
        found = []
        for name, result in self._results().items():
            asked = result.output.meta["review"]
            stands = self._stands(name, result.output.digest)
            done = sum(event.action == log.LABEL for event in stands.values())
            records = int(result.output.meta["records"])
            found.append(
                QueueSummary(
                    name=name, digest=result.output.digest, question=asked["question"],
                    choices=tuple(asked["choices"]), records=records,
                    reasons=tuple(asked["reasons"].items()), done=done,
                    wanted=records * asked["overlap"], made_at_s=result.finished_at_s,
                )
            )  # fmt: skip
        return found

    def queue(self, name: str) -> Queue:
        """The newest queue of this name, opened. Raises UnknownName, MissingExtra."""
        from tenfold.data.label.queue import Queue

        results = self._results()
        if name not in results:
            raise UnknownName("review queue", name, results)
        manifest = results[name].output
        with self._lock:
            opened = self._queues.pop(manifest.digest, None)
        if opened is None:
            snapshot = view(name, manifest, self._blobs)
            opened = Queue(snapshot)  # type: ignore[arg-type]
        with self._lock:
            self._queues[manifest.digest] = opened
            while len(self._queues) > _OPEN_QUEUES:
                self._queues.pop(next(iter(self._queues)))
        return opened

    def next(self, name: str, annotator: str) -> Item | None:
        """The first record that needs this annotator, leased; None: there is nothing left to do now."""
        queue, who = self.queue(name), annotator_name(annotator)
        stands = self._stands(name, queue.digest)
        for record in turns.open_for(queue.order, stands, who, queue.overlap):
            if self._seat(name, queue, record, who, stands) is not None:
                return queue.item(record)
        return None

    def decide(
        self, name: str, record: str, annotator: str, label: str | None, seconds: float
    ) -> LabelEvent:
        """A label, or None to skip: written before this returns.

        Raises InputError for a label that is no choice, UnknownName for a strange record, and LeaseHeld when
        the annotator's lease ran out and the record went to others.
        """
        queue, who = self.queue(name), annotator_name(annotator)
        if label is not None and label not in queue.choices:
            raise InputError("not one of the choices", where=name, seen=label)
        slot = self._seat(name, queue, record, who)
        if slot is None and label is not None:
            raise LeaseHeld(
                "this record went to somebody else meanwhile", where=name,
                hint="a record waits two minutes for an annotator who has left",
            )  # fmt: skip
        event = LabelEvent(
            factory=self._factory, queue=name, digest=queue.digest, record=record, annotator=who,
            action=log.SKIP if label is None else log.LABEL, label=label or "", slot=slot or 0,
            seconds=min(max(0.0, seconds), 86_400.0), at_s=self._now(),
        )  # fmt: skip
        self._ledger.append([event])
        self._release(name, queue, record, who)
        return event

    def undo(self, name: str, annotator: str) -> Item | None:
        """Take back this annotator's last label or skip in this queue, and show that record again. None:
        there is nothing to take back, or somebody else looks at what this annotator had skipped."""
        queue, who = self.queue(name), annotator_name(annotator)
        last = log.last_deed(self._events(name, queue.digest), who)
        if last is None:
            return None
        # Leased before the label is taken back: otherwise another could be quicker.
        slot = self._seat(name, queue, last.record, who)
        event = LabelEvent(
            factory=self._factory, queue=name, digest=queue.digest, record=last.record,
            annotator=who, action=log.UNDO, slot=last.slot, at_s=self._now(),
        )  # fmt: skip
        self._ledger.append([event])
        return None if slot is None else queue.item(last.record)

    def hold(self, name: str, record: str, annotator: str) -> bool:
        """Say that the annotator still looks at it. False: it is somebody else's now."""
        queue, who = self.queue(name), annotator_name(annotator)
        return self._seat(name, queue, record, who) is not None

    def progress(self, name: str) -> Progress:
        queue = self.queue(name)
        stands = self._stands(name, queue.digest)
        labels = [event for event in stands.values() if event.action == log.LABEL]
        took = sorted(event.seconds for event in labels)
        percent, alpha = self._agreed(queue, stands)
        return Progress(
            wanted=len(queue.order) * queue.overlap,
            done=len(labels),
            skipped=len(stands) - len(labels),
            by_annotator=_counted(event.annotator for event in labels),
            by_choice=_counted(event.label for event in labels),
            median_s=took[len(took) // 2] if took else None,
            percent=percent,
            alpha=alpha,
        )

    def export(self, name: str) -> Iterator[str]:
        """Every event of every round of a queue as lines of JSON, oldest first: what `data.labels` and
        `data.review` read."""
        for event in self._events(name):
            yield log.to_line(event)

    def _results(self) -> dict[str, StepResult]:
        """By name, newest first. What a run settled on may have been made under another name."""
        found = {name: self._ledger.current(self._factory, name) for name in self._names}
        made = {
            name: result
            for name, result in found.items()
            if result is not None and "review" in result.output.meta
        }
        return dict(sorted(made.items(), key=lambda pair: -pair[1].finished_at_s))

    def _events(self, name: str, digest: str | None = None) -> list[LabelEvent]:
        where: dict[str, Any] = {"factory": self._factory, "queue": name}
        if digest is not None:
            where["digest"] = digest
        return self._ledger.read(LabelEvent, **where)

    def _stands(self, name: str, digest: str) -> Mapping[tuple[str, str], LabelEvent]:
        return log.standing(self._events(name, digest))

    def _seat(
        self, name: str, queue: Queue, record: str, who: str, stands: turns.Stands | None = None
    ) -> int | None:
        """A slot of the record that is this annotator's to label in, leased; None: there is none. Raises
        UnknownName for a strange record."""
        if record not in queue:
            raise UnknownName("record", record, ())
        if stands is None:
            stands = self._stands(name, queue.digest)
        for slot in turns.slots_for(stands, record, who, queue.overlap):
            key = self._key(name, queue, record, slot)
            if self._ledger.acquire(key, who, LEASE_S, self._now()) is None:
                # A label may have come into it between looking and leasing; from here on none can.
                fresh = self._stands(name, queue.digest)
                if slot in turns.slots_for(fresh, record, who, queue.overlap):
                    return slot
                self._ledger.release(key, who)
        return None

    def _release(self, name: str, queue: Queue, record: str, who: str) -> None:
        for slot in range(queue.overlap):
            self._ledger.release(self._key(name, queue, record, slot), who)

    def _key(self, name: str, queue: Queue, record: str, slot: int) -> str:
        return f"label:{self._factory}:{name}:{queue.digest}:{record}:{slot}"

    def _agreed(
        self, queue: Queue, stands: Mapping[tuple[str, str], LabelEvent]
    ) -> tuple[float | None, Estimate | None]:
        if queue.overlap == 1 or not stands:
            return None, None
        mark = (queue.digest, max(event.seq for event in stands.values()) * 1_000_003 + len(stands))
        if mark not in self._agreement:
            import numpy as np

            from tenfold.data.label.agreement import estimate, krippendorff_alpha, percent

            given = log.ballots(stands.values(), queue.choices)
            table = np.array(given.votes, np.float64)
            table = table.reshape(len(given.records), len(given.annotators))
            table[table < 0] = np.nan
            found = estimate(krippendorff_alpha, table, repeats=_REPEATS)
            self._agreement = {mark: (percent(table), found) if found.items else (None, None)}
        return self._agreement[mark]


def annotator_name(given: str) -> str:
    """As it is kept: one spelling, no white space around. Raises InputError."""
    name = unicodedata.normalize("NFC", given).strip()
    if not 0 < len(name) <= MAX_NAME or not name.isprintable():
        raise InputError(
            f"a name has 1 to {MAX_NAME} printable characters", seen=len(name),
            hint="any name will do that tells you from the others",
        )  # fmt: skip
    return name


def _counted(values: Iterator[str]) -> tuple[tuple[str, int], ...]:
    counts: dict[str, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return tuple(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
