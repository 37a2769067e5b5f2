"""One request under way: what is known about it so far, and the row it becomes.

Fields are filled in as the request goes along its path; the recorder turns a batch of exchanges into
columns off the event loop. It decides nothing.
"""

from __future__ import annotations

import dataclasses
import itertools
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tenfold.core.facts import RequestEvent


class Exchange(msgspec.Struct, eq=False, array_like=True):
    """A struct, because one is made per request and thousands are read at once: both at C speed."""

    endpoint: str
    at_s: float
    """Seconds since the epoch."""
    started: float
    """On the monotonic clock."""
    id: str = ""
    tenant: str = ""
    key_name: str = ""
    model: str = ""
    """As the client named it."""
    model_digest: str = ""
    backend: str = ""
    """Empty until a backend has been chosen, which takes a model that is known."""
    tier: str = "refused"
    status: int = 0
    stream: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Of the prompt's: those the backend had in its own cache."""
    error: str | None = None
    cached_from: str | None = None
    response_id: str | None = None
    """The id the answer itself carries, where that is another than ours."""
    price_usd: float = 0.0
    """What the budget is charged."""
    ended: float = 0.0
    """On the monotonic clock; 0 while under way."""
    latency_s: float = 0.0
    ttft_s: float | None = None
    compute_s: float = 0.0
    """What the engine says the answer took it."""
    upstream_s: float | None = None
    """From sending the request to a backend until its first byte; the rest of the way is ours."""
    asked: tuple[str, ...] = ()
    """Names of the tiers in the order they are asked; up to the one in `tier`, else all of them."""
    follower: bool = False
    """Shared the generation of an identical request under way."""
    stood_in: str = ""
    """The model that answered in place of the one asked for."""
    retries: int = 0
    """Attempts after the first, one after the other."""
    hedges: int = 0
    """Attempts sent while an earlier one was slow."""
    refused_for: str = ""
    """The code of our own refusal (`rate_limit_exceeded`, `insufficient_quota`, ...)."""
    carried_joules: float = 0.0
    """Energy of windows that closed while this was still under way."""
    carried_usd: float = 0.0


Columns = Mapping[str, Sequence[Any]]

_IN_MS = {"latency_ms": "latency_s", "ttft_ms": "ttft_s"}
RECORDED = tuple(
    field.name
    for field in dataclasses.fields(RequestEvent)
    if field.name in Exchange.__struct_fields__
)
"""Fields of an event that are the exchange's own, under the same name. Others have their defaults."""


def columns_of_rows(rows: Sequence[tuple[Any, ...]]) -> Columns:
    """Field -> its values, of exchanges as rows of their fields (`msgspec.structs.astuple`), one or more."""
    return dict(zip(Exchange.__struct_fields__, zip(*rows, strict=True), strict=True))


def event_columns(columns: Columns) -> dict[str, Sequence[Any]]:
    """What a RequestEvent has of it; energy, money and the source are the recorder's to add."""
    made: dict[str, Sequence[Any]] = {name: columns[name] for name in RECORDED}
    for name, seconds in _IN_MS.items():
        made[name] = [None if value is None else value * 1e3 for value in columns[seconds]]
    return made


class Ids:
    """Response ids that no other process gives: 60 random bits of this one, then a count."""

    def __init__(self) -> None:
        self._random = secrets.token_hex(8)[1:]
        self._count = itertools.count(1)

    def next(self, prefix: str) -> str:
        return f"{prefix}{self._random}{next(self._count):09x}"
