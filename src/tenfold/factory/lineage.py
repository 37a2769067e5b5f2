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
        seen: set[str] = set()
        front = [digest for _, digest in result.inputs]
        while front:
            digest = front.pop(0)
            if digest in seen:
                continue
            seen.add(digest)
            found = self._ledger.read(StepResult, digest=digest, newest=True, limit=1)
            if found:
                yield found[0]
                front.extend(parent for _, parent in found[0].inputs)

    def digests(self, result: StepResult) -> set[str]:
        """The digests among its ancestors and its own."""
        return {result.output.digest, *(a.output.digest for a in self.ancestors(result))}
