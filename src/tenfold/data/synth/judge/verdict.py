"""The gate: `admit` says whether synthetic rows may enter, with every reason why not.

The hold-out is real rows that the generator never saw. It is the measure for everything: synthetic rows
must be as hard to tell from it as training rows are, teach what real rows teach, and copy no more than it
copies by chance. A perfect discriminator score alone proves nothing: copying reaches it.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tenfold.data.synth import constraints, copies, frame
from tenfold.data.synth.judge import discriminator, distance, efficacy, features
from tenfold.data.synth.judge.discriminator import Auc
from tenfold.data.synth.judge.distance import Distances
from tenfold.data.synth.judge.efficacy import Efficacy
from tenfold.data.synth.judge.thresholds import Thresholds
from tenfold.errors import InputError

MAX_ROWS = 10_000
"""The discriminator reads so many rows of each; more would only sharpen the interval."""
MIN_ROWS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    admitted: bool
    reasons: tuple[str, ...]
    """Why not; empty when admitted."""
    auc: Auc
    """Synthetic against hold-out."""
    floor: Auc
    """Training against hold-out: what chance gives."""
    efficacy: Efficacy | None
    """None: no column can serve as a target."""
    copies: float
    """Share of synthetic rows that are training rows."""
    holdout_copies: float
    distances: Distances
    broken: dict[str, float]
    """Constraint -> share of synthetic rows that break it."""
    unknown: dict[str, float]
    """Column -> share of synthetic rows with a value that no real row has."""
    rows: tuple[int, int, int]
    """real, hold-out, synthetic"""

    def to_json(self) -> dict[str, Any]:
        plain = dataclasses.asdict(self)
        if self.efficacy is not None:
            plain["efficacy"]["ratio"] = self.efficacy.ratio
        return plain


def admit(
    real: pa.Table,
    holdout: pa.Table,
    synthetic: pa.Table,
    thresholds: Thresholds = Thresholds(),
    *,
    target: str | None = None,
    seed: int = 0,
) -> Verdict:
    """Judge `synthetic`, made from `real`, by `holdout`, which its generator must not have seen.

    `target`: the column that models learn; None takes the last class or number. Raises InputError where
    columns differ or there are fewer than 50 rows of a kind.
    """
    for name, table in (("hold-out", holdout), ("synthetic", synthetic)):
        if table.column_names != real.column_names:
            raise InputError(
                f"the {name} table has other columns than the real one",
                seen=sorted(set(table.column_names) ^ set(real.column_names)) or "another order",
            )
    rows = (real.num_rows, holdout.num_rows, synthetic.num_rows)
    if min(rows) < MIN_ROWS:
        raise InputError("too few rows to judge by", seen=rows, hint=f"{MIN_ROWS} of each at least")
    # One schema, without dictionaries and chunks: what is compared is values.
    real = _plain(real, real.schema)
    holdout, synthetic = _plain(holdout, real.schema), _plain(synthetic, real.schema)
    rng = np.random.default_rng(seed)
    train, outside, made = (
        table.take(np.sort(rng.permutation(table.num_rows)[:MAX_ROWS]))
        for table in (real, holdout, synthetic)
    )
    parts, category = features.design(real, [outside, made, train])
    auc = discriminator.separability(parts[0], parts[1], category, seed=seed)
    floor = discriminator.separability(parts[0], parts[2], category, seed=seed)
    column = efficacy.usable_target(real, target)
    taught = (
        None
        if column is None
        else efficacy.measure(real, holdout, synthetic, target=column, seed=seed)
    )
    known = frame.row_keys(real)
    copied = float(copies.is_copy(frame.row_keys(synthetic), known).mean())
    by_chance = float(copies.is_copy(frame.row_keys(holdout), known).mean())
    distances = distance.measure(real, holdout, synthetic, seed=seed)
    columns = frame.columns(real)
    broken, excess = _broken(constraints.find(real, columns), holdout, synthetic)
    unknown, strange = _unknown(columns, real, holdout, synthetic)
    reasons = [
        *_unlike(auc, floor, thresholds),
        *_useless(taught, thresholds),
        *_copying(copied, by_chance, rows, distances, thresholds),
        *(
            f"breaks {name}: {share:.2%} of rows"
            for name, share in excess.items()
            if share > thresholds.broken
        ),
        *(
            f"{name} has values that no real row has: {share:.2%} of rows more than the hold-out"
            for name, share in strange.items()
            if share > thresholds.unknown
        ),
    ]
    return Verdict(
        admitted=not reasons, reasons=tuple(reasons), auc=auc, floor=floor, efficacy=taught,
        copies=copied, holdout_copies=by_chance, distances=distances, broken=broken,
        unknown=unknown, rows=rows,
    )  # fmt: skip


def _plain(table: pa.Table, schema: pa.Schema) -> pa.Table:
    fields = [
        pa.field(field.name, field.type.value_type)
        if pa.types.is_dictionary(field.type)
        else pa.field(field.name, field.type)
        for field in schema
    ]
    return table.cast(pa.schema(fields)).combine_chunks()


def _unlike(auc: Auc, floor: Auc, limits: Thresholds) -> list[str]:
    # Whatever tells training from hold-out (a drift between them) is not the generator's fault.
    allowed = limits.auc + max(0.0, floor.low - 0.5)
    reasons = []
    if auc.value > allowed:
        reasons.append(
            f"a discriminator tells it from real rows: AUC {auc.value:.3f} "
            f"({auc.low:.3f} to {auc.high:.3f}), {allowed:.3f} allowed"
        )
    reach = (auc.high - auc.low) / 2
    if reach > limits.auc_reach:
        reasons.append(f"too few rows for a judgement: the AUC is known to {reach:.3f} only")
    return reasons


def _useless(taught: Efficacy | None, limits: Thresholds) -> list[str]:
    if taught is None or not taught.teaches or taught.high >= limits.tstr:
        return []
    return [
        f"models of {taught.target} learn {taught.ratio:.3f} of what real rows teach "
        f"({taught.measure} {taught.synthetic:.3f} against {taught.real:.3f}), {limits.tstr} wanted"
    ]


def _copying(
    copied: float,
    by_chance: float,
    rows: tuple[int, int, int],
    distances: Distances,
    limits: Thresholds,
) -> list[str]:
    reasons = []
    # Two standard errors of the difference of two shares (Agresti and Caffo 2000: one row more on each
    # side), so that a single twin among a thousand rows refuses nobody.
    pooled = (by_chance * rows[1] + copied * rows[2] + 2) / (rows[1] + rows[2] + 4)
    pooled = min(pooled, by_chance + 2 / rows[1])  # what is judged must not raise its own limit
    luck = 2 * (pooled * (1 - pooled) * (1 / rows[1] + 1 / rows[2])) ** 0.5
    if copied > by_chance + luck + limits.copies_excess:
        reasons.append(
            f"copies training rows: {copied:.3%} of rows, where a real hold-out has {by_chance:.3%}"
        )
    if distances.nearer > limits.nearer + 2 * distances.error:
        reasons.append(
            f"nearer to training rows than real rows are: in {distances.nearer:.1%} of pairs, "
            f"{limits.nearer:.0%} allowed"
        )
    if distances.very_near > limits.very_near:
        reasons.append(
            f"{distances.very_near:.1%} of rows are as near to a training row as only "
            f"{distance.NEAR_QUANTILE:.0%} of real rows are, {limits.very_near:.0%} allowed"
        )
    return reasons


def _broken(
    rules: list[constraints.Constraint], holdout: pa.Table, synthetic: pa.Table
) -> tuple[dict[str, float], dict[str, float]]:
    broken, excess = {}, {}
    for rule in rules:
        share = float(rule.broken(synthetic).mean())
        outside = float(rule.broken(holdout).mean())
        broken[str(rule)] = share
        excess[str(rule)] = share - outside
    return broken, excess


def _unknown(
    columns: dict[str, frame.Column], real: pa.Table, holdout: pa.Table, synthetic: pa.Table
) -> tuple[dict[str, float], dict[str, float]]:
    unknown, strange = {}, {}
    for column in columns.values():
        if column.kind != "category":
            continue
        seen = set(real.column(column.name).to_pylist()) | {None}
        outside = holdout.column(column.name).to_pylist()
        new = float(np.mean([value not in seen for value in outside]))
        seen |= set(outside)
        made = synthetic.column(column.name).to_pylist()
        share = float(np.mean([value not in seen for value in made]))
        unknown[column.name] = share
        strange[column.name] = share - new
    return unknown, strange
