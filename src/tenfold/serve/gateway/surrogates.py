"""What the gateway tells caches near the user about its answers, and how it has them forget (docs/edge.md).

An answer that a tier may keep, an edge may keep as well, for its own short time. Its surrogate keys are the
tags that a purge here goes by, so that one purge clears both. It knows no edge's kind.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

from tenfold.serve.cache.purge import EVERYTHING, model_tag, tenant_tag
from tenfold.serve.edge.contract import SurrogateControl
from tenfold.serve.edge.origin import EdgeAddress, purge, surrogate_headers

log = logging.getLogger("tenfold.gateway")

_ODD = re.compile(r"[^A-Za-z0-9._:-]")
_MAX_KNOWN = 4096


class Surrogates:
    """Header lines by tenant and model: few, so they are made once."""

    def __init__(self, max_age_s: int) -> None:
        self._control = SurrogateControl(
            max_age_s=max_age_s, stale_while_revalidate_s=max_age_s, stale_if_error_s=max_age_s
        )
        self._lines: dict[tuple[str, str], bytes] = {}

    def lines(self, tenant: str, digest: str) -> bytes:
        lines = self._lines.get((tenant, digest))
        if lines is None:
            if len(self._lines) >= _MAX_KNOWN:
                self._lines.clear()
            keys = [EVERYTHING, surrogate_key(tenant_tag(tenant))]
            if digest:
                keys.append(surrogate_key(model_tag(digest)))
            lines = self._lines[(tenant, digest)] = surrogate_headers(self._control, keys)
        return lines


def surrogate_key(tag: str) -> str:
    """The tag as a header can carry it."""
    return _ODD.sub("_", tag)


async def purge_edges(edges: Sequence[EdgeAddress], tags: Sequence[str]) -> list[str]:
    """Have every edge forget what carries one of `tags`. Returns what went wrong, one line per edge."""
    troubles = []
    for told in await purge(edges, [surrogate_key(tag) for tag in tags]):
        if told.error is not None:
            log.error("the edge %s was not purged: %s", told.url, told.error)
            troubles.append(f"{told.url}: {told.error}")
    return troubles
