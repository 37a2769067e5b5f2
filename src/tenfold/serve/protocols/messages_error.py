"""Errors as Anthropic's clients expect them: `{"type":"error","error":{type,message},"request_id"}`.

It knows no route.
"""

from __future__ import annotations

import orjson

from tenfold.serve.refusal import Refusal

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


PATH = "/v1/messages"
"""What is below it is Anthropic's too."""


def error_of(path: str, refusal: Refusal, request_id: str) -> bytes:
    """The body of an error, as clients that ask for `path` expect it."""
    if path == PATH or path.startswith(PATH + "/"):
        return error_body(refusal, request_id)
    return refusal.body()


def error_body(refusal: Refusal, request_id: str) -> bytes:
    kind = _TYPES.get(
        refusal.status, "invalid_request_error" if refusal.status < 500 else "api_error"
    )
    return orjson.dumps(
        {
            "type": "error",
            "error": {"type": kind, "message": refusal.message},
            "request_id": request_id,
        }
    )


def error_event(refusal: Refusal, request_id: str) -> bytes:
    """The last event of a stream that broke off."""
    return b"event: error\ndata: %b\n\n" % error_body(refusal, request_id)
