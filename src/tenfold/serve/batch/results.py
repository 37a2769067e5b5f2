"""A file of answers that is appended to line by line and may end anywhere.

Each line goes to the kernel in one write, so the end of the process loses none; `sync` makes what is there
outlast the machine. What a crash left half written is cut off when the file is opened. Blocking: call it off
the event loop; safe for several threads.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

import msgspec


class _Answered(msgspec.Struct):
    custom_id: str


class Results:
    def __init__(self, path: Path) -> None:
        """Opens or makes it, and reads whose answers are there. Raises OSError."""
        self.answered: set[str] = set()
        self._alone = threading.Lock()
        self._synced = True
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self.num_bytes = self._repaired(path)
        except BaseException:
            os.close(self._descriptor)
            raise

    def _repaired(self, path: Path) -> int:
        whole = 0
        with open(path, "rb") as stream:
            for line in stream:
                try:
                    if not line.endswith(b"\n"):
                        break
                    answered = msgspec.json.decode(line, type=_Answered)
                except msgspec.DecodeError:
                    break  # blocks that a machine lost; everything before the last sync is whole
                self.answered.add(answered.custom_id)
                whole += len(line)
        os.ftruncate(self._descriptor, whole)
        return whole

    def append(self, custom_id: str, line: bytes) -> None:
        """`line` without its end. Raises OSError, and leaves the file as it was then."""
        data = line + b"\n"
        with self._alone:
            try:
                written = os.pwrite(self._descriptor, data, self.num_bytes)
                while written < len(data):
                    written += os.pwrite(self._descriptor, data[written:], self.num_bytes + written)
            except OSError:
                os.ftruncate(self._descriptor, self.num_bytes)
                raise
            self.num_bytes += len(data)
            self.answered.add(custom_id)
            self._synced = False

    def sync(self) -> None:
        with self._alone:
            synced, self._synced = self._synced, True
        if not synced:
            try:
                os.fsync(self._descriptor)
            except OSError:
                self._synced = False
                raise

    def close(self) -> None:
        os.close(self._descriptor)
