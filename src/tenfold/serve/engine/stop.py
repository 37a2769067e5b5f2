"""Stop strings: an answer ends before the first one, wherever the pieces happen to be cut.

The end of what is known may be the beginning of a stop string; it is held back until it is not. It knows
text only.
"""

from __future__ import annotations

from collections.abc import Sequence


class StopStrings:
    """Feed pieces, get back what may be shown. The match that is complete first wins, then the longest:
    that makes the result independent of where the pieces are cut."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(mark for mark in stop if mark)
        self._held = ""
        self.found = False

    def push(self, text: str) -> str:
        """Text that can no longer belong to a stop string. After a match `found` is set."""
        if not self._stop:
            return text
        if self.found:
            return ""
        seen = self._held + text
        first: tuple[int, int] | None = None
        for mark in self._stop:
            at = seen.find(mark)
            if at >= 0 and (first is None or (at + len(mark), at) < first):
                first = (at + len(mark), at)
        if first is not None:
            self.found, self._held = True, ""
            return seen[: first[1]]
        keep = self._tail(seen)
        self._held = seen[len(seen) - keep :]
        return seen[: len(seen) - keep]

    def flush(self) -> str:
        """What was held back, when the answer ends without a match."""
        held, self._held = self._held, ""
        return held

    def _tail(self, seen: str) -> int:
        """Length of the longest end of `seen` that begins a stop string."""
        longest = max(len(mark) for mark in self._stop) - 1
        for size in range(min(longest, len(seen)), 0, -1):
            tail = seen[-size:]
            if any(mark.startswith(tail) for mark in self._stop):
                return size
        return 0
