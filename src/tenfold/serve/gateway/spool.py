"""Events on disk while the ledger is away: bounded, in order, and found again after a kill.

A folder holds the files of every worker. Each writes its own and takes over those whose owner died. Records
are put back into the ledger oldest first and may be put there twice: the ledger tells them apart by id.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections import deque
from pathlib import Path

from tenfold.errors import ConfigError
from tenfold.serve.gateway.segment import SUFFIX, Record, Segment

log = logging.getLogger("tenfold.gateway")

_SEGMENT_BYTES = 16 * 1024 * 1024
"""A file that has grown to this gets a successor, so that space comes free while it is emptied."""


class Spool:
    """A queue on disk. Safe for several threads of one process, and several processes on one folder."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """`max_bytes` bounds what this process keeps. Nothing is written until there is need.

        Raises ConfigError where files cannot be locked.
        """
        if os.name == "nt":
            raise ConfigError(
                "a spool needs file locks, which this system has not", hint="spool: null"
            )
        self.folder = folder
        self._max_bytes = max_bytes
        self._segments: deque[Segment] = deque()
        self._own: Segment | None = None
        """The one that is written to: always the last."""
        self._read: Segment | None = None
        """Where the record that `front` gave last is from."""
        self._lock = threading.Lock()
        self._failed = self._closed = False

    @property
    def num_bytes(self) -> int:
        with self._lock:
            return sum(segment.num_bytes for segment in self._segments)

    @property
    def num_events(self) -> int:
        with self._lock:
            return sum(segment.num_events for segment in self._segments)

    def claim(self) -> None:
        """Take over what dead processes left, the oldest first."""
        with self._lock:
            mine = {segment.path for segment in self._segments}
            try:
                paths = sorted(set(self.folder.glob("*" + SUFFIX)) - mine, reverse=True)
                for path in paths:
                    segment = Segment.claim(path)
                    if segment is not None:
                        self._segments.appendleft(segment)
                        log.warning("%d events of a dead process found", segment.num_events)
            except OSError as error:
                log.error("the spool cannot be read: %s", error)

    def put(self, payload: bytes, num_events: int) -> bool:
        """Keep a record; when True is returned it is on disk. False: full, or the disk is."""
        with self._lock:
            held = sum(segment.num_bytes for segment in self._segments)
            if self._closed or held + len(payload) > self._max_bytes:
                return False
            try:
                if self._own is None or self._own.num_bytes >= _SEGMENT_BYTES:
                    self._own = self._begin()
                self._own.append(Record(payload, num_events))
            except OSError as error:
                if not self._failed:
                    log.error("events cannot be spooled and wait in memory: %s", error)
                self._failed = True
                return False
            self._failed = False
            return True

    def front(self) -> Record | None:
        """The oldest record; None when there is none. Files that were emptied are removed."""
        with self._lock:
            while self._segments and not self._closed:
                self._read = segment = self._segments[0]
                record = segment.front()
                if record is not None:
                    return record
                if segment.num_damaged:
                    log.error("%d damaged records in %s lost", segment.num_damaged, segment.path)
                self._segments.popleft()
                if segment is self._own:
                    self._own = None
                segment.remove()
            return None

    def drop_front(self) -> None:
        """The record that `front` gave is in the ledger."""
        with self._lock:
            if self._read is not None and not self._closed:
                self._read.drop_front()

    def close(self) -> None:
        """Let go of the files; the next process finds them."""
        self.front()
        with self._lock:
            self._closed = True
            for segment in self._segments:
                segment.close()
            self._segments.clear()
            self._own = None

    def _begin(self) -> Segment:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}{SUFFIX}"
        segment = Segment.create(self.folder / name)
        self._segments.append(segment)
        return segment
