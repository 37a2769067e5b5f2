"""A job makes files and has a key that names everything their bytes depend on. It is made once.

That is caching, incremental runs and resuming in one: a finished job is kept in the store under its key, so
whatever asks for it again (the same run after `kill -9`, the next run with three new segments, another
factory) finds it. What is lost is what workers had not finished: at most one job each. Knows no operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tenfold.core.asset import Asset, Draft, FileRef, Piece
from tenfold.core.keys import canonical_json, digest
from tenfold.core.segment import Segment
from tenfold.core.step import Context
from tenfold.data.hub.executor import Executor
from tenfold.data.hub.writer import FORMAT

FILE = "segment.parquet"
"""The file of a job that makes one segment."""


class Job(Protocol):
    """A frozen dataclass, small enough to travel to a worker."""

    @property
    def key(self) -> str: ...
    @property
    def label(self) -> str:
        """For messages: what it works on."""
        ...


A = TypeVar("A", bound=Job)
Function = Callable[[A, Path], Mapping[str, Any]]
"""Makes a job's files in a folder and says what is to be known of them, as plain JSON values. A module's own."""


@dataclass(frozen=True, slots=True)
class Order:
    """A job and where its files go."""

    function: Function[Any]
    job: Any
    folder: Path

    @property
    def label(self) -> str:
        return str(self.job.label)


@dataclass(frozen=True, slots=True)
class Part:
    """A segment that a job made, and where it lies now."""

    segment: Segment
    ref: FileRef
    path: Path


def job_key(kind: str, **parts: Any) -> str:
    """The name of a job of `kind`; `parts` are JSON values that decide its bytes."""
    return digest(canonical_json({"job": kind, "format": FORMAT, **parts}))


def make(
    ctx: Context,
    function: Function[A],
    jobs: Sequence[A],
    executor: Executor,
    note: str,
    *,
    span: tuple[float, float] = (0.0, 1.0),
) -> list[Asset]:
    """Every job's files, in the order of `jobs`; only what no earlier run has made is worked on.

    `span` is the part of the step's progress that this is. Logs how many were reused. Raises what the
    function and the executor raise; finished jobs stay kept.
    """
    made: dict[str, Asset] = {}
    missing: dict[str, A] = {}
    for job in jobs:
        piece = ctx.piece(job.key)
        if piece is not None:
            made[job.key] = piece
        else:
            missing[job.key] = job
    ctx.log("jobs", note=note, reused=len(made), to_make=len(missing))
    drafts: dict[str, Draft] = {}

    def orders() -> Iterator[Order]:
        for key, job in missing.items():
            drafts[key] = ctx.draft(Piece.kind)
            yield Order(function, job, drafts[key].path(FILE).parent)

    total = len(made) + len(missing)
    begin, end = span

    def tell() -> None:
        share = begin + (end - begin) * (len(made) / total if total else 1.0)
        ctx.progress(share, 1.0, f"{note} {len(made)}/{total}")

    tell()
    for order, facts in executor.map(carry_out, orders()):
        draft = drafts.pop(order.job.key)
        draft.meta.update(facts)
        made[order.job.key] = ctx.keep(order.job.key, draft)
        tell()
    return [made[job.key] for job in jobs]


def carry_out(order: Order) -> Mapping[str, Any]:
    """In a worker."""
    return order.function(order.job, order.folder)


def part_of(piece: Asset) -> Part:
    """Of a job that made one segment."""
    return Part(Segment.from_json(piece.meta), piece.files[FILE], piece.path(FILE))
