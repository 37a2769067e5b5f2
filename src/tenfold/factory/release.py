"""Moving aliases: what must be green, who moved what when, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tenfold.core.aliases import Evidence, parse_alias, refusals, rollback_target
from tenfold.core.facts import AliasMove, StepResult
from tenfold.core.graph import Graph
from tenfold.core.ports import Clock, Ledger
from tenfold.errors import PromotionRefused, UnknownName, UsageError
from tenfold.factory.judging import Judging
from tenfold.factory.lineage import Lineage


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A promotion the factory file asks for after every run."""

    alias: str
    asset: str
    requires: tuple[str, ...] = ()
    reason: str = ""


class Releases:
    def __init__(
        self, factory: str, graph: Graph, ledger: Ledger, clock: Clock, judging: Judging
    ) -> None:
        self._factory = factory
        self._graph = graph
        self._ledger = ledger
        self._clock = clock
        self._judging = judging
        self._lineage = Lineage(ledger)

    def promote(
        self,
        asset: str,
        alias: str,
        *,
        requires: Sequence[str] = (),
        digest: str | None = None,
        reason: str = "",
        actor: str,
    ) -> AliasMove:
        """Point an alias at the newest result of an asset, or at `digest`.

        Raises PromotionRefused with every reason; AliasConflict when somebody else moved it meanwhile.
        An alias that is already there stays, and its last move is returned.
        """
        parse_alias(alias)
        result = self._result(asset, digest)
        current = self._ledger.alias(alias)
        faults = refusals(self.evidence(asset, result, requires))
        if faults:
            raise PromotionRefused(
                f"{alias} may not move to {asset} {result.output.digest[:12]}:\n  "
                + "\n  ".join(faults),
                hint="mend what is red, or change the check if the rule is wrong",
            )
        if current is not None and current.digest == result.output.digest:
            return current
        return self._move(alias, asset, result, current, actor=actor, reason=reason or "promoted")

    def rollback(self, alias: str, *, reason: str = "", actor: str) -> AliasMove:
        """Point an alias back at what it stood at before. Raises UsageError when there is nothing."""
        parse_alias(alias)
        history = self._ledger.read(AliasMove, alias=alias)
        if not history:
            known = {move.alias for move in self._ledger.read(AliasMove)}
            raise UnknownName("alias", alias, known)
        current = history[-1]
        target = rollback_target([move.digest for move in history], current.digest)
        if target is None:
            raise UsageError(
                f"there is nothing further back for {alias} to point at", hint="promote another"
            )
        earlier = next(move for move in reversed(history) if move.digest == target)
        found = self._ledger.read(StepResult, key=earlier.key, digest=target)
        if not found:
            raise UsageError(f"what {alias} pointed at before has been collected", seen=target[:12])
        [result] = found
        return self._move(
            alias, earlier.asset, result, current, actor=actor, reason=reason or "rolled back"
        )

    def evidence(self, asset: str, result: StepResult, requires: Sequence[str]) -> list[Evidence]:
        """The verdicts of the asset, of all it was made from, and of the assets that must vouch for it."""
        found = []
        for name, made in self._made_from(asset, result):
            node = self._graph.nodes.get(name)
            if node is not None and node.checks:
                verdicts = self._judging.verdicts(node, made.key, made.run_id)
                found.append(Evidence(asset=name, verdicts=verdicts))
        for name in requires:
            node = self._graph[name]
            witness = self._witness(name, result.output.digest)
            if witness is None:
                found.append(
                    Evidence(asset=name, missing=f"not built from {result.output.digest[:12]} yet")
                )
                continue
            verdicts = self._judging.verdicts(node, witness.key, witness.run_id)
            found.append(Evidence(asset=name, verdicts=verdicts))
        return found

    def _made_from(self, asset: str, result: StepResult) -> Iterator[tuple[str, StepResult]]:
        """The result and its ancestors, each once under each name.

        Names are today's, by following the graph beside the record: an asset that was renamed, or first
        made by another factory on this ledger, is held to the checks it has here. Where the graph has
        changed its shape since, names are those on record.
        """
        seen: set[tuple[str, str]] = set()
        front = [(asset, result)]
        while front:
            name, made = front.pop()
            if (name, made.key) in seen:
                continue
            seen.add((name, made.key))
            yield name, made
            node = self._graph.nodes.get(name)
            recorded = [need for need, _ in made.inputs]
            needs = node.needs if node and len(node.needs) == len(recorded) else recorded
            for need, (_, digest) in zip(needs, made.inputs, strict=True):
                parents = self._ledger.read(StepResult, digest=digest, newest=True)
                own = [p for p in parents if (p.factory, p.asset) == (self._factory, need)]
                front.extend((need, parent) for parent in (own or parents)[:1])

    def _witness(self, name: str, digest: str) -> StepResult | None:
        """The newest result of an asset that is made from a digest, or from what that was made from.

        The second covers a measurement of the model before compression: it vouches for its lineage.
        """
        target = self._ledger.read(StepResult, digest=digest, newest=True, limit=1)
        family = self._lineage.digests(target[0]) if target else {digest}
        roots = {d for d in family if self._kind(d) == self._kind(digest)} or {digest}
        current = self._ledger.current(self._factory, name)
        others = self._ledger.read(StepResult, factory=self._factory, asset=name, newest=True)
        for result in [*([current] if current else []), *others]:
            if roots & self._lineage.digests(result):
                return result
        return None

    def _kind(self, digest: str) -> str | None:
        manifest = self._ledger.manifest(digest)
        return manifest.kind if manifest is not None else None

    def _result(self, asset: str, digest: str | None) -> StepResult:
        self._graph[asset]
        current = self._ledger.current(self._factory, asset)
        if current is not None and digest in (None, current.output.digest):
            return current
        found = self._ledger.read(
            StepResult,
            factory=self._factory,
            asset=asset,
            digest=digest or "",
            newest=True,
            limit=1,
        )
        if not found:
            raise UsageError(
                f"{asset} has not been built"
                + (f" with the digest {digest[:12]}" if digest else ""),
                hint=f"tenfold run {asset}",
            )
        return found[0]

    def _move(
        self,
        alias: str,
        asset: str,
        result: StepResult,
        current: AliasMove | None,
        *,
        actor: str,
        reason: str,
    ) -> AliasMove:
        previous = current.digest if current is not None else None
        move = AliasMove(
            alias=alias,
            digest=result.output.digest,
            previous=previous,
            asset=asset,
            key=result.key,
            actor=actor,
            reason=reason,
            at_s=self._clock.now(),
        )
        return self._ledger.move_alias(move, previous)
