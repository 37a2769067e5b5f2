"""`data.review`: the records of a snapshot that a person should look at, as a queue for the labelling page.

The queue is a snapshot itself, in the order of work, with a reason and a score for every record; so whatever
is done to snapshots (erasing a person, say) is done to it. With the labels of earlier rounds it asks for what
teaches most, what annotators dispute and what contradicts the rest. See docs/labelling.md.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tenfold.core.asset import Draft, Snapshot
from tenfold.core.step import Context, step
from tenfold.data.label.log import Ballots, ballots
from tenfold.data.label.ranking import DISPUTED, QUARANTINED, SUSPECT, Ranking, in_turn
from tenfold.data.labels import observe, read_log
from tenfold.errors import ConfigError, InputError
from tenfold.need import need

GROUP_BYTES = 1 << 20
"""Of records in a row group, in memory: what the page reads to show one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewConfig:
    """What is asked, and of which records."""

    choices: tuple[str, ...]
    """The labels to choose from, two or more, each at most 60 characters."""
    question: str = "Which label fits?"
    """What the page asks above each record; empty: nothing."""
    size: int = 200
    """Records in the queue, at most; 1 to 10,000."""
    overlap: int = 1
    """How many annotators label each record, 1 to 20."""
    labels: str = ""
    """Label log of earlier rounds (JSON Lines, `tenfold labels`), beside the factory file; empty: none yet."""
    score: Literal["margin", "entropy"] = "margin"
    """How doubt of the classifier is measured."""
    max_similarity: float = 0.8
    """Cosine up to which two records may stand in one queue, above 0 to 1."""
    unlabelled: bool = True
    """Whether records without a label are asked about at all."""
    causes: tuple[str, ...] = ()
    """Drops to be looked at: causes, `*` stands for anything: `rules.*`."""
    quarantined: bool = False
    """Whether to show what could not be read."""
    pool: int = 20_000
    """Records among which is chosen, at most; a random draw by id, labelled ones first. 1 or more."""

    def __post_init__(self) -> None:
        if len(set(self.choices)) < max(2, len(self.choices)):
            raise ConfigError("choices must be two or more, all different", seen=self.choices)
        if not all(
            0 < len(choice.strip()) <= 60 and choice.isprintable() for choice in self.choices
        ):
            raise ConfigError("a choice has 1 to 60 printable characters", seen=self.choices)
        if not 1 <= self.size <= 10_000:
            raise ConfigError("size must be between 1 and 10,000", seen=self.size)
        if not 1 <= self.overlap <= 20:
            raise ConfigError("overlap must be between 1 and 20", seen=self.overlap)
        if not 0 < self.max_similarity <= 1:
            raise ConfigError("max_similarity must be above 0 to 1", seen=self.max_similarity)
        if self.pool < 1:
            raise ConfigError("pool must be 1 or more", seen=self.pool)


@step(version="1", name="data.review", produces=Snapshot, observe=observe)
def review(records: Snapshot, ctx: Context, *, config: ReviewConfig) -> Draft:
    """Choose what to look at. Metrics: those of a snapshot, and asked.<reason>. Raises InputError where
    there is nothing to ask."""
    need("sklearn", extra="data", why="to find out what is worth a label")
    from tenfold.data.hub.keeping import keep_segment
    from tenfold.data.hub.snapshot import Origin, write_snapshot
    from tenfold.data.hub.writer import regrouped
    from tenfold.data.label.rows import of_quarantine, of_records

    given = ballots(read_log(config.labels, ctx), config.choices)
    known = frozenset(given.records)
    strange = [] if not config.quarantined else of_quarantine(records)
    strange = [row for row in strange if row["id"] not in known]
    found = [
        *_dropped(records, config, known),
        Ranking(QUARANTINED, [row["id"] for row in strange], [1.0] * len(strange)),
        *_labelled(records, given, config, ctx.seed),
    ]
    wanted = in_turn(found, config.size)
    if not wanted:
        raise InputError(
            "nothing to ask", where="data.review", seen=config.labels or "no labels",
            hint="allow unlabelled records, name causes of drops, or set quarantined",
        )  # fmt: skip
    asked = Counter(reason for _, reason, _ in wanted)
    for reason in sorted(asked):
        ctx.metric(f"asked.{reason}", asked[reason], unit="records")
    tables = of_records(records, wanted, strange)
    segments = [
        keep_segment(ctx, regrouped(table.to_batches(), GROUP_BYTES), table.schema)
        for table in tables
    ]
    modalities = {name for table in tables for name in table["modality"].unique().to_pylist()}
    settings = dataclasses.asdict(config)
    recipe = {"name": "data.review", "version": review.version, "parameters": settings}
    origin = Origin(
        modality=modalities.pop() if len(modalities) == 1 else "mixed",
        recipe=[*records.content["recipe"]["steps"], recipe],
        parents=[records.digest],
    )
    draft = write_snapshot(ctx, ctx.draft(Snapshot.kind), segments, origin)
    draft.meta["review"] = {
        "choices": list(config.choices),
        "question": config.question,
        "overlap": config.overlap,
        "reasons": dict(sorted(asked.items())),
    }
    return draft


def _dropped(records: Snapshot, config: ReviewConfig, known: frozenset[str]) -> Iterator[Ranking]:
    """One ranking per cause, by id (ids are as good as drawn); without those that are labelled already."""
    if not config.causes:
        return
    ids: dict[str, list[str]] = {}
    for batch in records.batches(["id", "drop"], kept_only=False):
        for record, cause in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if (
                cause
                and record not in known
                and any(fnmatch.fnmatchcase(cause, each) for each in config.causes)
            ):
                ids.setdefault(cause, []).append(record)
    for cause in sorted(ids):
        chosen = heapq.nsmallest(config.size, ids[cause])
        yield Ranking(cause, chosen, [1.0] * len(chosen))


def _labelled(records: Snapshot, given: Ballots, config: ReviewConfig, seed: int) -> list[Ranking]:
    """Of the records that stay: what the labels so far, or their absence, make urgent."""
    from tenfold.data.label.features import features
    from tenfold.data.label.rows import payloads
    from tenfold.data.label.urgency import pool, rankings

    known = set(given.records)
    every = (record for batch in records.batches(["id"]) for record in batch.column(0).to_pylist())
    drawn = heapq.nsmallest(config.pool, every, key=lambda record: (record not in known, record))
    found: list[Ranking] = []
    for table in payloads(records, set(drawn)):
        among = pool(table["id"].to_pylist(), features(table), given)
        found += rankings(
            among, size=config.size, score=config.score,
            max_similarity=config.max_similarity, seed=seed,
        )  # fmt: skip
    if not config.unlabelled:
        found = [each for each in found if each.reason in (DISPUTED, SUSPECT)]
    return found
