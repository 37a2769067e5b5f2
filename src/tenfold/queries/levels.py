"""Levels: how far each thing is from a source, so that a drawing or a list can put it after its needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def levels_of(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Longest distance of each name from a source. Names that are needed but not there count as 0."""
    levels: dict[str, int] = {}
    stack = [(name, False) for name in reversed(list(needs))]
    entered: set[str] = set()
    while stack:
        name, leaving = stack.pop()
        if name in levels:
            continue
        if leaving or name in entered:
            levels[name] = 1 + max((levels.get(n, -1) for n in needs.get(name, ())), default=-1)
            continue
        entered.add(name)
        stack.append((name, True))
        stack.extend((need, False) for need in needs.get(name, ()) if need in needs)
    return levels
