"""Ancestors of a result, by output digests. Reads the ledger only."""

from __future__ import annotations

from collections.abc import Iterator

from tenfold.core.facts import StepResult
from tenfold.core.ports import Ledger


class Lineage:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def ancestors(self, result: StepResult) -> Iterator[StepResult]:
        """What a result was made from, nearest first, each once. Collected ancestors are left out."""
        seen: set[tuple[str, str]] = set()
        front = list(result.inputs)
        while front:
            asset, digest = front.pop(0)
            if (asset, digest) in seen:
                continue
            seen.add((asset, digest))
            found = self._made(asset, digest)
            if found is not None:
                yield found
                front.extend(found.inputs)

    def _made(self, asset: str, digest: str) -> StepResult | None:
        """What made a digest under a name: two assets may have the same bytes and other checks.

        Under any name, for an asset that was renamed since.
        """
        found = self._ledger.read(StepResult, digest=digest, asset=asset, newest=True, limit=1)
        found = found or self._ledger.read(StepResult, digest=digest, newest=True, limit=1)
        return found[0] if found else None

    def digests(self, result: StepResult) -> set[str]:
        """The digests among its ancestors and its own."""
        return {result.output.digest, *(a.output.digest for a in self.ancestors(result))}
