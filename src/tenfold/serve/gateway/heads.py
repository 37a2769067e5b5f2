"""What the gateway reads of a request's headers, and which of them travel on to a backend."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tenfold.serve.http.head import Headers
from tenfold.serve.refusal import Refusal

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
_TRACING = frozenset({b"traceparent", b"tracestate"})
"""Of these, the ones that change no answer."""
_JOINED = frozenset({b"cache-control"})
"""Headers that may come in several lines, which are then one list (RFC 9110, 5.3)."""


def heads_of(
    headers: Sequence[tuple[bytes, bytes]],
) -> tuple[dict[bytes, bytes], tuple[tuple[bytes, bytes], ...]]:
    """The headers we read, and those that travel on."""
    read: dict[bytes, bytes] = {}
    on: tuple[tuple[bytes, bytes], ...] = ()
    for header in headers:
        name = header[0]
        if name in _HEADS:
            read[name] = header[1] if name not in read else _twice(name, read[name], header[1])
        elif name in _TRAVELLERS:
            on = (*on, header)
    return read, on


def telling(travellers: Headers) -> Headers:
    """Those that may change an answer."""
    return tuple(header for header in travellers if header[0] not in _TRACING)


def shares(tenant: str, travellers: Headers) -> Hashable:
    """Requests of the same body and of equal `shares` are the same request."""
    told = telling(travellers) if travellers else ()
    return (tenant, told) if told else tenant


def _twice(name: bytes, first: bytes, second: bytes) -> bytes:
    """What a header says that stands twice. Raises Refusal (400) where the two cannot both be meant: whoever
    is in front of us may have looked at the other one."""
    if name in _JOINED:
        return first + b", " + second
    if first != second:
        raise Refusal(
            400, f"The header `{name.decode()}` stands twice in this request.", code="bad_header"
        )
    return first
