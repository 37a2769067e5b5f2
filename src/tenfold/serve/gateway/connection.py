"""One connection of the gateway: uvicorn's, with patience that ends.

Uvicorn bounds how long an answered connection may stay quiet, but not how long the first byte or the rest
of a request's head may take; whoever opens connections and says nothing would keep each of them for ever.
The body has its own bound (`transport.read_body`). It knows no routes.
"""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tenfold.serve.gateway.app import Gateway


class Connection(HttpToolsProtocol):
    """Closes itself when a request's head takes longer than the gateway's `body_timeout_s`."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._arrived()
        self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._arrived()
        super().on_headers_complete()

    def _wait(self) -> None:
        timeout_s = cast(Gateway, self.config.app).config.body_timeout_s
        self._patience = self.loop.call_later(timeout_s, self.transport.close)

    def _arrived(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
