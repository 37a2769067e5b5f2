"""`data.judge`: a verdict on a synthetic table, from the real one it was made of.

A refused table fails the step, so that nothing behind it is built, unless a report is all that is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tenfold.core.asset import Draft, Report, Table
from tenfold.core.step import Context, Resources, step
from tenfold.data.synth.judge.thresholds import Thresholds
from tenfold.errors import CheckFailed, InputError
from tenfold.need import need

if TYPE_CHECKING:
    import pyarrow as pa

    from tenfold.data.synth.judge.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeConfig:
    target: str = ""
    """The column that models learn; empty: the last class or number."""
    report_only: bool = False
    """A refusal is written down and does not fail the step."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    """What synthetic rows must keep to, to be admitted."""


@step(version="1", name="data.judge", produces=Report, resources=Resources(cpu=1))
def judge(real: Table, synthetic: Table, ctx: Context, *, config: JudgeConfig) -> Draft:
    """Report of all figures and reasons. Metrics: admitted, auc, tstr, copies_pct, nearer."""
    pa = need("pyarrow", extra="data", why="to judge tables")
    from tenfold.data.synth.judge.verdict import admit
    from tenfold.data.synth.split import held_out
    from tenfold.data.tables.arrow import to_arrow

    if synthetic.meta.get("of") != real.digest or "heldout_share" not in synthetic.meta:
        raise InputError(
            "the synthetic table was not made from this real one, so nobody knows which rows it saw",
            where=synthetic.name,
            seen=synthetic.meta.get("of"),
            hint=f"make it with data.synthesise from {real.name}, or call admit with a hold-out",
        )
    whole = to_arrow(real)
    outside = held_out(whole.num_rows, float(synthetic.meta["heldout_share"]))
    made = to_arrow(synthetic).select(whole.column_names)
    verdict = admit(
        whole.filter(pa.array(~outside)),
        whole.filter(pa.array(outside)),
        _as(made, whole.schema),
        config.thresholds,
        target=config.target or None,
        seed=ctx.seed % 2**32,
    )
    _measure(verdict, ctx)
    if not verdict.admitted and not config.report_only:
        raise CheckFailed(
            "the synthetic table is refused: " + "; ".join(verdict.reasons), where=synthetic.name
        )
    draft = ctx.draft(Report.kind)
    draft.write_json(Report.FILE, verdict.to_json())
    return draft


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """JSON forgets that 3.0 was no whole number, and what a column of missing values held."""
    import pyarrow as pa

    try:
        return table.cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"the synthetic table has other types: {error}") from None


def _measure(verdict: Verdict, ctx: Context) -> None:
    ctx.metric("admitted", float(verdict.admitted))
    ctx.metric("auc", verdict.auc.value)
    ctx.metric("auc_floor", verdict.floor.value)
    if verdict.efficacy is not None:
        ctx.metric("tstr", verdict.efficacy.ratio)
    ctx.metric("copies_pct", 100 * verdict.copies, unit="%")
    ctx.metric("holdout_copies_pct", 100 * verdict.holdout_copies, unit="%")
    ctx.metric("nearer", verdict.distances.nearer)
