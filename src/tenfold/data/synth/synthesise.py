"""`data.synthesise`: a table of rows that nobody has, made from one of real rows.

A hold-out of the real rows is kept from the generator, for `data.judge`. Knows generators, not verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tenfold.core.asset import Draft, Table
from tenfold.core.step import Context, Resources, step
from tenfold.data.synth import LEAF_ROWS, TREES
from tenfold.errors import ConfigError
from tenfold.need import need

if TYPE_CHECKING:
    import pyarrow as pa

    from tenfold.data.synth.private import Domain


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateConfig:
    """Only for method `private`."""

    epsilon: float = 1.0
    """Above 0."""
    delta: float = 1e-6
    """Between 0 and 1, well below one over the number of rows."""
    domains: dict[str, list[Any]] = field(default_factory=dict)
    """Column -> categories, or edges of bins for numbers, from a code book and not from the rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesiseConfig:
    method: Literal["trees", "copula", "private"] = "trees"
    """`trees`: column by column from rows that look alike; `copula`: the baseline; `private`: with a budget."""
    rows: int = 0
    """Rows to make; 0: as many as the generator saw."""
    leaf: int = LEAF_ROWS
    """Fewest training rows that are taken as alike, 1 or more."""
    trees: int = TREES
    """Trees for each column, 1 or more."""
    order: list[str] = field(default_factory=list)
    """Columns to make first; the others follow by mutual information."""
    heldout_share: float = 0.25
    """Share of real rows that the generator never sees, above 0 to 0.5."""
    private: PrivateConfig = field(default_factory=PrivateConfig)
    """The privacy budget and the domains of columns, for the method `private`."""

    def __post_init__(self) -> None:
        if self.rows < 0 or self.leaf < 1 or self.trees < 1:
            raise ConfigError(
                "rows must be 0 or more, leaf and trees 1 or more",
                seen=(self.rows, self.leaf, self.trees),
            )
        if not 0 < self.heldout_share <= 0.5:
            raise ConfigError("heldout_share must be above 0 to 0.5", seen=self.heldout_share)


@step(version="1", name="data.synthesise", produces=Table, resources=Resources(cpu=1))
def synthesise(real: Table, ctx: Context, *, config: SynthesiseConfig) -> Draft:
    """Fit on what is not held out and sample. Meta: `method`, `of` (digest), `heldout_share`."""
    pa = need("pyarrow", extra="data", why="to synthesise tables")
    from tenfold.data.synth.split import held_out
    from tenfold.data.tables.arrow import to_arrow, to_rows

    whole = to_arrow(real)
    kept = pa.array(~held_out(whole.num_rows, config.heldout_share))
    known = whole.filter(kept)
    num_rows = config.rows or known.num_rows
    made = generated(known, num_rows, config, ctx.seed)
    draft = Table.write(to_rows(made), draft=ctx.draft(Table.kind))
    draft.meta.update(
        synthetic=True, method=config.method, of=real.digest, heldout_share=config.heldout_share
    )
    if config.method == "private":
        draft.meta.update(epsilon=config.private.epsilon, delta=config.private.delta)
    ctx.metric("rows", num_rows, unit="rows")
    ctx.metric("seen", known.num_rows, unit="rows")
    return draft


def generated(known: pa.Table, num_rows: int, config: SynthesiseConfig, seed: int) -> pa.Table:
    """`num_rows` rows by the method of `config`."""
    from tenfold.data.synth import copula, private, trees

    if config.method == "trees":
        chain = trees.fit(
            known, leaf=config.leaf, trees=config.trees, order=config.order, seed=seed
        )
        return chain.sample(num_rows, seed + 1)
    if config.method == "copula":
        return copula.fit(known, seed=seed).sample(num_rows, seed + 1)
    domains = public(config.private.domains, known.schema)
    fitted = private.fit(
        known, domains, epsilon=config.private.epsilon, delta=config.private.delta, seed=seed
    )
    return fitted.sample(num_rows, seed + 1)


def public(given: Mapping[str, Sequence[Any]], schema: pa.Schema) -> dict[str, Domain]:
    """Lists as domains: edges for columns of numbers, categories for others."""
    import pyarrow as pa

    from tenfold.data.synth import private

    domains = {}
    for name, values in given.items():
        if name not in schema.names:
            raise ConfigError("a domain for a column that is not there", seen=name)
        kind = schema.field(name).type
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        domains[name] = (
            private.Domain(edges=tuple(map(float, values)))
            if number
            else private.Domain(categories=tuple(values))
        )
    return domains
