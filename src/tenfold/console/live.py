"""Live pages: one stream of server-sent events per view, from the ledger to the open page.

The stream asks the ledger for its cursor four times a second; when it moved, the view's regions are
rendered anew and those that differ are sent. Log records are sent as rows after the last one the page
has, so a connection that broke goes on where it was (`Last-Event-ID`). Knows nothing about what a page
shows.
"""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from anyio import to_thread

PERIOD_S = 0.25
"""At most four messages a second, however many facts arrive."""
SHARE = 0.2
"""Of one core, at most, for a stream: the gateway beside it has more urgent work."""
HEARTBEAT_S = 15.0
"""A comment this often keeps proxies from closing a quiet stream, and finds readers that have left."""
RETRY_MS = 1000

Render = Callable[[], Mapping[str, str]]
"""region -> HTML"""
Append = Callable[[str], Mapping[str, str]]
"""cursor -> list -> HTML of its new rows"""


class Live:
    """The open streams of a console. `close()` ends them, so that a server can drain."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    def close(self) -> None:
        self._closed.set()

    async def stream(
        self, cursor: Callable[[], str], render: Render, append: Append, after: str
    ) -> AsyncIterator[bytes]:
        """Messages `{regions: {...}, append: {...}}`, each with the cursor it leads up to as its id."""
        sent: dict[str, int] = {}
        quiet_s = 0.0
        yield f"retry: {RETRY_MS}\n\n".encode()
        while not self._closed.is_set():
            began_s = time.monotonic()
            now = await to_thread.run_sync(cursor)
            if now != after:
                rows = await to_thread.run_sync(append, after)
                regions = await to_thread.run_sync(render)
                marks = {name: zlib.crc32(html.encode()) for name, html in regions.items()}
                changed = {n: regions[n] for n in regions if sent.get(n) != marks[n]}
                sent, after = marks, now
                if changed or any(rows.values()):
                    yield message(now, {"regions": changed, "append": dict(rows)})
                    quiet_s = 0.0
            if quiet_s >= HEARTBEAT_S:
                yield b": still here\n\n"
                quiet_s = 0.0
            pause_s = max(PERIOD_S, (time.monotonic() - began_s) * (1 / SHARE - 1))
            try:
                await asyncio.wait_for(self._closed.wait(), pause_s)
            except TimeoutError:
                quiet_s += pause_s


def message(cursor: str, data: Any) -> bytes:
    """One server-sent event; JSON keeps it on one line."""
    return f"id: {cursor}\nevent: patch\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
