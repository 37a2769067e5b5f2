"""States as a word and a sign: colour alone never says anything."""

from __future__ import annotations

SIGNS = {
    "fresh": "✓",
    "ran": "✓",
    "succeeded": "✓",
    "green": "✓",
    "skipped": "↷",
    "running": "◐",
    "waiting": "◌",
    "missing": "○",
    "stale": "◇",
    "unknown": "?",
    "red": "✕",
    "failed": "✕",
    "blocked": "■",
    "interrupted": "■",
    "refused": "✕",
}


def sign(state: str) -> str:
    """One character; a state nobody has drawn yet is a dot."""
    return SIGNS.get(state, "•")
