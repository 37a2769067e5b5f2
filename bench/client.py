"""A load client that costs little: blocking sockets, one process, requests that differ by a number.

Reads one JSON order a line on stdin and answers with a line each. An order is `{"url", "path", "key",
"model", "first", "distinct", "requests", "concurrency", "tier"}`, its answer `{"latency_us": median,
"wall_s"}`; an order of one request is answered with `{"body_bytes"}`. Knows HTTP/1.1 with Content-Length,
and nothing about gateways but the header that names a tier.
"""

from __future__ import annotations

import json
import socket
import statistics
import sys
import time
from typing import Any
from urllib.parse import urlsplit

TIER = b"\r\nx-tenfold-tier: "


class Connection:
    """One kept connection with at most one request under way."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sent_ns = 0

    def send(self, request: bytes) -> None:
        self._sent_ns = time.perf_counter_ns()
        self._socket.sendall(request)

    def receive(self) -> tuple[bytes, bytes, float]:
        """Head, body, and microseconds since `send`. Raises RuntimeError unless it is a 200."""
        data = self._socket.recv(65536)
        while (end := data.find(b"\r\n\r\n")) < 0 and data:
            data += self._socket.recv(65536)
        head = data[:end]
        length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
        while len(data) < end + 4 + int(length or 0):
            data += self._socket.recv(65536)
        took_us = (time.perf_counter_ns() - self._sent_ns) / 1e3
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not a 200: {data[:2000]!r}")
        return head, data[end + 4 :], took_us

    def close(self) -> None:
        self._socket.close()


def request(order: dict[str, Any], number: int) -> bytes:
    """A chat completion whose question holds `number`, always of the same length."""
    body = json.dumps(
        {
            "model": order["model"],
            "messages": [
                {"role": "system", "content": "You answer questions about the Python language."},
                {"role": "user", "content": f"What does the documentation say on {number:08}?"},
            ],
            "max_tokens": 64,
            "temperature": 0,
        }
    ).encode()
    head = (
        f"POST {order['path']} HTTP/1.1\r\nhost: {urlsplit(order['url']).netloc}\r\n"
        f"authorization: Bearer {order['key']}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send_all(order: dict[str, Any]) -> dict[str, float]:
    """A closed loop: `concurrency` connections, each with one request under way until all are sent."""
    parts = urlsplit(order["url"])
    payloads = [request(order, order["first"] + n) for n in range(order["distinct"])]
    wanted = TIER + order["tier"].encode() if order["tier"] else b""
    crew = [Connection(parts.hostname or "", parts.port or 80) for _ in range(order["concurrency"])]
    latencies_us = []
    started_s = time.perf_counter()
    for place, connection in enumerate(crew):
        connection.send(payloads[place % len(payloads)])
    for number in range(len(crew), order["requests"] + len(crew)):
        connection = crew[number % len(crew)]
        head, _, took_us = connection.receive()
        if wanted not in head:
            raise RuntimeError(f"answered by another tier than {order['tier']}: {head!r}")
        latencies_us.append(took_us)
        if number < order["requests"]:
            connection.send(payloads[number % len(payloads)])
    wall_s = time.perf_counter() - started_s
    for connection in crew:
        connection.close()
    return {"latency_us": statistics.median(latencies_us), "wall_s": wall_s}


def probe(order: dict[str, Any]) -> dict[str, Any]:
    """One request, and how long its answer's body is."""
    parts = urlsplit(order["url"])
    connection = Connection(parts.hostname or "", parts.port or 80)
    connection.send(request(order, order["first"]))
    _, body, _ = connection.receive()
    connection.close()
    return {"body_bytes": len(body)}


if __name__ == "__main__":
    for line in sys.stdin:
        told = json.loads(line)
        print(json.dumps(probe(told) if told["requests"] == 1 else send_all(told)), flush=True)
