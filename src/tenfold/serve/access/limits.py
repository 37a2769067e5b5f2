"""Rate limits: requests and tokens per minute, as a sliding window over counters that workers share.

The rate is the current minute's count plus the previous minute's, weighted with the part of it that a
window of one minute ending now still covers (Cloudflare, "How we built rate limiting capable of scaling
to millions of domains", 2017). A request that is refused is not counted. Tokens are known only after an
answer, so a request is let in while there is any room for tokens.

Exact within a host, but for what workers do in the same microsecond: each looks before it counts, so at
most one request per other worker gets in above a limit. Knows grants and counters; no HTTP but headers.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from tenfold.errors import InfrastructureError
from tenfold.serve.access.counters import COUNT_BITS, EPOCH_S, WINDOW_S, Counters, minutes_of
from tenfold.serve.access.grant import Cap, Grant
from tenfold.serve.refusal import Refusal, retry_after

log = logging.getLogger("tenfold.gateway")

_NO_LIMIT = 1 << 62
_SETTLING = 0.02
"""After this part of a window the previous one is summed up again: a worker may have counted late."""
_SUSPICIOUS = 1 << (COUNT_BITS - 1)
"""No window has this many requests or tokens: a cell has come to life, or the row is another's."""


class Meter:
    """One limit of one process: where its counters are, and what is known of this window.

    A floor is what the cells of this window add up to without their counts: their window numbers, and the
    old cells as they are. So a count is one sum less the floor; a worker that counts for the first time in
    this window lifts the sum by a whole window number, and the floor is looked up anew.
    """

    __slots__ = (
        "before_requests", "before_tokens", "cap", "own_requests", "own_tokens", "request_floor",
        "requests_at", "row", "rpm", "since", "sure_requests", "sure_tokens", "tag", "token_floor",
        "tokens_at", "tpm", "until",
    )  # fmt: skip

    def __init__(self, cap: Cap, tag: int, row: int) -> None:
        self.cap = cap
        # A hair more than the limit: after the wait that a refusal names there must be room.
        self.rpm = _NO_LIMIT if cap.rpm is None else cap.rpm * (1 + 1e-9) + 1e-6
        self.tpm = _NO_LIMIT if cap.tpm is None else cap.tpm
        self.tag = tag
        self.row = row
        self.requests_at = self.tokens_at = 0
        """Bytes into the file: this window's cells."""
        self.own_requests = self.own_tokens = 0
        """Words into it: this worker's."""
        self.request_floor = self.token_floor = 0
        self.before_requests = self.before_tokens = 0
        """The previous window's."""
        self.sure_requests = self.sure_tokens = 0
        """Below these there is room, however much of the previous window still counts."""
        self.since = self.until = 0.0
        """Windows between which the rest holds."""


class Limits:
    """All rate limits, as one worker sees and counts them."""

    def __init__(
        self, counters: Counters | None = None, *, now: Callable[[], float] = time.time
    ) -> None:
        """Without `counters`: this process's own."""
        self.counters = counters or Counters(None)
        self._now = now
        self._map = self.counters.map
        self._words = self.counters.words
        self._tagged = self.counters.tagged
        self._cells = self.counters.cells

    def admit(self, grant: Grant) -> None:
        """Count one request. Raises Refusal (429), and counts nothing, when a limit is reached; 503 when
        more limits are in use than there is room for."""
        meters = grant.meters
        if meters is None:
            meters = self._attach(grant)
        if not meters:
            return
        minutes = (self._now() - EPOCH_S) / WINDOW_S
        map, tagged = self._map, self._tagged
        for meter in meters:
            if not meter.since <= minutes < meter.until:
                self._turn(meter, minutes)
            requests = sum(tagged(map, meter.requests_at)) - meter.request_floor
            if not 0 <= requests < meter.sure_requests:
                self._weigh(meter, minutes)
            elif meter.tpm != _NO_LIMIT:
                tokens = sum(self._cells(map, meter.tokens_at)) - meter.token_floor
                if not 0 <= tokens < meter.sure_tokens:
                    self._weigh(meter, minutes)
        words = self._words
        base = int(minutes) << COUNT_BITS
        for meter in meters:
            cell = words[meter.own_requests]
            words[meter.own_requests] = (cell if cell >= base else base) + 1

    def _weigh(self, meter: Meter, minutes: float) -> None:
        """The exact word, when it is not sure that there is room. Raises Refusal."""
        requests, tokens = self._look(meter, minutes)
        left = 1.0 - minutes % 1.0
        if requests + meter.before_requests * left + 1.0 > meter.rpm:
            raise self._refused(meter, "requests")
        if tokens + meter.before_tokens * left >= meter.tpm:
            raise self._refused(meter, "tokens")

    def spent(self, grant: Grant, tokens: int) -> None:
        """Count what an answer came to, prompt and completion together."""
        meters = grant.meters
        if not meters or tokens <= 0:
            return
        minutes = (self._now() - EPOCH_S) / WINDOW_S
        base = int(minutes) << COUNT_BITS
        words = self._words
        for meter in meters:
            if not meter.since <= minutes < meter.until:
                self._turn(meter, minutes)
            cell = words[meter.own_tokens]
            words[meter.own_tokens] = (cell if cell >= base else base) + tokens

    def headers(self, grant: Grant) -> tuple[tuple[bytes, bytes], ...]:
        """`x-ratelimit-*` as OpenAI has them, of the limit of each kind that has least room left."""
        meters = self._attach(grant) if grant.meters is None else grant.meters
        told: list[tuple[bytes, bytes]] = []
        for kind in ("requests", "tokens"):
            found = [
                (limit, *self._room(meter, kind))
                for meter in meters
                if (limit := meter.cap.rpm if kind == "requests" else meter.cap.tpm) is not None
            ]
            if found:
                limit, remaining, reset_s = min(found, key=lambda f: f[1])
                name = kind.encode()
                told.append((b"x-ratelimit-limit-" + name, str(limit).encode()))
                told.append((b"x-ratelimit-remaining-" + name, str(remaining).encode()))
                told.append((b"x-ratelimit-reset-" + name, duration(reset_s)))
        return tuple(told)

    def counts(self, cap: Cap) -> tuple[float, float]:
        """(requests, tokens) of the minute that ends now, over all workers."""
        meter = self._meter(cap)
        requests, tokens, left = self._sums(meter)
        return (
            requests + meter.before_requests * left,
            tokens + meter.before_tokens * left,
        )

    def _attach(self, grant: Grant) -> tuple[Meter, ...]:
        meters = grant.meters = tuple(self._meter(cap) for cap in grant.caps)
        return meters

    def _meter(self, cap: Cap) -> Meter:
        return Meter(cap, *self._claim(cap))

    def _claim(self, cap: Cap) -> tuple[int, int]:
        try:
            return self.counters.claim(cap.name, int(minutes_of(self._now())))
        except InfrastructureError as error:
            log.error("rate limits cannot be checked: %s", error)
            raise Refusal(
                503,
                "Rate limits cannot be checked at the moment.",
                code="limits_unavailable",
                headers=(retry_after(1),),
            ) from error

    def _turn(self, meter: Meter, minutes: float) -> None:
        """Into the window of a time: where its cells are, and the previous window's sums."""
        window = int(minutes)
        counters = self.counters
        if self._words[meter.row] != meter.tag:  # given away while nobody used it
            meter.tag, meter.row = self._claim(meter.cap)
        start = meter.row + (window & 1) * counters.block
        meter.requests_at = start << 3
        meter.tokens_at = (start + 1 + counters.columns) << 3
        meter.own_requests = start + 1 + counters.worker
        meter.own_tokens = meter.own_requests + counters.columns
        meter.before_requests, meter.before_tokens = self._count(meter, window - 1)[:2]
        meter.sure_requests = min(_SUSPICIOUS, int(meter.rpm - meter.before_requests))
        meter.sure_tokens = min(_SUSPICIOUS, int(meter.tpm - meter.before_tokens))
        self._look(meter, minutes)
        settled = window + _SETTLING
        meter.since, meter.until = (
            (float(window), settled) if minutes < settled else (settled, window + 1.0)
        )

    def _look(self, meter: Meter, minutes: float) -> tuple[int, int]:
        """Count cell by cell, and keep the floors."""
        if self._words[meter.row] != meter.tag:
            self._turn(meter, minutes)
        requests, tokens, meter.request_floor, meter.token_floor = self._count(meter, int(minutes))
        return requests, tokens

    def _count(self, meter: Meter, window: int) -> tuple[int, int, int, int]:
        """(requests, tokens, and the floors of both) of a window."""
        counters = self.counters
        base, after = window << COUNT_BITS, (window + 1) << COUNT_BITS
        start = (meter.row + (window & 1) * counters.block) << 3
        cells = self._tagged(self._map, start)
        requests = sum(cell - base for cell in cells[1:] if base <= cell < after)
        request_floor = sum(cells) - requests
        cells = self._cells(self._map, start + ((1 + counters.columns) << 3))
        tokens = sum(cell - base for cell in cells if base <= cell < after)
        return requests, tokens, request_floor, sum(cells) - tokens

    def _sums(self, meter: Meter) -> tuple[int, int, float]:
        """(requests, tokens) of this window, and what is left of it."""
        minutes = (self._now() - EPOCH_S) / WINDOW_S
        self._turn(meter, minutes)
        return (*self._count(meter, int(minutes))[:2], 1.0 - minutes % 1.0)

    def _room(self, meter: Meter, kind: str) -> tuple[int, float]:
        """(how many more fit now, seconds until the limit is all there again)."""
        requests, tokens, left = self._sums(meter)
        if kind == "requests":
            limit, current, before = meter.rpm, requests, meter.before_requests
        else:
            limit, current, before = meter.tpm, tokens, meter.before_tokens
        room = max(0, int(limit - current - before * left))
        if not current and not before:
            return room, 0.0
        return room, WINDOW_S * (left + (1.0 if current else 0.0))

    def _refused(self, meter: Meter, kind: str) -> Refusal:
        requests, tokens, left = self._sums(meter)
        if kind == "requests":
            wait = wait_s(requests, meter.before_requests, meter.rpm - 1, left)
            limit, what = meter.cap.rpm, "RPM"
        else:
            # Any room will do: the count must fall below the limit.
            wait = wait_s(tokens, meter.before_tokens, meter.tpm - 1, left)
            limit, what = meter.cap.tpm, "TPM"
        whose = "this API key" if meter.cap.name.startswith("key:") else "this organization"
        room, reset_s = self._room(meter, kind)
        name = kind.encode()
        return Refusal(
            429,
            f"Rate limit reached for {whose} on {kind} per min ({what}): Limit {limit}. "
            f"Please try again in {max(1, math.ceil(wait))}s.",
            code="rate_limit_exceeded",
            headers=(
                retry_after(wait),
                (b"x-ratelimit-limit-" + name, str(limit).encode()),
                (b"x-ratelimit-remaining-" + name, str(room).encode()),
                (b"x-ratelimit-reset-" + name, duration(reset_s)),
            ),
        )


def wait_s(current: int, before: int, room: float, left: float) -> float:
    """Seconds until current + before * (what is left of the window) is at most `room`, if nothing more
    is counted."""
    if current + before * left <= room:
        return 0.0
    if current <= room and before:
        return WINDOW_S * (left - (room - current) / before)
    # Not in this window: in the next one, today's count is the previous one's.
    later = max(0.0, 1.0 - room / current) if current else 0.0
    return WINDOW_S * (left + later)


def duration(seconds: float) -> bytes:
    """As OpenAI writes it: `17ms`, `1.2s`, `6m0s`."""
    if seconds < 1:
        return b"%dms" % math.ceil(seconds * 1000)
    if seconds < 60:
        return f"{math.ceil(seconds * 1000) / 1000:g}s".encode()
    whole = math.ceil(seconds)
    return b"%dm%ds" % divmod(whole, 60)
