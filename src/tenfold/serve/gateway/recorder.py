"""Request events on their way to the ledger: from the event loop to a batch with its energy.

The event loop only appends to a deque. A thread counts what ended, gives it its energy and hands it to the
writer; what the writer cannot place in time goes to the spool. When the ledger is gone, requests go on
being answered and their events wait on disk; when that is full too, they are dropped and counted, never
silently. It knows no protocol.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from tenfold.core.facts import AuditEntry, EnergyWindow, RequestEvent
from tenfold.core.ports import Ledger
from tenfold.errors import StoreError
from tenfold.serve.gateway.batch import Batch, window_columns
from tenfold.serve.gateway.energy import EnergyBook, Shares
from tenfold.serve.gateway.exchange import Exchange, columns_of_rows, event_columns
from tenfold.serve.gateway.journal import Journal, Turn, estates
from tenfold.serve.gateway.metrics import Metrics
from tenfold.serve.gateway.snapshot import Snapshot
from tenfold.serve.gateway.spool import Spool
from tenfold.serve.gateway.writer import Writer

log = logging.getLogger("tenfold.gateway")

MANY_EVENTS = 4096
"""So many are a batch, before its time has come."""
SPOOL_AFTER_S = 2.0
"""A batch that the ledger has not taken for this long goes to the spool."""
STOP_S = 5.0
"""How long the end may take when the ledger is away and a spool takes what is left."""
UNSPOOLED_STOP_S = 10.0
"""The same without a spool: what is not written then is lost."""
_CLAIM_S = 15.0
"""How often files of workers that died are looked for."""


class Recorder:
    """Owns the ledger of a running gateway: after `start`, only its threads touch it."""

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
        spool: Spool | None = None,
        durable: bool = False,
    ) -> None:
        """`refresh` is called with the ledger every `refresh_s` (the key ring reads its table).

        `max_events` bounds what waits in memory. Without a `spool`, that is all that waits. `durable`:
        events outlive a kill from the moment they end (needs the spool's folder).
        """
        self._source = source
        self._max_events = max_events
        self._flush_s = flush_s
        self._open_book = open_book
        self._spool = spool
        self._durable = durable and spool is not None
        self._journal: Journal | None = None
        self._writer = Writer(ledger, spool, refresh, refresh_s)
        self._metrics = Metrics()
        self.book: EnergyBook | None = None
        self._queue: deque[Exchange] = deque()
        self._uncounted: deque[Exchange] = deque()
        """Ended without an event: to be counted only."""
        self._deeds: deque[tuple[float, str, str, str, dict[str, Any]]] = deque()
        self._held = 0
        """Events that the writer has, in memory."""
        self._under_way: set[Exchange] = set()
        self._stopping = False
        self._changed = threading.Condition()
        self._asked = self._settled_up_to = 0
        self._thread: threading.Thread | None = None
        self._warned_drops = 0
        self._num_unqueued = 0

    # Called on the event loop.

    def begin(self, exchange: Exchange) -> None:
        """A generation has started: until it ends it may be given energy."""
        self._under_way.add(exchange)

    def end(self, exchange: Exchange) -> None:
        """Never blocks. An event that finds no room is dropped and counted."""
        self._under_way.discard(exchange)
        if len(self._queue) + self._held < self._max_events:
            self._queue.append(exchange)
            if len(self._queue) == MANY_EVENTS:
                self._hurry()
            if self._journal is not None:
                self._journal.note(exchange)
        else:
            self._num_unqueued += 1
            self._uncounted.append(exchange)

    def audit(
        self, actor: str, action: str, subject: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """A deed for the hash chain, on the same way as events. Never blocks; never dropped for want of
        room: whoever may do such deeds is trusted not to do them by the thousand."""
        self._deeds.append((time.time(), actor, action, subject, dict(detail or {})))

    def _hurry(self) -> None:
        """Under load a second's events are tens of megabytes, which the process would keep: flush sooner."""
        with self._changed:
            self._asked += 1
            self._changed.notify_all()

    def count(self, exchange: Exchange) -> None:
        """A request that leaves no event (`/healthz`, `/metrics`): it only shows in the counters."""
        self._uncounted.append(exchange)

    @property
    def trouble(self) -> str | None:
        """What keeps events out of the ledger, in a few words without a secret; None when nothing does."""
        trouble = self._writer.trouble
        return None if trouble is None else f"{trouble}: {self.num_waiting} wait"

    @property
    def num_waiting(self) -> int:
        """Events not yet in the ledger, in memory or on disk."""
        spooled = 0 if self._spool is None else self._spool.num_events
        return len(self._queue) + self._writer.num_events + spooled

    @property
    def spool_bytes(self) -> int:
        return 0 if self._spool is None else self._spool.num_bytes

    @property
    def num_dropped(self) -> int:
        return self._num_unqueued + self._writer.num_refused

    @property
    def num_written(self) -> int:
        return self._writer.num_written

    @property
    def num_failed_writes(self) -> int:
        return self._writer.num_failed_writes

    # Called once, before and after.

    def start(self) -> None:
        """Raises LedgerError when the first refresh fails: better not to start than to let all in.
        Raises StoreError when events were to outlive a kill and cannot."""
        self._writer.start()
        if self._durable:
            self._inherit()
            assert self._spool is not None
            try:
                self._journal = Journal(self._spool.folder)
            except OSError as error:
                raise StoreError(
                    "events cannot be noted before they are written",
                    where=str(self._spool.folder),
                    seen=error.strerror,
                    hint="make the folder writable, or set durable_events: false",
                ) from None
        if self._open_book is not None:
            self.book = self._open_book()
        self._thread = threading.Thread(target=self._run, name="tenfold-recorder", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, or spool it. Returns in bounded time, whatever the ledger does."""
        stop_s = STOP_S if self._spool is not None else UNSPOOLED_STOP_S
        deadline = time.monotonic() + stop_s
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._write_the_last(deadline - stop_s / 4)
            self._spill(0.0)
            left = self._writer.num_events
            if self._writer.stop(max(0.1, deadline - time.monotonic())):
                left = self._writer.num_events
            if self._journal is not None and not left:
                self._journal.remove()
            if left:
                self._num_unqueued += left
                log.error("%d events could not be written before the end", left)
        if self._spool is not None:
            if self._spool.num_events:
                log.warning("%d events wait in the spool", self._spool.num_events)
            self._spool.close()

    def _write_the_last(self, give_up: float) -> None:
        """Once where a spool takes the rest; else again and again as long as there is time."""
        while not self._writer.settle(max(0.0, give_up - time.monotonic())):
            if self._spool is not None or time.monotonic() >= give_up:
                return
            time.sleep(0.05)

    # Called from any thread but the loop's.

    def settle(self, timeout_s: float) -> None:
        """Close the window now, so that totals are those of this moment. Gives up after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._asked += 1
            asked = self._asked
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._settled_up_to >= asked or self._stopping, timeout_s
            )
        self._writer.settle(max(0.0, deadline - time.monotonic()))

    def counted(self) -> Snapshot:
        """What requests added up to, as of the last flush (`settle` makes that now)."""
        with self._changed:
            return self._metrics.tally.snapshot()

    # The thread.

    def _run(self) -> None:
        claimed = time.monotonic()
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
            if self._spool is not None and time.monotonic() - claimed >= _CLAIM_S:
                claimed = time.monotonic()
                self._spool.claim()
                self._inherit()
        self._flush(last=True)

    def _flush(self, *, last: bool = False) -> None:
        turn = self._turned()
        rows, tables = self._drained(last=last)
        if tables:
            self._writer.put(Batch(tables, None if turn is None else turn.clear))
        with self._changed:
            self._metrics.take(rows)
        self._spill(SPOOL_AFTER_S)
        if self.num_dropped > self._warned_drops:
            self._warned_drops = self.num_dropped
            log.warning("%d request events dropped: queue and spool are full", self.num_dropped)

    def _turned(self) -> Turn | None:
        """The journal's turn whose events are about to be drained."""
        if self._journal is None:
            return None
        if self._journal.held_up:
            self._spill(0.0)
        return self._journal.turn_over()

    def _inherit(self) -> None:
        """Events of killed processes. What they took of energy and money nobody can tell any more."""
        assert self._spool is not None
        for estate in estates(self._spool.folder):
            if not estate.exchanges:
                estate.clear()
                continue
            log.warning("%d events of a killed process found", len(estate.exchanges))
            rows = list(map(msgspec.structs.astuple, estate.exchanges))
            nothing = [0.0] * len(rows)
            tables = self._events(rows, Shares(nothing, nothing, nothing), "none")
            self._writer.put(Batch(tables, estate.clear))

    def _drained(self, *, last: bool) -> tuple[Sequence[Any], dict[type, Any]]:
        finished = [self._queue.popleft() for _ in range(len(self._queue))]
        self._held += len(finished)
        counted = [self._uncounted.popleft() for _ in range(len(self._uncounted))]
        method = "none"
        nothing = [0.0] * len(finished)
        shares = Shares(nothing, nothing, nothing)
        windows: list[EnergyWindow] = []
        if self.book is not None:
            # A set is copied in one step of the interpreter, so the loop may go on changing it.
            under_way = list(self._under_way.copy())
            try:
                shares, windows = self.book.close_window(finished, under_way, last=last)
                method = self.book.method
            except Exception:  # a meter that breaks must not cost the events
                log.exception("the energy of %d requests could not be told", len(finished))
        rows = list(map(msgspec.structs.astuple, finished))
        tables = self._events(rows, shares, method) if rows else {}
        deeds = [self._deeds.popleft() for _ in range(len(self._deeds))]
        if deeds:
            names = ("at_s", "actor", "action", "subject", "detail")
            tables[AuditEntry] = dict(zip(names, zip(*deeds, strict=True), strict=True))
        if windows:
            tables[EnergyWindow] = window_columns(windows)
        return rows + list(map(msgspec.structs.astuple, counted)), tables

    def _events(self, rows: Sequence[Any], shares: Shares, method: str) -> dict[type, Any]:
        columns = {
            **event_columns(columns_of_rows(rows)),
            "joules": shares.joules,
            "usd": shares.usd,
            "gco2e": shares.gco2e,
            "energy_method": [method] * len(rows),
            "source": [self._source] * len(rows),
        }
        return {RequestEvent: columns}

    def _spill(self, age_s: float) -> None:
        """What the ledger does not take goes to disk. What does not fit there stays in memory."""
        if self._spool is not None:
            if self._writer.num_events * 2 > self._max_events:
                age_s = 0.0
            for batch in self._writer.overdue(age_s):
                if not self._spool.put(batch.encode(), batch.num_events):
                    break
                self._writer.forget(batch)
        self._held = self._writer.num_events
