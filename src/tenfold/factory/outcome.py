"""What became of a run: a value for scripts, notebooks and the command line. Nothing is looked up here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tenfold.core.facts import AliasMove, Run, RunStep
from tenfold.errors import UnknownName, UsageError


@dataclass(frozen=True, kw_only=True, repr=False)
class RunOutcome:
    """What became of a run."""

    run: Run
    steps: tuple[RunStep, ...]
    released: tuple[AliasMove, ...] = ()
    """Aliases that moved."""
    refused: tuple[str, ...] = ()
    """Why an alias the factory releases did not move."""

    @property
    def run_id(self) -> str:
        return self.run.id

    @property
    def status(self) -> str:
        return self.run.status

    @property
    def ok(self) -> bool:
        return self.status == "succeeded" and not self.refused and not self.blocked

    @property
    def unchanged(self) -> bool:
        return all(step.status == "skipped" for step in self.steps)

    @property
    def blocked(self) -> tuple[str, ...]:
        return tuple(step.asset for step in self.steps if step.status == "blocked")

    def __getitem__(self, asset: str) -> RunStep:
        for step in self.steps:
            if step.asset == asset:
                return step
        raise UnknownName("asset", asset, [step.asset for step in self.steps])

    def digest(self, asset: str) -> str:
        found = self[asset].digest
        if found is None:
            raise UsageError(f"{asset} has no digest: it {self[asset].status}")
        return found

    def to_dict(self) -> dict[str, Any]:
        return {
            "run": asdict(self.run),
            "steps": [asdict(step) for step in self.steps],
            "released": [asdict(move) for move in self.released],
            "refused": list(self.refused),
            "unchanged": self.unchanged,
        }

    def __repr__(self) -> str:
        return f"<run {self.run_id} {self.status}, assets: {len(self.steps)}>"

    def __str__(self) -> str:
        """A line per asset, then what was released and what was not."""
        wide = max((len(step.asset) for step in self.steps), default=0)
        lines = [
            f"{s.asset:{wide}}  {s.status:9}  {_seconds(s) or s.error or s.reason}".rstrip()
            for s in self.steps
        ]
        return "\n".join([*lines, *self._aliases(), f"run {self.run_id} {self.status}"])

    def _aliases(self) -> list[str]:
        moved = [f"{m.alias} -> {m.asset} {(m.digest or '')[:12]}" for m in self.released]
        return [*moved, *self.refused]

    def _repr_html_(self) -> str:
        from html import escape  # notebooks only

        rows = "".join(
            f"<tr><td>{escape(s.status)}</td><td><b>{escape(s.asset)}</b></td>"
            f"<td><code>{(s.digest or '')[:12]}</code></td>"
            f"<td style='text-align:right'>{_seconds(s)}</td><td>{escape(s.error or s.reason)}</td></tr>"
            for s in self.steps
        )
        return (
            f"<b>run {escape(self.run_id)}</b>: {escape(self.status)}"
            f"<table><tr><th>status</th><th>asset</th><th>digest</th><th>time</th><th></th></tr>{rows}</table>"
            + "".join(f"<div>{escape(line)}</div>" for line in self._aliases())
        )


def _seconds(row: RunStep) -> str:
    if row.started_at_s is None or row.finished_at_s is None:
        return ""
    return f"{row.finished_at_s - row.started_at_s:.1f} s"
