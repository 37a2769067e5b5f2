"""What the requests of this process added up to, batch by batch.

The recorder's thread hands over the requests that ended since it last looked; the event loop counts
nothing. Series that a client's words could multiply are bounded. It reads no clock and writes no text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

from tenfold.serve.gateway import families
from tenfold.serve.gateway.exchange import Exchange
from tenfold.serve.gateway.snapshot import Tally

CLIENT_GONE = 499
_MAX_NAMES = 1_000
"""Models, and reasons of refusals, told apart; what comes beyond is counted as `other`."""
_AT = {name: index for index, name in enumerate(Exchange.__struct_fields__)}
_kind_of = itemgetter(
    *(
        _AT[name]
        for name in (
            "endpoint", "tier", "status", "backend", "model", "refused_for", "follower", "asked",
        )
    )
)  # fmt: skip
_LATENCY, _TTFT, _UPSTREAM = _AT["latency_s"], _AT["ttft_s"], _AT["upstream_s"]
_PROMPT, _COMPLETION = _AT["prompt_tokens"], _AT["completion_tokens"]
_RETRIES, _HEDGES = _AT["retries"], _AT["hedges"]

Row = tuple[Any, ...]


class Metrics:
    """Counters and histograms of requests. For one thread; `tally` is copied for others."""

    def __init__(self) -> None:
        self.tally = Tally()
        self._models: set[str] = set()
        self._reasons: set[str] = set()

    def take(self, rows: Sequence[Row]) -> None:
        """Exchanges that ended, as rows of their fields. Those that are alike are counted together."""
        groups: defaultdict[Row, list[Row]] = defaultdict(list)
        for row in rows:
            groups[_kind_of(row)].append(row)
        for kind, alike in groups.items():
            self._count(kind, alike)

    def _count(self, kind: Row, rows: Sequence[Row]) -> None:
        endpoint, tier, status, backend, model, refused_for, follower, asked = kind
        add, observe = self.tally.add, self.tally.observe
        add(families.REQUESTS, len(rows), endpoint, tier, status)
        observe(families.LATENCY, [row[_LATENCY] for row in rows], tier)
        prompt = sum([row[_PROMPT] or 0 for row in rows])
        completion = sum([row[_COMPLETION] or 0 for row in rows])
        add(families.TOKENS, prompt, tier, "prompt")
        add(families.TOKENS, completion, tier, "completion")
        firsts = [row[_TTFT] for row in rows if row[_TTFT] is not None]
        if firsts:
            observe(families.TTFT, firsts, tier)
        for name in asked:
            add(families.LOOKUPS, len(rows), name, "hit" if name == tier else "miss")
            if name == tier:
                break
        if backend:
            known = _bounded(self._models, model)
            add(families.MODEL_REQUESTS, len(rows), known, backend)
            add(families.MODEL_TOKENS, prompt, known, "prompt")
            add(families.MODEL_TOKENS, completion, known, "completion")
            self._attempts(backend, rows)
        if refused_for:
            add(families.REFUSED, len(rows), _bounded(self._reasons, refused_for))
        if follower:
            add(families.FOLLOWERS, len(rows))
        if status == CLIENT_GONE:
            add(families.GONE, len(rows))

    def _attempts(self, backend: str, rows: Sequence[Row]) -> None:
        for family, at in ((families.RETRIES, _RETRIES), (families.HEDGES, _HEDGES)):
            further = sum([row[at] for row in rows])
            if further > 0:
                self.tally.add(family, further, backend)
        added = [
            max(0.0, (row[_LATENCY] if row[_TTFT] is None else row[_TTFT]) - row[_UPSTREAM])
            for row in rows
            if row[_UPSTREAM] is not None
        ]
        if added:
            self.tally.observe(families.ADDED, added)


def _bounded(seen: set[str], name: str) -> str:
    if name not in seen:
        if len(seen) >= _MAX_NAMES:
            return "other"
        seen.add(name)
    return name
