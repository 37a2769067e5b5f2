"""Rate limits: requests and tokens per minute, as a sliding window over counters that workers share.

The rate is the current minute's count plus the previous minute's, weighted with the part of it that a
window of one minute ending now still covers (Cloudflare, "How we built rate limiting capable of scaling
to millions of domains", 2017). A request that is refused is not counted. Tokens are known only after an
answer, so a request is let in while there is any room for tokens.

Exact within a host, but for what workers do in the same microsecond: each looks before it counts, so at
most one request per other worker gets in above a limit. Knows grants and counters; no HTTP but headers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from tenfold.errors import InfrastructureError
from tenfold.serve.access.counters import COUNT_BITS, WINDOW_S, Counters
from tenfold.serve.access.grant import Cap, Grant
from tenfold.serve.refusal import Refusal, retry_after

_NO_LIMIT = 1 << 62
_SETTLING = 0.98
"""While more than this is left of a window, the previous one may still get a late count."""


class Meter:
    """One limit of one process: where its counters are, and the previous window's sums."""

    __slots__ = ("before_requests", "before_tokens", "cap", "row", "rpm", "tag", "tpm", "window")

    def __init__(self, cap: Cap, tag: int, row: int) -> None:
        self.cap = cap
        self.rpm = _NO_LIMIT if cap.rpm is None else cap.rpm
        self.tpm = _NO_LIMIT if cap.tpm is None else cap.tpm
        self.tag = tag
        self.row = row
        self.window = -1
        self.before_requests = 0
        self.before_tokens = 0


class Limits:
    """All rate limits, as one worker sees and counts them."""

    def __init__(
        self, counters: Counters | None = None, *, now: Callable[[], float] = time.time
    ) -> None:
        """Without `counters`: this process's own."""
        self.counters = counters or Counters(None)
        self._now = now
        self._read = self.counters.read
        self._words = self.counters.words
        self._block = self.counters.block
        self._tokens_at = 1 + self.counters.columns
        self._own = 1 + self.counters.worker

    def admit(self, grant: Grant) -> None:
        """Count one request. Raises Refusal (429), and counts nothing, when a limit is reached."""
        meters = grant.meters
        if meters is None:
            meters = self._attach(grant)
        if not meters:
            return
        minutes = self._now() / WINDOW_S
        window = int(minutes)
        left = 1.0 - (minutes - window)
        half = (window & 1) * self._block
        base = window << COUNT_BITS
        split = self._tokens_at
        for meter in meters:
            cells = self._read(self.counters.map, (meter.row + half) << 3)
            if cells[0] != meter.tag:
                self._reclaim(meter)
                cells = self._read(self.counters.map, (meter.row + half) << 3)
            if meter.window != window or left > _SETTLING:
                self._turn(meter, window)
            requests = 0
            for cell in cells[1:split]:
                if cell >= base:
                    requests += cell - base
            if requests + meter.before_requests * left + 1.0 > meter.rpm:
                raise self._refused(meter, "requests", window)
            if meter.tpm != _NO_LIMIT:
                tokens = 0
                for cell in cells[split:]:
                    if cell >= base:
                        tokens += cell - base
                if tokens + meter.before_tokens * left >= meter.tpm:
                    raise self._refused(meter, "tokens", window)
        words = self._words
        for meter in meters:
            index = meter.row + half + self._own
            cell = words[index]
            words[index] = (cell if cell >= base else base) + 1

    def spent(self, grant: Grant, tokens: int) -> None:
        """Count what an answer came to, prompt and completion together."""
        meters = grant.meters
        if not meters or tokens <= 0:
            return
        window = int(self._now() / WINDOW_S)
        base = window << COUNT_BITS
        words = self._words
        for meter in meters:
            start = meter.row + (window & 1) * self._block
            if words[start] != meter.tag:
                self._reclaim(meter)
                start = meter.row + (window & 1) * self._block
            index = start + self._own + self.counters.columns
            cell = words[index]
            words[index] = (cell if cell >= base else base) + tokens

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
        meter = Meter(cap, *self.counters.claim(cap.name, int(self._now() / WINDOW_S)))
        requests, tokens, left = self._sums(meter)
        return (
            requests + meter.before_requests * left,
            tokens + meter.before_tokens * left,
        )

    def _attach(self, grant: Grant) -> tuple[Meter, ...]:
        try:
            meters = tuple(
                Meter(cap, *self.counters.claim(cap.name, int(self._now() / WINDOW_S)))
                for cap in grant.caps
            )
        except InfrastructureError as error:
            raise _unavailable(error) from error
        grant.meters = meters
        return meters

    def _reclaim(self, meter: Meter) -> None:
        """Its row was given away while nobody used it."""
        try:
            meter.tag, meter.row = self.counters.claim(meter.cap.name, int(self._now() / WINDOW_S))
        except InfrastructureError as error:
            raise _unavailable(error) from error
        meter.window = -1

    def _turn(self, meter: Meter, window: int) -> None:
        """A new window: sum the previous one up, once."""
        requests, tokens = self._window(meter, window - 1)
        meter.before_requests, meter.before_tokens = requests, tokens
        meter.window = window

    def _window(self, meter: Meter, window: int) -> tuple[int, int]:
        base = window << COUNT_BITS
        after = base + (1 << COUNT_BITS)
        cells = self._read(self.counters.map, (meter.row + (window & 1) * self._block) << 3)
        split = self._tokens_at
        return (
            sum(cell - base for cell in cells[1:split] if base <= cell < after),
            sum(cell - base for cell in cells[split:] if base <= cell < after),
        )

    def _sums(self, meter: Meter) -> tuple[int, int, float]:
        minutes = self._now() / WINDOW_S
        window = int(minutes)
        self._turn(meter, window)
        return (*self._window(meter, window), 1.0 - (minutes - window))

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

    def _refused(self, meter: Meter, kind: str, window: int) -> Refusal:
        requests, tokens, left = self._sums(meter)
        if kind == "requests":
            wait = wait_s(requests, meter.before_requests, meter.rpm - 1, left)
            limit, what = meter.rpm, "RPM"
        else:
            # Any room will do: the count must fall below the limit.
            wait = wait_s(tokens, meter.before_tokens, meter.tpm - 1, left)
            limit, what = meter.tpm, "TPM"
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


def wait_s(current: int, before: int, room: int, left: float) -> float:
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


def _unavailable(error: InfrastructureError) -> Refusal:
    return Refusal(
        503,
        "Rate limits cannot be checked at the moment.",
        code="limits_unavailable",
        headers=(retry_after(1),),
    )
