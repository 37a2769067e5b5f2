"""`data.validate`: a table against rules, given or drafted from a reference table, and its drift.

The report holds every broken rule with examples and places, the rules themselves as YAML for people to edit,
and the drift of each column where there is a reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tenfold.core.asset import Draft, Report, Table
from tenfold.core.step import Context, Resources, step
from tenfold.errors import CheckFailed
from tenfold.need import need

RULES = "rules.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidateConfig:
    rules: str = ""
    """Rules as YAML or JSON text; empty: drafted from the reference (or from the table itself)."""
    on_broken: Literal["report", "fail"] = "report"
    """`report`: broken rules are metrics, for checks to judge; `fail`: the step fails."""
    max_broken_share: float = 0.0
    """Share of rows that may break any one rule before `fail` fails, 0 to 1."""


@step(version="1", name="data.validate", produces=Report, resources=Resources(cpu=1))
def validate(table: Table, *reference: Table, ctx: Context, config: ValidateConfig) -> Draft:
    """Check `table`; a second table is the reference. Metrics: rules_broken, rows_broken_max, shifted."""
    need("pyarrow", extra="data", why="to validate tables")
    from tenfold.data.tables import arrow, rules
    from tenfold.data.tables.check import check
    from tenfold.data.tables.draft import draft as drafted
    from tenfold.data.tables.drift import drift
    from tenfold.data.tables.profile import profiles

    given = arrow.to_arrow(table)
    base = arrow.to_arrow(reference[0]) if reference else None
    wanted = (
        rules.from_yaml(config.rules) if config.rules else drafted(given if base is None else base)
    )
    findings = check(given, wanted)
    drifts = (
        []
        if base is None
        else [
            drift(profile, given.column(name))
            for name, profile in profiles(base).items()
            if name in given.column_names
        ]
    )
    worst = max((each.broken / max(1, each.rows) for each in findings), default=0.0)
    ctx.metric("rules_broken", len(findings), unit="rules")
    ctx.metric("rows_broken_max", worst)
    ctx.metric("shifted", sum(each.shifted for each in drifts), unit="columns")
    if config.on_broken == "fail" and worst > config.max_broken_share:
        raise CheckFailed(
            f"{len(findings)} rules are broken, first of all {findings[0].rule}",
            where=table.name,
            seen=findings[0].examples[:3],
        )
    made = ctx.draft(Report.kind)
    made.write_json(
        Report.FILE,
        {
            "rows": given.num_rows,
            "broken": [each.to_json() for each in findings],
            "drift": [each.to_json() for each in drifts],
            "profile": {name: each.to_json() for name, each in profiles(given).items()},
        },
    )
    made.write_bytes(RULES, wanted.to_yaml().encode())
    return made
