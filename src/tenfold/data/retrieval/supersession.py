"""Which record took whose place: chains followed, circles ignored, and what that does to scores.

A superseded record never ranks above the ones that took its place, however well it matches: its successors are
lifted to its score first, then it is put below them. Within a circle nobody supersedes anybody. Knows row numbers only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Supersession:
    """A graph from old records to the ones that took their place."""

    def __init__(self, edges: Iterable[tuple[int, int]]) -> None:
        """`edges`: (old, new) rows. The records of one circle stand and fall together: whoever takes the place of
        one of them takes that of all, and whoever is superseded by one is by all."""
        after: dict[int, set[int]] = {}
        for old, new in edges:
            if old != new:
                after.setdefault(old, set()).add(new)
        circle = _circles(after)
        members: dict[int, list[int]] = {}
        for row, number in circle.items():
            members.setdefault(number, []).append(row)
        beyond: dict[int, set[int]] = {}
        for old, news in after.items():
            leaving = {circle[new] for new in news} - {circle[old]}
            beyond.setdefault(circle[old], set()).update(leaving)
        self._after: dict[int, tuple[int, ...]] = {
            old: tuple(sorted(new for number in beyond[circle[old]] for new in members[number]))
            for old in circle
            if beyond.get(circle[old])
        }

    def __contains__(self, row: int) -> bool:
        """Whether the record was superseded."""
        return row in self._after

    def successors(self, row: int) -> tuple[int, ...]:
        """Those that took its place directly, ascending."""
        return self._after.get(row, ())

    def newest(self, row: int) -> tuple[int, ...]:
        """The ends of the chains that begin here, ascending; the row itself where it still stands."""
        reached = self._reached([row])
        return tuple(sorted(one for one in reached if one not in self._after))

    def _reached(self, rows: Iterable[int]) -> set[int]:
        """The rows, and everything that took their places, at any remove."""
        reached: set[int] = set()
        waiting = list(rows)
        while waiting:
            row = waiting.pop()
            if row not in reached:
                reached.add(row)
                waiting += self._after.get(row, ())
        return reached

    def applied(
        self, scores: Mapping[int, float], demote: float, allowed: Iterable[int] | None = None
    ) -> dict[int, float]:
        """Scores with every superseded record below its successors, which join where only it was found.

        `demote`: what its score is multiplied with, below 1. `allowed`: the rows that may join (None: all);
        of a record whose successors may not, only the score sinks.
        """
        may = None if allowed is None else set(allowed)
        reached = [
            row for row in self._reached(scores) if row in scores or may is None or row in may
        ]
        inside = set(reached)
        links = {row: self._nearest(row, inside) for row in reached if row in self._after}
        order = _oldest_first(reached, links)
        made = {row: scores.get(row, 0.0) for row in reached}
        for row in order:
            for new in links.get(row, ()):
                made[new] = max(made[new], made[row])
        for row in reversed(order):
            if row in self._after:
                ceiling = min((made[new] for new in links[row]), default=made[row])
                made[row] = min(made[row], ceiling) * demote
        return made

    def _nearest(self, row: int, inside: set[int]) -> tuple[int, ...]:
        """The nearest successors that are inside: who is left out is stepped over."""
        found: set[int] = set()
        waiting, seen = list(self._after.get(row, ())), set()
        while waiting:
            new = waiting.pop()
            if new in seen:
                continue
            seen.add(new)
            if new in inside:
                found.add(new)
            else:
                waiting += self._after.get(new, ())
        return tuple(sorted(found))


def _oldest_first(rows: Iterable[int], links: Mapping[int, tuple[int, ...]]) -> list[int]:
    """Every row before its successors (Kahn 1962)."""
    waits = dict.fromkeys(rows, 0)
    for news in links.values():
        for new in news:
            waits[new] += 1
    ready = sorted(row for row, number in waits.items() if not number)
    order = []
    while ready:
        row = ready.pop()
        order.append(row)
        for new in links.get(row, ()):
            waits[new] -= 1
            if not waits[new]:
                ready.append(new)
    return order


def _circles(after: Mapping[int, set[int]]) -> dict[int, int]:
    """Node -> a number that is shared exactly by those who reach each other (Tarjan 1972, without recursion)."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    circle: dict[int, int] = {}
    stack: list[int] = []
    for root in sorted({*after, *(new for news in after.values() for new in news)}):
        if root in index:
            continue
        work = [(root, iter(sorted(after.get(root, ()))))]
        index[root] = low[root] = len(index)
        stack.append(root)
        while work:
            node, news = work[-1]
            for new in news:
                if new not in index:
                    index[new] = low[new] = len(index)
                    stack.append(new)
                    work.append((new, iter(sorted(after.get(new, ())))))
                    break
                if new not in circle:
                    low[node] = min(low[node], index[new])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    while True:
                        member = stack.pop()
                        circle[member] = node
                        if member == node:
                            break
    return circle
