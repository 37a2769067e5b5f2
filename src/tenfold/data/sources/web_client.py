"""GET, patiently: retries with back-off, a bounded body, credentials for one origin only.

Knows HTTP; knows neither pages nor records.
"""

from __future__ import annotations

import email.message
import http.client
import io
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tenfold.data.sources.limits import Limits
from tenfold.data.sources.moment import moment
from tenfold.data.sources.unpacking import Fault, Unpacked

_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names in small letters."""
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    attempts: int = 6
    """Per request, 1 or more."""
    wait_s: float = 1.0
    """Before the second attempt; doubled each time, with a random part; Retry-After goes before it."""
    timeout_s: float = 60.0
    """Without a byte."""


def origin(url: str) -> tuple[str, str]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.netloc


def get(url: str, headers: Mapping[str, str], patience: Patience, limits: Limits) -> Answer | Fault:
    """The answer, 304 included, or why there is none after all attempts: `http_status`, `io`, `truncated`,
    `too_long`, `bomb`, `corrupt`."""
    opener = urllib.request.build_opener(_SameOrigin)
    fault = Fault("io", "not tried")
    asked: float | None = None
    for attempt in range(max(patience.attempts, 1)):
        if attempt:
            time.sleep(_wait_s(asked, patience, attempt))
        asked = None
        request = urllib.request.Request(url, headers=dict(headers))
        try:
            with opener.open(request, timeout=patience.timeout_s) as response:
                body = _body(response, limits)
                if not isinstance(body, Fault):
                    return Answer(response.status, _small(response.headers), body)
                fault = body
                if fault.cause in ("too_long", "bomb"):
                    return fault
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 304:
                    return Answer(304, _small(error.headers), b"")
                fault = Fault("http_status", f"HTTP status {error.code}")
                if error.code not in _AGAIN:
                    return fault
                asked = _asked_s(error.headers.get("Retry-After"))
        except http.client.IncompleteRead:
            fault = Fault("truncated", "the answer stops before its end")
        except urllib.error.URLError as error:
            fault = Fault("io", f"not reached: {error.reason}")
        except (OSError, http.client.HTTPException) as error:
            fault = Fault("io", f"not reached: {error or type(error).__name__}")
    return fault


class _SameOrigin(urllib.request.HTTPRedirectHandler):
    """Follows redirects within the origin; to another one only without credentials."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        made = super().redirect_request(req, fp, code, msg, headers, newurl)
        if made is not None and origin(newurl) != origin(req.full_url):
            made.remove_header("Authorization")
        return made


def _body(response: Any, limits: Limits) -> bytes | Fault:
    limit = limits.file_bytes
    data: bytes = response.read(limit + 1)
    if len(data) > limit:
        return Fault("too_long", f"an answer of more than {limit} bytes")
    told = response.headers.get("Content-Length")
    if told is not None and told.isdigit() and len(data) < int(told):
        return Fault("truncated", f"{len(data)} of {told} bytes came")
    if response.headers.get("Content-Encoding", "").lower() not in ("gzip", "x-gzip"):
        return data
    stream = Unpacked(io.BytesIO(data), limits)
    unpacked = io.BufferedReader(stream).read(limit + 1)
    if stream.fault is not None:
        return stream.fault
    if len(unpacked) > limit:
        return Fault("bomb", f"{len(data)} bytes unpack to more than {limit}")
    return unpacked


def _small(headers: email.message.Message) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _asked_s(retry_after: str | None) -> float | None:
    """Seconds or a date (RFC 9110, 10.2.3)."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(retry_after)
    when = moment(retry_after)
    return None if when is None else max(0.0, when.timestamp() - time.time())


def _wait_s(asked: float | None, patience: Patience, attempt: int) -> float:
    wait_s = patience.wait_s * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
    return min(wait_s if asked is None else asked, _LONGEST_WAIT_S)
