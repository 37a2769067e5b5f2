"""Leases: two processes never make the same asset at once.

A lease lives in the ledger and is renewed by a heartbeat. One that is not renewed runs out; one whose
holder is a dead process of this very place (`core.place`) is taken over at once, so that a restart after `kill -9` does
not wait. Expiry compares the clocks of two hosts: they must agree to well within `TTL_S`. Knows keys, not
assets.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from tenfold.core.place import here
from tenfold.core.ports import Clock, Ledger

TTL_S = 30.0
_POLL_S = 0.5


class Interrupted(BaseException):
    """Raised inside a step when the run is being stopped; not an Exception, so steps let it through."""


class Leases:
    """The leases of one process."""

    def __init__(self, ledger: Ledger, clock: Clock, ttl_s: float = TTL_S) -> None:
        self._ledger = ledger
        self._clock = clock
        self._ttl_s = ttl_s
        self._held: set[str] = set()
        self._lock = threading.Condition()
        """Around `_held` and what the ledger says about it, so that the two never disagree."""
        self._heart: threading.Thread | None = None
        self.owner = f"{here()}:{os.getpid()}:{_born(os.getpid())}:{uuid.uuid4().hex[:8]}"

    @contextlib.contextmanager
    def hold(
        self, key: str, on_wait: Callable[[str], None], stopping: threading.Event | None = None
    ) -> Iterator[None]:
        """Wait for the lease on a key, keep it alive, give it back. `on_wait` hears who has it.

        Threads of this process wait for each other too: two assets may well be the same work. Raises
        Interrupted when `stopping` is set while it waits.
        """
        stop = stopping or threading.Event()
        told = None
        while (holder := self._acquire(key)) is not None:
            if holder != told:
                on_wait(describe(holder))
                told = holder
            if stop.wait(_POLL_S):
                raise Interrupted
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(key)
                self._ledger.release(key, self.owner)
                if not self._held:
                    self._lock.notify_all()  # the heart may stop

    def _acquire(self, key: str) -> str | None:
        """Take the lease, and have it kept alive; None on success, else who has it."""
        with self._lock:
            if key in self._held:
                return self.owner
            holder = self._ledger.acquire(key, self.owner, self._ttl_s, self._clock.now())
            if holder is not None and is_dead(holder):
                self._ledger.release(key, holder)
                holder = self._ledger.acquire(key, self.owner, self._ttl_s, self._clock.now())
            if holder is None:
                self._held.add(key)
                if self._heart is None:
                    self._heart = threading.Thread(target=self._beat, name="leases", daemon=True)
                    self._heart.start()
            return holder

    def _beat(self) -> None:
        with self._lock:
            while self._held:
                if self._lock.wait(self._ttl_s / 3):
                    continue
                for key in self._held:
                    with contextlib.suppress(Exception):  # the ledger is away: try at the next beat
                        self._ledger.acquire(key, self.owner, self._ttl_s, self._clock.now())
            self._heart = None


def describe(owner: str) -> str:
    place, pid, *_ = owner.split(":")
    return f"process {pid} on {place.partition('~')[0]}"


def is_dead(owner: str) -> bool:
    """True only when the holder ran where this process can see it and surely no longer does. One of an
    earlier boot, or of another container with this host's name, is left to run out."""
    place, pid, born, *_ = [*owner.split(":"), "", "", ""]
    if place != here() or not pid.isdigit():
        return False
    return not process_alive(int(pid), born)


def process_alive(pid: int, born: str = "") -> bool:
    """A process with this id exists and, where it can be told, is the one that was born then."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not born or _born(pid) == born


def _born(pid: int) -> str:
    """Start time in clock ticks since boot, so that a reused process id is not mistaken; '' elsewhere."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] == "Z" else fields[19]
    except (OSError, IndexError):
        return ""
