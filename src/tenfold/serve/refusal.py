"""Errors as clients of the OpenAI protocol expect them: `{"error": {message, type, param, code}}`.

One place maps what may go wrong to a status. It knows no route and writes nothing to a socket.
"""

from __future__ import annotations

import math

import orjson

from tenfold.errors import BackendError, InputError, TenfoldError, UnknownName, suggestion
from tenfold.serve.backends.base import BackendRefusal, PromptTooLong

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "timeout_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    499: "client_error",
}


class Refusal(TenfoldError):
    """A request that gets no answer, with the status and the fields of the protocol's error object."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
        closes: bool = False,
    ) -> None:
        """`closes`: nothing more is taken from this connection."""
        self.closes = closes
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = headers
        super().__init__(message)

    def body(self) -> bytes:
        return orjson.dumps({"error": self.error()})

    def error(self) -> dict[str, str | None]:
        return {
            "message": self.message,
            "type": _TYPES.get(self.status, "server_error"),
            "param": self.param,
            "code": self.code,
        }


def loggable(text: str, most: int = 200) -> str:
    """What a client or a server said, short enough and printable enough for a log, a header and a database:
    `most` characters."""
    if len(text) <= most and text.isprintable():
        return text
    return "".join(c if c.isprintable() else "?" for c in text[:most])


def retry_after(seconds: float) -> tuple[bytes, bytes]:
    """A `Retry-After` header: whole seconds, at least one, at most an hour."""
    return (b"retry-after", str(math.ceil(min(3600.0, max(1.0, seconds)))).encode())


def unknown_model(name: str, known: list[str]) -> Refusal:
    hint = suggestion(name, known)
    return Refusal(
        404,
        f"The model `{name}` does not exist or is not served here." + (f" {hint}" if hint else ""),
        code="model_not_found",
        param="model",
    )


def refusal_of(error: BaseException, prompt: str | None = None) -> Refusal:
    """The refusal that tells a client about `error` without telling it about our insides. `prompt` is the
    field that holds what a model reads."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, PromptTooLong):
        return Refusal(
            400,
            f"This model's maximum context length is {error.limit_tokens} tokens, but the prompt "
            f"has {error.num_tokens}. {error.hint or ''}".rstrip(),
            code="context_length_exceeded",
            param=prompt,
        )
    if isinstance(error, BackendRefusal):
        wait = () if error.retry_after_s is None else (retry_after(error.retry_after_s),)
        return Refusal(
            error.status, _one_line(error), code=error.code, param=error.param, headers=wait
        )
    if isinstance(error, UnknownName) and error.what == "model":
        return Refusal(404, _one_line(error), code="model_not_found", param="model")
    if isinstance(error, UnknownName | InputError):
        return Refusal(400, _one_line(error), code="invalid_value")
    if isinstance(error, BackendError):
        return Refusal(502, _one_line(error), code="backend_unavailable")
    if isinstance(error, TimeoutError):
        return Refusal(504, "The answer took too long and was given up.", code="timeout")
    return Refusal(500, "The gateway failed on this request; its log has the reason.")


def _one_line(error: TenfoldError) -> str:
    return error.fact + (f" ({error.hint})" if error.hint else "")
