"""Reads a gateway's own accounting from its Prometheus page. Knows the text format, no metric by name."""

from __future__ import annotations

import http.client
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from tenfold.errors import BackendError

_SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(\{.*\})?\s+(\S+)")


def parse_counters(text: str) -> dict[str, float]:
    """Metric name -> value, summed over its labels, and each labelled sample under its full name.

    `a_total{part="idle"}` is found as such and within `a_total`. Lines that are not samples are passed over.
    """
    totals: dict[str, float] = {}
    for line in text.splitlines():
        match = None if line.startswith("#") else _SAMPLE.match(line)
        if match:
            try:
                value = float(match[3])
            except ValueError:
                continue
            totals[match[1]] = totals.get(match[1], 0.0) + value
            if match[2]:
                totals[match[1] + match[2]] = value
    return totals


def scrape(url: str, api_key: str = "", timeout_s: float = 10.0) -> Mapping[str, float]:
    """The counters at `{url}/metrics`. Raises BackendError when the page does not come."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=timeout_s)
    try:
        path = parts.path.rstrip("/").removesuffix("/v1") + "/metrics"
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise BackendError(f"the gateway's metrics do not come: {error}", where=url) from None
    finally:
        connection.close()
    if response.status != 200:
        raise BackendError("the gateway refuses its metrics", where=url, seen=response.status)
    return parse_counters(text)
