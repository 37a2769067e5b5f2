"""What planning may ask about earlier runs, answered from the ledger and the store. Reads only.

Answers are remembered for the lifetime of the object: one plan sees one past.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenfold.core.facts import RunStep, StepResult
from tenfold.core.graph import Node
from tenfold.core.keys import canonical_json
from tenfold.core.ports import Blobs, Ledger
from tenfold.errors import ConfigError, TenfoldError
from tenfold.factory.judging import Judging


class Past:
    def __init__(
        self, factory: str, directory: Path, ledger: Ledger, blobs: Blobs, judging: Judging
    ) -> None:
        self._factory = factory
        self._directory = directory
        self._ledger = ledger
        self._blobs = blobs
        self._judging = judging
        self._results: dict[str, StepResult | None] = {}
        self._observed: dict[str, Any] = {}
        self._fetched = False

    def result(self, key: str) -> StepResult | None:
        if not self._fetched:  # most of what will be asked for, in one question
            self._fetched = True
            self._results.update((r.key, r) for r in self._ledger.settled(self._factory))
        if key not in self._results:
            self._results[key] = self._ledger.result(key)
        return self._results[key]

    def last(self, asset: str) -> StepResult | None:
        return self._ledger.current(self._factory, asset)

    def intact(self, result: StepResult) -> bool:
        return all(self._blobs.has(ref) for ref in result.output.files.values())

    def observed(self, node: Node) -> Any:
        if node.step.observe is None:
            return None
        if node.name not in self._observed:
            try:
                seen = node.step.observe(node.config, self._directory)
                canonical_json(seen)
            except TenfoldError as error:
                error.where = error.where or node.where or node.name
                raise
            except Exception as error:
                raise ConfigError(
                    f"{node.step.name} could not look at its source: {error}",
                    where=node.where or node.name,
                ) from error
            self._observed[node.name] = seen
        return self._observed[node.name]

    def red(self, node: Node, result: StepResult) -> str | None:
        return self._judging.blocking(node, result.key)

    def veto(self, node: Node, row: RunStep) -> str | None:
        """The same question about a row of the run that is going on."""
        return self._judging.blocking(node, row.key) if row.key is not None else None
