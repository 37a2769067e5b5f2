"""Why: the walk from one answer to its tier, the model, its checks, its training data and the sources."""

from __future__ import annotations

from dataclasses import dataclass

from tenfold.core.facts import RequestEvent
from tenfold.errors import UnknownName
from tenfold.queries.assets import AssetView, asset_view
from tenfold.queries.past import Past

_LONGEST_CHAIN = 16
"""Stored answers that repeat stored answers: a longer chain than this is a loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    request: RequestEvent
    stored: tuple[RequestEvent, ...]
    """The stored answer this one repeats, the one that repeats, and so on to the one that was made."""
    made_by: RequestEvent
    """The request whose answer a model generated; the request itself when no tier repeated it."""
    model: AssetView | None
    """None for a foreign backend, or when the record of the model was forgotten."""
    gaps: tuple[str, ...]
    """Links of the walk that cannot be shown, and why."""


def why(past: Past, response_id: str) -> Why:
    """`response_id`: the id in an answer's body, or the one in its `x-tenfold-request-id`. A repeated answer
    carries the id of the one that was made; only the header tells them apart.

    Raises UnknownName for a response nobody recorded.
    """
    request = _request(past, response_id)
    if request is None:
        newest = past.ledger.read(RequestEvent, newest=True, limit=200)
        hint = None if newest else "no request was recorded yet: tenfold serve"
        raise UnknownName("response", response_id, [e.id for e in newest], hint=hint)
    gaps = []
    chain: list[RequestEvent] = []
    last = request
    while last.cached_from and len(chain) < _LONGEST_CHAIN:
        stored = _request(past, last.cached_from)
        if stored is None:
            gaps.append(f"the stored answer {last.cached_from} is no longer on record")
            break
        chain.append(stored)
        last = stored
    digest = last.model_digest or request.model_digest
    model = None
    if not digest:
        gaps.append(
            "the request was refused before a model saw it"
            if request.tier == "refused"
            else f"the backend {last.backend!r} serves weights that this factory did not make"
        )
    else:
        try:
            model = asset_view(past, digest)
        except UnknownName:
            gaps.append(f"the record of model {digest[:12]} is not in this ledger")
    return Why(request=request, stored=tuple(chain), made_by=last, model=model, gaps=tuple(gaps))


def _request(past: Past, response_id: str) -> RequestEvent | None:
    read = past.ledger.read
    found = read(RequestEvent, id=response_id, limit=1)
    if not found:  # of those that carried it, the one it was made for
        carried = read(RequestEvent, response_id=response_id, limit=_LONGEST_CHAIN)
        found = sorted(carried, key=lambda event: event.cached_from is not None)
    return found[0] if found else None
