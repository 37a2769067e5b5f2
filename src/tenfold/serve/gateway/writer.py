"""The thread that writes batches into the ledger, and tries again until they are there.

It alone touches the ledger, so that one that hangs holds up nobody else: whoever hands in batches can take
them back and keep them on disk. It knows no request and no energy.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from tenfold.core.facts import AuditEntry, EnergyWindow
from tenfold.core.ports import Ledger
from tenfold.errors import FactRefused, InfrastructureError, InputError
from tenfold.serve.gateway.batch import Batch
from tenfold.serve.gateway.spool import Spool

log = logging.getLogger("tenfold.gateway")

T = TypeVar("T")

WAIT_S = 2.0
"""How long a write waits for another process that holds the ledger, before it counts as failed."""
_FIRST_RETRY_S, _LAST_RETRY_S = 0.25, 5.0
_IDLE_S = 0.5
_WRITING, _READING = "write events", "read the keys"


class Writer:
    """Batches in order: first what the spool holds, then what was handed in."""

    def __init__(
        self,
        ledger: Ledger,
        spool: Spool | None,
        refresh: Callable[[Ledger], None],
        refresh_s: float,
    ) -> None:
        """`refresh` is called with the ledger every `refresh_s`."""
        self._ledger = ledger
        self._spool = spool
        self._refresh = refresh
        self._refresh_s = refresh_s
        self._pending: deque[Batch] = deque()
        self._suspect: set[Batch] = set()
        """Batches whose first attempt failed: part of them may be there already."""
        self._changed = threading.Condition()
        self._asked = self._answered = 0
        self._stopping = False
        self._retry_at = 0.0
        self._retry_s = _FIRST_RETRY_S
        self._thread: threading.Thread | None = None
        self._began: float | None = None
        """When the thread last turned to the ledger; None when it is back from there."""
        self._failing: dict[str, None] = {}
        """What could not be done when it was last tried."""
        self.num_written = self.num_refused = self.num_failed_writes = 0

    def start(self) -> None:
        """Raises what the first refresh raises: better not to start than to let all in."""
        self._refresh(self._ledger)
        if self._spool is not None:
            self._spool.claim()
        self._thread = threading.Thread(target=self._run, name="tenfold-writer", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """False when it hangs in the ledger still; it ends with the process then."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def put(self, batch: Batch) -> None:
        with self._changed:
            self._pending.append(batch)
            self._changed.notify_all()

    @property
    def trouble(self) -> str | None:
        """What the ledger refuses at present, without a word that could be a secret."""
        failing = next(iter(self._failing), None)
        if failing is not None:
            return f"the gateway cannot {failing}"
        began = self._began
        if began is not None and time.monotonic() - began > 2 * WAIT_S:
            return "the ledger does not answer"
        return None

    @property
    def num_events(self) -> int:
        """Handed in and not yet written."""
        with self._changed:
            return sum(batch.num_events for batch in self._pending)

    def overdue(self, age_s: float) -> list[Batch]:
        """What has waited this long, oldest first; all of it while there is trouble."""
        limit = time.monotonic() - (0.0 if self.trouble else age_s)
        with self._changed:
            return [batch for batch in self._pending if batch.made <= limit]

    def forget(self, batch: Batch) -> None:
        """It is kept elsewhere. If it is being written at this moment, it may be written twice."""
        with self._changed:
            if batch not in self._pending:
                return
            self._pending.remove(batch)
        if batch.kept is not None:
            batch.kept()

    def settle(self, timeout_s: float) -> bool:
        """Try to write everything now. True when nothing is left; False when it failed or took too long."""
        with self._changed:
            self._asked += 1
            asked, self._retry_at = self._asked, 0.0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._answered >= asked or self._stopping, timeout_s)
            return self._answered >= asked and not self._pending

    # The thread.

    def _run(self) -> None:
        refreshed = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, self._pause_s(refreshed))
                if self._stopping:
                    return
                asked = self._asked
                due = self._has_work()
            if due and self._emptied():
                with self._changed:
                    self._answered = asked
                    self._changed.notify_all()
            if time.monotonic() - refreshed >= self._refresh_s:
                self._tried(_READING, self._refresh, self._ledger)
                refreshed = time.monotonic()

    def _has_work(self) -> bool:
        if self._stopping or self._asked > self._answered:
            return True
        waiting = bool(self._pending) or (self._spool is not None and self._spool.num_events > 0)
        return waiting and time.monotonic() >= self._retry_at

    def _pause_s(self, refreshed: float) -> float:
        until = refreshed + self._refresh_s
        if self._retry_at:
            until = min(until, self._retry_at)
        return min(_IDLE_S, max(0.01, until - time.monotonic()))

    def _emptied(self) -> bool:
        """Write until nothing is left or something fails. False when told to stop on the way."""
        while not self._stopping:
            record = self._spool.front() if self._spool is not None else None
            if record is not None:
                assert self._spool is not None
                if not self._tried(_WRITING, self._replay, record.payload):
                    return True
                self._spool.drop_front()
                continue
            with self._changed:
                batch = self._pending[0] if self._pending else None
            if batch is None:
                return True
            if not self._tried(_WRITING, self._write, batch):
                self._suspect.add(batch)
                return True
            self._suspect.discard(batch)
            self.forget(batch)
        return False

    def _replay(self, payload: bytes) -> None:
        try:
            batch = Batch.decode(payload)
        except InputError as error:
            log.error("a spooled record is left out: %s", error)
            return
        self._suspect.add(batch)
        try:
            self._write(batch)
        finally:
            self._suspect.discard(batch)

    def _write(self, batch: Batch) -> None:
        """Raises InfrastructureError when it has to wait. What no ledger can hold is left out, alone."""
        if batch in self._suspect:
            batch = self._without_known(batch)
        try:
            self._append(batch)
        except Exception as error:
            if isinstance(error, InfrastructureError) and not isinstance(error, FactRefused):
                raise  # the ledger's fault: all of them wait
            for single in self._without_known(batch).singles():
                try:
                    self._append(single)
                except Exception as fault:
                    if isinstance(fault, InfrastructureError) and not isinstance(
                        fault, FactRefused
                    ):
                        raise
                    log.error("dropped a fact that the ledger cannot hold: %s", fault)
                    self.num_refused += 1

    def _append(self, batch: Batch) -> None:
        tables = {kind: table for kind, table in batch.tables.items() if kind is not AuditEntry}
        self._ledger.append_columns(tables, wait_s=WAIT_S)
        deeds = batch.tables.get(AuditEntry, {})
        for at_s, actor, action, subject, detail in zip(
            *(deeds.get(name, ()) for name in ("at_s", "actor", "action", "subject", "detail")),
            strict=True,
        ):
            self._ledger.audit(actor, action, subject, detail, at_s)
        self.num_written += batch.num_facts

    def _without_known(self, batch: Batch) -> Batch:
        """Requests have ids and are written once whatever happens. A window is known by its times, a deed
        by its time, its doer and what it was done to."""
        tables = dict(batch.tables)
        for kind, names in (
            (EnergyWindow, ("started_at_s", "ended_at_s", "source")),
            (AuditEntry, ("at_s", "actor", "action", "subject")),
        ):
            given = tables.get(kind)
            if not given or not given[names[0]]:
                continue
            where: dict[str, Any] = {names[0]: list(given[names[0]])}
            there = self._ledger.read(kind, **where)
            known = {tuple(getattr(fact, name) for name in names) for fact in there}
            keys = zip(*(given[name] for name in names), strict=True)
            new = [index for index, key in enumerate(keys) if key not in known]
            tables[kind] = {name: [column[i] for i in new] for name, column in given.items()}
        return Batch(tables)

    def _tried(self, what: str, action: Callable[[T], None], on: T) -> bool:
        """Do it, or say once that it cannot be done, and when to try again."""
        self._began = time.monotonic()
        try:
            action(on)
        except Exception as error:
            self.num_failed_writes += 1
            if what not in self._failing:
                log.error("the gateway cannot %s; requests go on: %s", what, error)
            self._failing[what] = None
            if what == _WRITING:
                self._retry_at = time.monotonic() + self._retry_s
                self._retry_s = min(_LAST_RETRY_S, self._retry_s * 2)
            return False
        finally:
            self._began = None
        if what in self._failing:
            log.warning("the gateway can %s again", what)
            del self._failing[what]
        if what == _WRITING:
            self._retry_at, self._retry_s = 0.0, _FIRST_RETRY_S
        return True
