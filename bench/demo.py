"""How long the demo takes on this machine, stage by stage, what came out of it, and the run after it.

Runs the command as a newcomer does, in a process of its own and a fresh folder; what came out is read
from the ledger it leaves behind.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
from harness import Figure, Figures, spread
from tenfold.core.facts import Metric
from tenfold.factory import Factory

QUICK = (
    "assets.base.config.depth=2",
    "assets.base.config.steps=4",
    "assets.base.config.batch=4",
    "assets.quality.checks=[]",  # four steps of training pass no gate
    "assets.quality.config.max_tokens=2000",
    "assets.quality.config.ngram_tokens=100000",
    "assets.compression.config.rounds=1",
    "assets.compression.config.max_tokens=2000",
    "assets.compression.config.new_tokens=8",
    "assets.leaks.config.samples=8",
    "assets.rehearsal.config.requests=32",
)
RESULTS = (
    # key, asset, metric, what it is
    ("demo.perplexity", "quality", "perplexity", "per token, on held-out documents"),
    ("demo.bits_per_byte", "quality", "bits_per_byte", "of the trained model, held-out documents"),
    ("demo.bits_per_byte.ngram", "quality", "bits_per_byte.ngram", "of a Kneser-Ney n-gram model, same text"),
    ("demo.bits_per_byte.unigram", "quality", "bits_per_byte.unigram", "of a unigram model, same text"),
    ("demo.train_tokens_per_s", "base", "tokens_per_s", "while training"),
    ("demo.bytes_ratio", "compression", "bytes_ratio", "size after int8, over before"),
    ("demo.speed_ratio", "compression", "speed_ratio", "speed after int8, over before"),
    ("demo.perplexity_ratio", "compression", "perplexity_ratio", "perplexity after int8, over before"),
    ("demo.requests_per_s.off", "rehearsal", "requests_per_s.off", "replay with all tiers off"),
    ("demo.requests_per_s.on", "rehearsal", "requests_per_s.on", "the same replay with tiers on"),
    ("demo.speedup", "rehearsal", "speedup", "tiers on, over off"),
    ("demo.joules_per_request.off", "rehearsal", "joules_per_request.off", "idle power included, tiers off"),
    ("demo.joules_per_request.on", "rehearsal", "joules_per_request.on", "idle power included, tiers on"),
)  # fmt: skip


def measure(quick: bool) -> Figures:
    sets = QUICK if quick else ()
    how = "`tenfold demo --json` in a fresh folder, whole process"
    if quick:
        how = f"SHORTENED, NOT comparable with the full run ({', '.join(sets)}): {how}"
    with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as folder:
        home = Path(folder) / "demo"
        first, outcome = _demo(home, sets)
        refused = f"; not released: {'; '.join(outcome['refused'])}" if outcome["refused"] else ""
        yield "demo_s", Figure(value=first, unit="s", method=how + refused)
        for step in outcome["steps"]:
            wall_s = step["finished_at_s"] - step["started_at_s"]
            yield (
                f"demo_s.{step['asset']}",
                Figure(value=wall_s, unit="s", method=f"step {step['step']} within the demo"),
            )
        yield from _results(home, outcome["run"]["id"], quick)
        again = []
        for _ in range(3 if quick else 5):
            wall_s, outcome = _demo(home, sets)
            if not outcome["unchanged"]:
                raise RuntimeError(f"the second run changed something: {outcome['steps']}")
            again.append(wall_s)
        yield (
            "second_run_s",
            spread(again, "s", "the same demo again, nothing changed, whole process; median"),
        )


def _demo(home: Path, sets: tuple[str, ...]) -> tuple[float, dict[str, Any]]:
    """Seconds of wall time, and what it says came out."""
    words = [word for path in sets for word in ("--set", path)]
    # 1: it ran, but a check kept the model from being released. That is a result, and it is written down.
    ended = harness.child("-m", "tenfold", "demo", home, "--json", *words, good=(0, 1))
    outcome = json.loads(ended.stdout).get("outcome")
    if outcome is None or outcome["run"]["status"] != "succeeded":
        raise RuntimeError(f"the demo failed: {ended.stdout[-2000:]}")
    return ended.wall_s, outcome


def _results(home: Path, run_id: str, quick: bool) -> Iterator[tuple[str, Figure]]:
    note = " (of the shortened demo)" if quick else ""
    with Factory.load(home / "factory.yaml") as factory:
        for key, asset, metric, what in RESULTS:
            found = [
                fact
                for fact in factory.ledger.read(Metric, run_id=run_id, asset=asset, name=metric)
                if fact.step is None
            ]
            if found:
                unit = (found[-1].unit or "x").replace("×", "x")
                yield key, Figure(value=found[-1].value, unit=unit, method=what + note)
        results = [factory.result(name) for name in factory.graph.order]
    usages = [result.usage for result in results if result is not None]
    methods = sorted({usage.energy_method for usage in usages})
    yield (
        "demo.joules",
        Figure(
            value=sum(usage.joules for usage in usages),
            unit="J",
            method=f"energy of all steps, method: {', '.join(methods)}{note}",
        ),
    )
