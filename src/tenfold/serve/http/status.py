"""Status lines, ready to write. Values only."""

from __future__ import annotations

from http import HTTPStatus

STATUS_LINES: dict[int, bytes] = {
    number: b"HTTP/1.1 %d \r\n" % number for number in range(200, 600)
} | {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode())
    for status in HTTPStatus
    if status >= 200
}
BODILESS = (204, 205, 304)
"""Answers of these have no body, whatever a handler says."""
