"""A complete answer as the tiers keep it, and its form as bytes for tiers outside this process.

It knows no key, no tier and no protocol: `whole` and `events` are a client's bytes and are never read here.
"""

from __future__ import annotations

import zlib

import msgspec

FORMAT = 1
"""First byte of an encoded answer. Raised with every change of `Stored`: an old form is then a miss."""

_PLAIN = bytes([FORMAT, 0])
_DEFLATED = bytes([FORMAT, 1])
MAX_INFLATED_BYTES = 64 * 1024 * 1024
"""A deflated answer that grows beyond this is a miss: a few hundred kB may claim to be gigabytes."""


class Stored(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A complete answer: whole, as a stream, or both. `gc=False`: it can hold no cycle."""

    response_id: str
    """Of the answer that was generated."""
    model_digest: str
    backend: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    whole: bytes | None = None
    """The JSON body, byte for byte."""
    events: bytes | None = None
    """The stream, byte for byte, usage event included."""
    usage_span: tuple[int, int] | None = None
    """Start and end in `events` of the usage event, which only clients that asked for it get."""
    tenant: str = ""
    """The partition that may see it; what a purge of a tenant goes by."""
    surrogates: tuple[str, ...] = ()
    """Surrogate keys: names under which a purge finds it."""
    created_at_s: float = 0.0
    """Unix time at which it was ASKED for. Not when it was complete: a purge in between covers it too."""
    expires_at_s: float = 0.0
    """Unix time after which it is a miss; 0: when the tiers drop it."""
    epoch: int = 0
    """The policy epoch it was made under."""

    @property
    def num_bytes(self) -> int:
        """What it takes in memory: contents plus what Python adds per object (test_exact measures it)."""
        whole, events = self.whole, self.events
        size = 360 + len(self.response_id) + len(self.model_digest) + len(self.backend)
        size += len(self.tenant)
        if whole is not None:
            size += 40 + len(whole)
        if events is not None:
            size += 40 + len(events)
        for name in self.surrogates:
            size += 64 + len(name)
        return size


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Stored)


def encode(stored: Stored, *, deflate_from_bytes: int | None = None) -> bytes:
    """As bytes. From `deflate_from_bytes` on they are deflated, where that makes them smaller."""
    plain = _encoder.encode(stored)
    if deflate_from_bytes is not None and len(plain) >= deflate_from_bytes:
        deflated = zlib.compress(plain, 1)
        if len(deflated) < len(plain):
            return _DEFLATED + deflated
    return _PLAIN + plain


def decode(data: bytes | memoryview, start: int = 0) -> Stored | None:
    """What `encode` made, from byte `start` on. None, never an error, for anything else: it may be of
    another version."""
    try:
        if data[start] != FORMAT:
            return None
        packed = memoryview(data)[start + 2 :]
        if data[start + 1] == _PLAIN[1]:
            return _decoder.decode(packed)
        if data[start + 1] == _DEFLATED[1]:
            inflating = zlib.decompressobj()
            plain = inflating.decompress(packed, MAX_INFLATED_BYTES)
            return _decoder.decode(plain) if inflating.eof else None
    except (IndexError, msgspec.DecodeError, zlib.error, RecursionError):
        pass
    return None
