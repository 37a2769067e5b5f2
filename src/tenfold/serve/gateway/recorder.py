"""Request events on their way to the ledger: a bounded queue, and a thread that empties it in batches.

The event loop only appends to a deque; SQLite, meters and keys are read and written by the thread. When
the ledger cannot keep up or is gone, requests go on being answered: events wait, then are dropped and
counted, never silently. It knows no protocol.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tenfold.core.ports import Ledger
from tenfold.errors import InfrastructureError
from tenfold.serve.gateway.energy import EnergyBook
from tenfold.serve.gateway.exchange import Exchange

log = logging.getLogger("tenfold.gateway")


class Recorder:
    """Owns the ledger of a running gateway: after `start`, only its thread touches it."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        source: str,
        max_events: int,
        flush_s: float,
        refresh: Callable[[Ledger], None],
        refresh_s: float,
        open_book: Callable[[], EnergyBook] | None,
    ) -> None:
        """`refresh` is called with the ledger every `refresh_s` (the key ring reads its table)."""
        self._ledger = ledger
        self._source = source
        self._max_events = max_events
        self._flush_s = flush_s
        self._refresh = refresh
        self._refresh_s = refresh_s
        self._open_book = open_book
        self.book: EnergyBook | None = None
        self._queue: deque[Exchange] = deque()
        self._facts: list[Any] = []
        self._under_way: set[Exchange] = set()
        self._stopping = False
        self._changed = threading.Condition()
        self._asked = 0
        self._settled_up_to = 0
        self._thread: threading.Thread | None = None
        self._broken = False
        self._warned_drops = 0
        self.num_dropped = 0
        self.num_written = 0
        self.num_failed_writes = 0

    # Called on the event loop.

    def begin(self, exchange: Exchange) -> None:
        """A generation has started: until it ends it may be given energy."""
        self._under_way.add(exchange)

    def end(self, exchange: Exchange) -> None:
        """Never blocks. An event that finds the queue full is dropped and counted."""
        self._under_way.discard(exchange)
        if len(self._queue) + len(self._facts) >= self._max_events:
            self.num_dropped += 1
            return
        self._queue.append(exchange)

    @property
    def num_waiting(self) -> int:
        return len(self._queue) + len(self._facts)

    # Called once, before and after.

    def start(self) -> None:
        """Raises LedgerError when the first refresh fails: better not to start than to let all in."""
        self._refresh(self._ledger)
        if self._open_book is not None:
            self.book = self._open_book()
        self._thread = threading.Thread(target=self._run, name="tenfold-recorder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, and return when it is written or has failed for good."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    # Called from any thread but the loop's.

    def settle(self, timeout_s: float) -> None:
        """Close the window now, so that totals are those of this moment. Gives up after `timeout_s`."""
        with self._changed:
            self._asked += 1
            asked = self._asked
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._settled_up_to >= asked or self._stopping, timeout_s
            )

    # The thread.

    def _run(self) -> None:
        refreshed = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopping or self._asked > self._settled_up_to, self._flush_s
                )
                if self._stopping:
                    break
                asked = self._asked
            self._flush()
            with self._changed:
                self._settled_up_to = asked
                self._changed.notify_all()
            if time.monotonic() - refreshed >= self._refresh_s:
                refreshed = time.monotonic()
                self._guarded(lambda: self._refresh(self._ledger), "read the keys")
        self._flush(last=True)
        if self._facts:
            self.num_dropped += len(self._facts)
            log.error("%d facts could not be written before the end", len(self._facts))

    def _flush(self, *, last: bool = False) -> None:
        finished = [self._queue.popleft() for _ in range(len(self._queue))]
        try:
            self._facts.extend(self._settled(finished, last=last))
        except Exception:  # a meter that breaks must not cost the events
            log.exception("the energy of %d requests could not be told", len(finished))
            self._facts.extend(self._unmetered(finished))
        if self._facts and self._guarded(self._append, "write events"):
            self.num_written += len(self._facts)
            self._facts = []
        if self.num_dropped > self._warned_drops:
            log.warning("%d request events dropped: the queue is full", self.num_dropped)
            self._warned_drops = self.num_dropped

    def _append(self) -> None:
        """Write all facts at once. One that no ledger can hold must not keep the others out for ever."""
        try:
            self._ledger.append(self._facts)
        except InfrastructureError:
            raise  # the ledger's fault: all of them wait
        except Exception:
            for fact in list(self._facts):
                try:
                    self._ledger.append([fact])
                except InfrastructureError:
                    raise
                except Exception:
                    log.exception("dropped a fact that the ledger cannot hold")
                    self.num_dropped += 1
                else:
                    self.num_written += 1
                self._facts.remove(fact)

    def _settled(self, finished: list[Exchange], *, last: bool) -> list[Any]:
        """The facts of one window: an event per request, each with its share, and the window."""
        if self.book is None:
            return self._unmetered(finished)
        # A set is copied in one step of the interpreter, so the loop may go on changing it.
        under_way = list(self._under_way.copy())
        shares, windows = self.book.close_window(finished, under_way, last=last)
        method = self.book.method
        facts: list[Any] = []
        for share in shares:
            facts.append(
                share.exchange.event(self._source, share.joules, share.usd, share.gco2e, method)
            )
        return [*facts, *windows]

    def _unmetered(self, finished: list[Exchange]) -> list[Any]:
        return [exchange.event(self._source, 0.0, 0.0, 0.0, "none") for exchange in finished]

    def _guarded(self, action: Callable[[], None], what: str) -> bool:
        """Do it, or log once that it cannot be done and carry on."""
        try:
            action()
        except Exception as error:
            self.num_failed_writes += 1
            if not self._broken:
                log.error("the gateway cannot %s; requests go on: %s", what, error)
            self._broken = True
            return False
        if self._broken:
            log.warning("the ledger is back")
            self._broken = False
        return True
