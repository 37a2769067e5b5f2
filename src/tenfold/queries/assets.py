"""One asset by name, digest (or its beginning) or alias, with everything that is known about it."""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.core.aliases import is_alias
from tenfold.core.facts import Metric, StepResult, Verdict
from tenfold.errors import UnknownName
from tenfold.queries.lineage import Lineage, lineage, used_by
from tenfold.queries.past import Past, newest_by_asset
from tenfold.queries.runs import Curve, curves

SHORTEST_PREFIX = 6
"""Characters of a digest that must be given at least; fewer would match by accident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """A result that was built from an asset."""

    asset: str
    digest: str
    step: str
    kind: str
    finished_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetView:
    result: StepResult
    aliases: tuple[str, ...]
    metrics: tuple[Metric, ...]
    findings: tuple[Metric, ...]
    """What reports built from this asset measured about it."""
    verdicts: tuple[Verdict, ...]
    """Of the asset and of the reports about it."""
    curves: tuple[Curve, ...]
    lineage: Lineage
    used_by: tuple[Use, ...]
    versions: tuple[StepResult, ...]
    """Every result under the same name, newest first."""
    size_bytes: int

    @property
    def digest(self) -> str:
        return self.result.output.digest


def resolve(past: Past, name: str) -> StepResult:
    """The result behind an alias, an asset name or a digest. Raises UnknownName with the nearest."""
    if is_alias(name):
        aliases = past.aliases()
        moves = aliases.get(name)
        if not moves or moves[-1].digest is None:
            raise UnknownName("alias", name, aliases)
        found = past.result(moves[-1].key) or past.made(moves[-1].digest)
        if found is None:
            raise UnknownName("alias", name, (), hint="what it points at was forgotten")
        return found
    results = past.results()
    newest = newest_by_asset(results)
    if name in newest:
        # What a run last met under the name, not what was built last: a setting may have been put back.
        return past.ledger.current(newest[name].factory, name) or newest[name]
    if len(name) >= SHORTEST_PREFIX:
        matches = [r for r in results if r.output.digest.startswith(name)]
        if matches and len({r.output.digest for r in matches}) == 1:
            return matches[-1]
        if matches:
            raise UnknownName("asset", name, (), hint="several digests begin like this: give more")
    raise UnknownName("asset", name, [*newest, *past.aliases()])


def asset_view(past: Past, name: str) -> AssetView:
    result = resolve(past, name)
    digest = result.output.digest
    users = used_by(past, digest)
    reports = [user for user in users if user.output.kind == "report"]
    keys = [result.key, *(report.key for report in reports)]
    scalars = past.scalars(keys)
    verdicts = past.verdicts(keys)
    return AssetView(
        result=result,
        aliases=past.pointing_at(digest),
        metrics=tuple(scalars.get(result.key, {}).values()),
        findings=tuple(_newest(scalars, reports)),
        verdicts=tuple(v for key in keys for v in verdicts.get(key, ())),
        curves=tuple(curves(past, None, [result.key])),
        lineage=lineage(past, result),
        used_by=tuple(
            Use(
                asset=user.asset,
                digest=user.output.digest,
                step=user.step,
                kind=user.output.kind,
                finished_at_s=user.finished_at_s,
            )
            for user in users
        ),
        versions=tuple(
            sorted(
                past.ledger.read(StepResult, asset=result.asset),
                key=lambda r: r.finished_at_s,
                reverse=True,
            )
        ),
        size_bytes=result.output.num_bytes,
    )


def _newest(scalars: dict[str, dict[str, Metric]], reports: list[StepResult]) -> list[Metric]:
    """Of each report's metrics the newest, reports by name."""
    latest = newest_by_asset(reports)
    return [
        metric
        for _, report in sorted(latest.items())
        for metric in scalars.get(report.key, {}).values()
    ]
