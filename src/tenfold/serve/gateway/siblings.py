"""The other workers of a gateway, as far as `/metrics` needs them: one page shows the sum of all.

Each worker answers on a Unix socket with its snapshot. One that does not answer in time is left out, and
`tenfold_worker_up` shows it. It knows no metric.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from tenfold.errors import InputError
from tenfold.serve.cache.relay import lives
from tenfold.serve.gateway.snapshot import Snapshot

_PATIENCE_S = 1.0


class Siblings:
    def __init__(self, folder: Path, own: Callable[[], Snapshot]) -> None:
        """`folder`: where the sockets of all workers are; its path must be short enough for one."""
        self._folder = folder
        self._own = own
        self._path = folder / f"{os.getpid()}.metrics"
        self._server: asyncio.AbstractServer | None = None

    async def start(self) -> None:
        """Raises OSError where the folder cannot hold a socket."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self._folder.glob("*.metrics"):
            if not lives(left.stem):
                left.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._answer, self._path)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)

    async def all(self) -> list[Snapshot]:
        """Every worker's snapshot, this one's first."""
        others = [path for path in sorted(self._folder.glob("*.metrics")) if path != self._path]
        asked = await asyncio.gather(*map(self._ask, others))
        return [self._own(), *(snapshot for snapshot in asked if snapshot is not None)]

    async def _ask(self, path: Path) -> Snapshot | None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    return Snapshot.decode(await reader.read())
                finally:
                    writer.close()
        except (OSError, TimeoutError, InputError):
            return None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            writer.write(self._own().encode())
            await writer.drain()
        writer.close()
