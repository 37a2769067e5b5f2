"""`data.measure`: the gauges of a snapshot as a report, and as metrics that checks can ask for.

A sample of bounded size is looked at, so a snapshot of any size takes seconds. Metrics are named
`family.gauge`, with `.low` and `.high` for the 95 % interval. The report holds figures, never a record. Knows
the families by one function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tenfold.core.asset import Asset, Draft, Report, Snapshot
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError, InputError
from tenfold.need import need

if TYPE_CHECKING:
    from tenfold.data.gauges.gauging import Wanted

FORMAT = 1
TODAY, NEWEST = "today", "newest"


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugesConfig:
    """How much is looked at, and what is asked."""

    records: int = 4000
    """Records looked at, 20 to 20,000. More make intervals narrower: four times as many, half as wide."""
    by: Literal["record", "source"] = "record"
    """What intervals draw: records, or whole sources, where what is to come may be other sources."""
    as_of: str = TODAY
    """The day ages are counted at: `today` (measured anew every day), `newest` (that of the newest record), or
    a date, 2026-11-21."""
    half_life_days: dict[str, float] = field(default_factory=dict)
    """Source -> days after which its content counts half, above 0; before what the source itself says."""
    queries: tuple[str, ...] = ()
    """What ought to be answered by some record."""
    queries_file: str = ""
    """A text file with one more query in each line, beside the factory file."""
    answered_at: float = 0.75
    """Part of a query, rare words weighing more, that one record must hold to answer it; above 0, to 1."""
    classes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Column, `row.NAME` or `meta.NAME` -> the values that must be there; none: those that are."""
    threshold: float = 0.25
    """Of relevance: the probability to be of the target from which a record counts, 0 to 1. One half is what a
    record gets that is as usual here as there; 0.25: a third as usual there as here."""
    words: int = 5000
    """In a block for distinct n-grams, 100 or more. Figures compare at equal block sizes only."""
    block: int = 200
    """Records in a block for the Vendi score and joint entropy, 2 to 1000."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("records", 20, 20_000), ("words", 100, 10_000_000), ("block", 2, 1000),
            ("threshold", 0, 1), ("answered_at", 0, 1),
        ):  # fmt: skip
            value = getattr(self, name)
            if not least <= value <= most or (name == "answered_at" and not value):
                raise ConfigError(f"{name} must be between {least} and {most}", seen=value)
        if any(not days > 0 for days in self.half_life_days.values()):
            raise ConfigError("half_life_days must be above 0", seen=self.half_life_days)
        if self.as_of not in (TODAY, NEWEST):
            try:
                date.fromisoformat(self.as_of)
            except ValueError:
                raise ConfigError(
                    "as_of is `today`, `newest` or a date like 2026-11-21", seen=self.as_of
                ) from None


def observe(config: Mapping[str, Any], directory: str | Path) -> dict[str, str]:
    """The day, where ages are counted at today, and the file of queries. Raises InputError."""
    seen = {}
    if config.get("as_of", TODAY) == TODAY:
        seen["today"] = _today().isoformat()
    if config.get("queries_file"):
        data = _queries_file(Path(directory), config["queries_file"])
        seen["queries_file"] = hashlib.sha256(data).hexdigest()
    return seen


@step(
    version="1",
    name="data.measure",
    produces=Report,
    resources=Resources(cpu=1, memory_bytes=2 << 30),
    observe=observe,
)
def measure(records: Snapshot, *target: Asset, ctx: Context, config: GaugesConfig) -> Draft:
    """Read every gauge; `target` (a snapshot, corpus or table): what the records ought to be like. Metrics:
    FAMILY.GAUGE with .low and .high. Raises InputError for more than one target."""
    need("pyarrow", extra="data", why="to hold records in columns")
    from tenfold.data.gauges.gauging import measured
    from tenfold.data.gauges.profile import profile

    asked = wanted(config, ctx, (records,))
    wish = profile(only(target), asked.records) if target else None
    found = measured(records, asked, wish)
    draft = ctx.draft(Report.kind)
    draft.write_json(
        Report.FILE,
        {"format": FORMAT, "kind": "gauges", "method": method(config, asked), **found},
    )
    draft.meta.update(subject=records.digest, records=found["sample"]["records"])
    for figure in found["figures"]:
        ctx.metric(figure["name"], figure["value"], unit=figure["unit"])
        if not figure["exact"] and figure["low"] is not None:
            ctx.metric(figure["name"] + ".low", figure["low"], unit=figure["unit"])
            ctx.metric(figure["name"] + ".high", figure["high"], unit=figure["unit"])
    return draft


def only(target: tuple[Asset, ...]) -> Asset:
    if len(target) > 1:
        raise InputError(
            "one target at most", seen=[each.name for each in target], where="data.measure"
        )
    return target[0]


def wanted(config: GaugesConfig, ctx: Context, snapshots: tuple[Snapshot, ...]) -> Wanted:
    from tenfold.data.gauges.gauging import Wanted

    queries = list(config.queries)
    if config.queries_file:
        data = _queries_file(Path(ctx.scratch.get("directory", ".")), config.queries_file)
        queries += [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    return Wanted(
        records=config.records,
        words=config.words,
        block=config.block,
        by=config.by,
        as_of_us=_as_of_us(config.as_of, snapshots),
        half_life_days=config.half_life_days,
        queries=queries,
        answered_at=config.answered_at,
        classes=config.classes,
        threshold=config.threshold,
        seed=ctx.seed % 2**32,
    )


def method(config: GaugesConfig, asked: Wanted) -> dict[str, Any]:
    """How the figures of a report came about."""
    from tenfold.data.gauges import interval

    return {
        "as_of": datetime.fromtimestamp(asked.as_of_us / 1e6, UTC).isoformat(),
        "interval": f"{interval.LEVEL:.0%} percentile bootstrap, {interval.ROUNDS} rounds",
        "drawn_by": config.by,
        "block_words": config.words,
        "block_records": config.block,
        "queries": len(asked.queries),
        "answered_at": config.answered_at,
        "threshold": config.threshold,
    }


def _as_of_us(text: str, snapshots: tuple[Snapshot, ...]) -> int:
    """The end of that day; 0 where no record has a time, and nothing an age."""
    if text == NEWEST:
        last = [s.last_us for each in snapshots for s in each.segments() if s.last_us is not None]
        return max(last, default=0)
    day = _today() if text == TODAY else date.fromisoformat(text)
    end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    return int(end.timestamp()) * 1_000_000


def _today() -> date:
    return datetime.now(UTC).date()


def _queries_file(directory: Path, name: str) -> bytes:
    try:
        return (directory / name).read_bytes()
    except OSError as error:
        raise InputError(
            f"the file of queries cannot be read: {error.strerror}", where=str(directory / name)
        ) from None
