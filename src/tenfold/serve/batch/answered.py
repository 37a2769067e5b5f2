"""The answer to one line: which file it goes to, whether to ask again, and how it is written down.

It knows no batch and asks nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from tenfold.serve.refusal import Refusal

MAX_TRIES = 5
"""Of a line whose answer is an error of a server."""
_PATIENT = frozenset({429, 503})
"""Nobody is at fault: worth waiting for as long as the batch has time."""
_TRANSIENT = frozenset({408, 409, 500, 502})
"""Not 504: all the time that an answer may take was spent."""
_RETRY_AFTER = re.compile(rb"^retry-after: ([0-9]{1,9})\r$", re.IGNORECASE | re.MULTILINE)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Answered:
    status: int
    body: bytes
    request_id: str
    wait_s: float | None = None
    """What its Retry-After says."""

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    def worth_another(self, tries: int) -> bool:
        """Whether the same question may be answered better later, after so many tries."""
        if self.status in _PATIENT:
            # A budget that requests under way hold may have room again, and says when to look.
            return self._code() != "insufficient_quota" or self.wait_s is not None
        return self.status in _TRANSIENT and tries < MAX_TRIES

    def line(self, id: str, custom_id: str) -> bytes:
        """As OpenAI writes it, without the line's end."""
        try:
            orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return error_line(id, custom_id, "invalid_response", "The answer was not JSON.")
        # Line ends stand between the tokens of JSON only, where a space says the same.
        body = self.body.replace(b"\n", b" ").replace(b"\r", b" ")
        return orjson.dumps(
            {
                "id": id,
                "custom_id": custom_id,
                "response": {
                    "status_code": self.status,
                    "request_id": self.request_id,
                    "body": orjson.Fragment(body),
                },
                "error": None,
            }
        )

    def _code(self) -> Any:
        try:
            return orjson.loads(self.body)["error"]["code"]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None


def refused(refusal: Refusal, request_id: str = "") -> Answered:
    return Answered(refusal.status, refusal.body(), request_id)


def error_line(id: str, custom_id: str, code: str, message: str) -> bytes:
    """Of a line that has no answer."""
    return orjson.dumps(
        {
            "id": id,
            "custom_id": custom_id,
            "response": None,
            "error": {"code": code, "message": message},
        }
    )


def pause_s(tries: int, told_s: float | None) -> float:
    """Before try number `tries` + 1. `told_s`: what a Retry-After says."""
    if told_s is None:
        told_s = _FIRST_PAUSE_S * 2.0 ** min(max(tries - 1, 0), 10)
    return min(_LONGEST_PAUSE_S, told_s)


def told_wait_s(lines: bytes) -> float | None:
    """What Retry-After says, in seconds, among header lines."""
    found = _RETRY_AFTER.search(lines)
    return None if found is None else float(found[1])
