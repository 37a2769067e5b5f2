"""CPU time of process trees, exact across forks and deaths.

Linux tells it in /proc/<pid>/stat: all threads in utime and stime, finished and waited-for children in
cutime and cstime. Live descendants are found and added. Elsewhere only this process and its finished
children are seen (getrusage). Knows nothing about energy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(slots=True)
class _Seen:
    """A live process at its last reading, in clock ticks. `base` is what it had before it counted."""

    parent: int
    own: int
    reaped: int
    base: int

    @property
    def total(self) -> int:
        return self.own + self.reaped


class CpuClock:
    """CPU seconds used since it was made by the given processes and all their descendants.

    A process that dies keeps its time; one that joins late counts from its start when it was born after
    the clock, else from when it was first seen. What a process does between its last reading and its
    death is known only when a watched parent waits for it.
    """

    def __init__(self, pids: Callable[[], Sequence[int]]) -> None:
        self._pids = pids
        self._linux = (PROC / "self" / "stat").exists()
        self._kept = 0
        self._seen: dict[tuple[int, int], _Seen] = {}
        if self._linux:
            self._tick = os.sysconf("SC_CLK_TCK")
            self._born = 0
            self._update()
            self._born = _boot_ticks(self._tick)
        else:
            self._start_s = _rusage_s()

    @property
    def sees_other_processes(self) -> bool:
        return self._linux

    def read(self) -> float:
        """Cumulative CPU seconds; never goes back."""
        if not self._linux:
            return _rusage_s() - self._start_s
        self._update()
        live = sum(seen.total - seen.base for seen in self._seen.values())
        return (self._kept + live) / self._tick

    def _update(self) -> None:
        now = {key: stat for key, stat in _tree(self._pids()) if stat is not None}
        reaped_since: dict[int, int] = {}
        for (pid, started), stat in now.items():
            parent, own, reaped = stat
            seen = self._seen.get((pid, started))
            if seen is None:
                # Born after the clock (or with it, at the first update): all of its time is ours.
                fresh = self._born > 0 and started >= self._born
                base = 0 if fresh else own + reaped
                self._seen[(pid, started)] = _Seen(parent, own, reaped, base)
                continue
            reaped_since[pid] = reaped - seen.reaped
            seen.own, seen.reaped, seen.parent = (
                max(own, seen.own),
                max(reaped, seen.reaped),
                parent,
            )
        self._bury([key for key in self._seen if key not in now], reaped_since)

    def _bury(self, gone: Iterable[tuple[int, int]], reaped_since: dict[int, int]) -> None:
        """Keep the time of the dead, unless a watched parent has inherited it by waiting for them."""
        for key in sorted(gone, key=lambda key: -self._seen[key].total):
            dead = self._seen.pop(key)
            inherited = reaped_since.get(dead.parent, 0)
            if dead.total > 0 and inherited >= dead.total:
                reaped_since[dead.parent] = inherited - dead.total
                # What it had before it counted now sits in the parent's sum as well: take it out.
                self._kept -= dead.base
            else:
                self._kept += dead.total - dead.base


def machine_busy_s() -> float:
    """CPU seconds all processes of this machine have used since boot; 0 where that is not told."""
    try:
        first = (PROC / "stat").read_text().split("\n", 1)[0].split()
    except OSError:
        return 0.0
    # user nice system idle iowait irq softirq steal: guest time is already inside user (man 5 proc).
    ticks = [int(field) for field in first[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4] - ticks[7]) / os.sysconf("SC_CLK_TCK")


def _tree(pids: Iterable[int]) -> Iterable[tuple[tuple[int, int], tuple[int, int, int] | None]]:
    """((pid, start ticks), (parent, own ticks, reaped ticks)) of the processes and their descendants."""
    waiting, done = list(pids), set()
    while waiting:
        pid = waiting.pop()
        if pid in done:
            continue
        done.add(pid)
        stat = _stat(pid)
        if stat is None:
            continue
        started, parent, own, reaped = stat
        yield (pid, started), (parent, own, reaped)
        waiting.extend(_children(pid))


def _stat(pid: int) -> tuple[int, int, int, int] | None:
    """(start, parent, utime + stime, cutime + cstime) in ticks; None when there is no such process."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The name is in brackets and may hold anything, brackets and spaces included.
    fields = text[text.rindex(")") + 2 :].split()
    parent, started = int(fields[1]), int(fields[19])
    utime, stime, cutime, cstime = (int(field) for field in fields[11:15])
    return started, parent, utime + stime, cutime + cstime


def _children(pid: int) -> list[int]:
    """Live children of all threads of a process; empty when it is gone."""
    found: list[int] = []
    try:
        for task in os.listdir(PROC / str(pid) / "task"):
            found += map(int, (PROC / str(pid) / "task" / task / "children").read_text().split())
    except OSError:
        return found
    return found


def _boot_ticks(tick: int) -> int:
    import time

    # A process that starts within the same tick as the clock is taken to be ours.
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * tick)


def _rusage_s() -> float:
    import resource

    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)
