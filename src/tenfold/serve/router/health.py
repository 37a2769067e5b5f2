"""Active checks: a member that can be probed is asked, now and then, whether it is well.

Two failed probes in a row eject it, as failed requests do; one that succeeds lets an ejected member be tried
before its pause is over. A probe alone never ends an ejection: a server whose `/health` is well and whose
answers fail is not. Requests need none of this; it knows no model and no policy.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from tenfold.serve.router.breaker import CLOSED, OPEN
from tenfold.serve.router.config import RouterConfig
from tenfold.serve.router.member import Member

log = logging.getLogger("tenfold.gateway")

_PROBES_TO_OPEN = 2
_LOOK_S = 10.0
"""While checks are off: how soon it is seen that they were turned on."""


@runtime_checkable
class Probing(Protocol):
    """A backend that can be asked whether it is well, cheaply (`GET /health` or `/v1/models`)."""

    async def probe(self) -> None:
        """Raises whatever is wrong."""
        ...


async def watch(
    member: Member,
    config: Callable[[], RouterConfig],
    now: Callable[[], float] = time.monotonic,
    draw: Callable[[], float] = random.random,
) -> None:
    """Probe a member until cancelled. Its backend can be probed."""
    backend = member.backend
    assert isinstance(backend, Probing)
    in_a_row = 0
    while True:
        settings = config()
        interval_s = settings.probe_interval_s
        # Jitter keeps the workers of a host, and its neighbours, from probing in step.
        await asyncio.sleep((interval_s or _LOOK_S) * (0.8 + 0.4 * draw()))
        if interval_s is None:
            continue
        breaker = member.breaker
        try:
            async with asyncio.timeout(settings.probe_timeout_s):
                await backend.probe()
        except Exception as error:
            in_a_row += 1
            member.num_failed_probes += 1
            member.error = error
            if in_a_row >= _PROBES_TO_OPEN and breaker.state == CLOSED and breaker.may_open():
                log.warning("backend %s is ejected, its probes fail: %s", member.name, error)
                breaker.open(now())
        else:
            in_a_row = 0
            if breaker.state == OPEN:
                breaker.half_open()
