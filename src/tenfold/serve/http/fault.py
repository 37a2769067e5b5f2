"""What is wrong with the bytes a client sent. Raised by readers, answered by the connection."""

from __future__ import annotations


class Fault(Exception):
    """A request that is refused before a handler sees it. `code` is for programs, the message for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(message)


def malformed(message: str) -> Fault:
    """400: bytes that two readers could understand in two ways are understood in none."""
    return Fault(400, "bad_request", message)


def too_large(limit_bytes: int) -> Fault:
    return Fault(
        413,
        "request_too_large",
        f"The request body is larger than the {limit_bytes:,} bytes that are taken here.",
    )
