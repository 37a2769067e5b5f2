"""The origin's side of the contract: header lines for answers that edges may keep, the form of a template
that the asking edge understands, and the purge that goes to every edge.

It knows no gateway: whoever answers calls it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import msgspec

from tenfold.errors import BackendError, InputError
from tenfold.serve.backends.http_pool import Pool, PoolConfig
from tenfold.serve.edge.contract import (
    ESI,
    PERSONAL,
    PURGE_MODE,
    PURGE_PATH,
    SLOTS,
    SSI,
    SurrogateControl,
    surrogate_keys,
)
from tenfold.serve.edge.templates import Template

_PURGE_TIMEOUT_S = 30.0
"""nginx looks into every stored file."""
_LIMIT_BYTES = 64 * 1024


def surrogate_headers(
    control: SurrogateControl,
    keys: Sequence[str] = (),
    *,
    etag: str | None = None,
    cache_control: bytes = b"no-cache",
    vary: bytes = b"",
) -> bytes:
    """Header lines, each ended with CRLF, for an answer that edges may keep.

    `etag` (see `etag_of`) and `cache_control`, the downstream one, are left out and replaced for a
    template: its validator would let a browser keep another user's page. Raises InputError for a key that
    a header cannot carry.
    """
    lines = [b"surrogate-control: %b\r\n" % control.line()]
    if keys:
        lines.append(b"surrogate-key: %b\r\n" % surrogate_keys(list(keys)))
    if control.content is not None:
        lines.append(b"cache-control: %b\r\n" % PERSONAL)
    else:
        lines.append(b"cache-control: %b\r\n" % cache_control)
        if etag is not None:
            lines.append(b"etag: %b\r\n" % etag.encode())
    if vary:
        lines.append(b"vary: %b\r\n" % vary)
    return b"".join(lines)


def etag_of(body: bytes) -> str:
    """A strong validator of a body. 1 us per kB; keep it beside what is stored."""
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'


def suited(
    template: Template, capability: bytes, values: Mapping[str, str] | None = None
) -> tuple[bytes, str | None]:
    """The body for whoever asks, and the `content` of its Surrogate-Control.

    `capability` is the request's Surrogate-Capability header: what the edge in between can process. With
    none there is no edge: the page is filled here with `values`, its content is None, and it is personal.
    """
    said = capability.decode("latin-1")
    if SLOTS in said:
        return template.neutral(), SLOTS
    if SSI in said:
        return template.ssi(), SSI
    if ESI in said:
        return template.esi(), ESI
    return template.fill(values or {}), None


@dataclass(frozen=True, slots=True)
class EdgeAddress:
    """Where an edge takes purges: its admin listener, and its password."""

    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Purged:
    """What one edge said. `error` None: it is done; else answers may be old there until they expire."""

    url: str
    num_entries: int
    error: str | None


async def purge(
    edges: Sequence[EdgeAddress],
    keys: Sequence[str],
    *,
    soft: bool = False,
    tls: ssl.SSLContext | None = None,
) -> list[Purged]:
    """Tell every edge, at once, to drop what has one of `keys`; `soft`: to treat it as stale.

    Never raises for an edge that does not answer: its error is in the result, for the caller to repeat.
    Raises InputError for keys that a header cannot carry, or for none.
    """
    if not keys:
        raise InputError("nothing to purge: no key")
    line = surrogate_keys(list(keys))
    return list(await asyncio.gather(*(_purge(edge, line, soft, tls) for edge in edges)))


async def _purge(edge: EdgeAddress, line: bytes, soft: bool, tls: ssl.SSLContext | None) -> Purged:
    pool = Pool(edge.url, PoolConfig(read_timeout_s=_PURGE_TIMEOUT_S, max_connections=1), tls)
    headers = [
        (b"authorization", b"Bearer " + edge.secret.encode()),
        (b"surrogate-key", line),
        (PURGE_MODE, b"soft" if soft else b"hard"),
        (b"connection", b"close"),
    ]
    try:
        head = pool.head(b"POST", PURGE_PATH.encode(), headers)
        response = await pool.request(head, body=b"")
        body = await response.read(_LIMIT_BYTES)
        if response.status != 200:
            return Purged(edge.url, 0, f"the edge answered {response.status}")
        return Purged(edge.url, msgspec.json.decode(body, type=_Answer).purged, None)
    except (BackendError, msgspec.DecodeError) as error:
        return Purged(edge.url, 0, str(error))
    finally:
        pool.close()


class _Answer(msgspec.Struct):
    purged: int
