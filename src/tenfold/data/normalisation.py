"""`data.normalise`: rows of text in one form (units, dates, currencies, missing values), the original beside them.

How a column is read is decided once for all of it, from rows drawn evenly over the snapshot; then each segment
is read by these plans on its own. Sources with other columns have plans of their own. Knows rows, no format.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenfold.core.asset import Draft, Snapshot
from tenfold.core.segment import read_batches
from tenfold.core.step import Context, Resources, step
from tenfold.errors import ConfigError, InputError
from tenfold.need import need

if TYPE_CHECKING:
    from tenfold.data.tables.normalise import Normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class NormaliseConfig:
    """How much of a table is looked at before it is read."""

    sample_rows: int = 100_000
    """Rows drawn evenly over the snapshot, 100 or more: held in memory while plans are made."""
    cluster: str = ""
    """As in data.refine."""

    def __post_init__(self) -> None:
        if self.sample_rows < 100:
            raise ConfigError("sample_rows must be 100 or more", seen=self.sample_rows)


@step(version="1", name="data.normalise", produces=Snapshot, resources=Resources(cpu=64))
def normalise(records: Snapshot, ctx: Context, *, config: NormaliseConfig) -> Draft:
    """Read rows. Adds the columns `tables.normalise.row` and `.unread`. Metrics: records, kept, columns, and
    `columns.<kind>` for numbers, dates, money and the like. Raises InputError where there are no rows."""
    need("pyarrow", extra="data", why="to hold records in columns")
    from tenfold.data import operator
    from tenfold.data.hub.executor import executor
    from tenfold.data.hub.job import make, part_of
    from tenfold.data.hub.snapshot import derived
    from tenfold.data.hub.stage import StageJob, run_stage

    if records.meta["modality"] != "row":
        raise InputError(
            "only rows are normalised", where=records.name, seen=records.meta["modality"]
        )
    readers = _readers(records, config.sample_rows)
    jobs = [
        StageJob(each.sha256, records.path(each.file), (reader,))
        for each, reader in zip(records.segments(), readers, strict=True)
    ]
    pieces = make(ctx, run_stage, jobs, executor(ctx.cpu, len(jobs), config.cluster), "normalise")
    parts = [part_of(piece) for piece in pieces]
    kinds: dict[str, int] = defaultdict(int)
    distinct = list(dict.fromkeys(readers))
    for reader in distinct:
        for plan in reader.by:
            kinds[plan.kind] += 1
    ctx.metric("columns", sum(kinds.values()), unit="columns")
    for kind in sorted(kinds):
        ctx.metric(f"columns.{kind}", kinds[kind], unit="columns")
    recipe = [operator.identity(reader) for reader in distinct]
    return derived(ctx, records, [(part.segment, part.ref) for part in parts], recipe)


def _readers(records: Snapshot, sample_rows: int) -> list[Normalise]:
    """One for each segment, the same for segments of the same columns."""
    import numpy as np
    import pyarrow as pa

    from tenfold.data import record
    from tenfold.data.tables.normalise import Normalise, plans

    every = math.ceil(records.count / sample_rows)
    samples: dict[pa.DataType, list[pa.Table]] = defaultdict(list)
    types = []
    seen = 0
    for segment in records.segments():
        kind = None
        for batch in read_batches(records.path(segment.file), [record.ROW]):
            rows = batch.column(0)
            kind = rows.type
            drawn = rows.take(pa.array(np.arange(-seen % every, len(rows), every)))
            names = [field.name for field in kind]
            samples[kind].append(pa.Table.from_arrays(drawn.flatten(), names=names))
            seen += len(rows)
        types.append(kind)
    made = {kind: Normalise(by=plans(pa.concat_tables(each))) for kind, each in samples.items()}
    return [made[kind] for kind in types]
