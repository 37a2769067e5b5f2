"""Models: where the aliases point and pointed, and every version with its figures and checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.core.facts import AliasMove, Metric, Verdict
from tenfold.queries.past import Past


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasView:
    alias: str
    asset: str
    digest: str | None
    moved_at_s: float
    actor: str
    reason: str
    history: tuple[AliasMove, ...]
    """Newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    digest: str
    asset: str
    step: str
    run_id: str
    finished_at_s: float
    num_bytes: int
    meta: Mapping[str, Any]
    aliases: tuple[str, ...]
    metrics: Mapping[str, Metric]
    """By name: its own, and those of the reports about it."""
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsView:
    aliases: tuple[AliasView, ...]
    versions: tuple[ModelVersion, ...]
    """Newest first."""


def models_view(past: Past, limit: int = 50) -> ModelsView:
    results = past.results()
    moves = past.aliases()
    pointed = {m.digest for history in moves.values() for m in history if m.digest}
    models = [r for r in results if r.output.kind == "model" or r.output.digest in pointed]
    models.sort(key=lambda r: r.finished_at_s, reverse=True)
    seen: dict[str, Any] = {}
    for model in models:
        seen.setdefault(model.output.digest, model)
    chosen = list(seen.values())[:limit]
    reports: dict[str, list[str]] = {}
    for result in results:
        if result.output.kind == "report":
            for _, digest in result.inputs:
                reports.setdefault(digest, []).append(result.key)
    keys = [k for m in chosen for k in (m.key, *reports.get(m.output.digest, ()))]
    scalars, verdicts = past.scalars(keys), past.verdicts(keys)
    versions = []
    for model in chosen:
        digest = model.output.digest
        own = (model.key, *reports.get(digest, ()))
        versions.append(
            ModelVersion(
                digest=digest,
                asset=model.asset,
                step=model.step,
                run_id=model.run_id,
                finished_at_s=model.finished_at_s,
                num_bytes=model.output.num_bytes,
                meta=dict(model.output.meta),
                aliases=tuple(a for a, history in moves.items() if history[-1].digest == digest),
                metrics={m.name: m for key in own for m in scalars.get(key, {}).values()},
                verdicts=tuple(v for key in own for v in verdicts.get(key, ())),
            )
        )
    return ModelsView(aliases=tuple(_alias(m) for m in moves.values()), versions=tuple(versions))


def _alias(moves: list[AliasMove]) -> AliasView:
    last = moves[-1]
    return AliasView(
        alias=last.alias,
        asset=last.asset,
        digest=last.digest,
        moved_at_s=last.at_s,
        actor=last.actor,
        reason=last.reason,
        history=tuple(reversed(moves)),
    )
