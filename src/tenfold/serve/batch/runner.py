"""The batches that this process runs: found, claimed, run, let go of when the process ends.

Every process of a host looks for batches that nobody runs; a kernel lock makes sure that one does, and is free
again when its holder dies. It knows no HTTP.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tenfold.serve.batch.batches import ENDED, Batches
from tenfold.serve.batch.config import BatchConfig
from tenfold.serve.batch.files import Files
from tenfold.serve.batch.home import Claim
from tenfold.serve.batch.run import BatchRun, Off, Stopped

if TYPE_CHECKING:
    from tenfold.serve.gateway.app import Gateway

log = logging.getLogger("tenfold.gateway")

MAX_RUNNING = 4
"""Batches at once in one process. The others wait, or another process takes them."""
REST_S = 30.0
"""After a batch could not go on (a full disk), until this process tries it again."""
_SWEEP_S = 600.0


class Runner:
    """For one event loop."""

    def __init__(
        self,
        gateway: Gateway,
        batches: Batches,
        files: Files,
        config: BatchConfig,
        off: Off,
        now: Callable[[], float],
    ) -> None:
        self._gateway = gateway
        self._batches = batches
        self._files = files
        self._config = config
        self._off = off
        self._now = now
        self._slots = asyncio.Semaphore(config.concurrency)
        self._stopping = asyncio.Event()
        self._new = asyncio.Event()
        self._running: dict[str, tuple[Path, asyncio.Task[None]]] = {}
        self._resting: dict[str, float] = {}
        self._watching: asyncio.Task[None] | None = None
        self._next_sweep = time.monotonic() + _SWEEP_S

    def start(self) -> None:
        self._watching = asyncio.get_running_loop().create_task(self._watch())

    def look(self) -> None:
        """There may be something to do: a batch was made."""
        self._new.set()

    def drain(self) -> None:
        """Ask nothing more. Lines under way go on."""
        self._stopping.set()
        self._new.set()

    async def settled(self, patience_s: float) -> None:
        """After `drain`: return when the last line under way is written down, or after so long."""
        tasks = [task for _, task in self._running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=patience_s)

    async def stop(self) -> None:
        """End whatever is still going on."""
        self.drain()
        tasks = [task for _, task in self._running.values()]
        if self._watching is not None:
            tasks.append(self._watching)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _watch(self) -> None:
        while not self._stopping.is_set():
            self._new.clear()
            try:
                await self._look()
                if time.monotonic() > self._next_sweep:
                    self._next_sweep = time.monotonic() + _SWEEP_S
                    await self._off(self._sweep)
            except Exception:
                log.exception("looking for batches failed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._config.look_s):
                    await self._new.wait()

    async def _look(self) -> None:
        now = time.monotonic()
        self._resting = {id: until for id, until in self._resting.items() if until > now}
        if len(self._running) >= MAX_RUNNING:
            return
        found = [
            (id, folder)
            for id, folder in await self._off(self._batches.home.announced)
            if id not in self._running and id not in self._resting
        ]
        # A tenant with many batches does not keep the others waiting.
        busy = Counter(folder for folder, _ in self._running.values())
        while found and len(self._running) < MAX_RUNNING and not self._stopping.is_set():
            found.sort(key=lambda one: busy[one[1]])
            id, folder = found.pop(0)
            claim = await self._off(self._batches.home.claim, id)
            if claim is not None:
                busy[folder] += 1
                task = asyncio.get_running_loop().create_task(self._run(id, folder, claim))
                self._running[id] = (folder, task)

    async def _run(self, id: str, folder: Path, claim: Claim) -> None:
        try:
            record = await self._off(self._batches.read, folder, id)
            if record is None:
                if claim.orphaned:
                    claim.end()
                return
            if record.status not in ENDED:
                run = BatchRun(
                    self._gateway,
                    record,
                    self._batches,
                    self._files,
                    self._config,
                    self._slots,
                    self._stopping,
                    self._off,
                    self._now,
                )
                await run.go()
            await self._off(self._batches.clear, record)
            await self._off(claim.end)
        except Stopped:
            pass
        except Exception:
            self._resting[id] = time.monotonic() + REST_S
            log.exception("batch %s cannot go on; it is tried again in %g s", id, REST_S)
        finally:
            claim.release()
            del self._running[id]
            self._new.set()

    def _sweep(self) -> None:
        """Off the event loop, and one process at a time."""
        descriptor = os.open(self._batches.home.root / ".sweep", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._files.sweep()
            self._batches.sweep()
        except BlockingIOError:
            pass  # another process does it
        finally:
            os.close(descriptor)
