"""What the gateway reads of a request's headers, and which of them travel on to a backend."""

from __future__ import annotations

from collections.abc import Sequence

_HEADS = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"content-encoding",
        b"cache-control",
        b"host",
        b"origin",
        b"x-request-timeout",
    }
)
"""Request headers the gateway itself reads."""
_TRAVELLERS = frozenset(
    {
        b"traceparent",
        b"tracestate",
        b"anthropic-version",
        b"anthropic-beta",
        b"openai-beta",
    }
)
"""Request headers that go on to a backend. All others stay here: they may hold secrets of ours."""


def heads_of(
    headers: Sequence[tuple[bytes, bytes]],
) -> tuple[dict[bytes, bytes], tuple[tuple[bytes, bytes], ...]]:
    """The headers we read, and those that travel on."""
    read: dict[bytes, bytes] = {}
    on: tuple[tuple[bytes, bytes], ...] = ()
    for header in headers:
        name = header[0]
        if name in _HEADS:
            read[name] = header[1]
        elif name in _TRAVELLERS:
            on = (*on, header)
    return read, on
