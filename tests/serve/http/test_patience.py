"""What takes too long ends: heads, bodies, idle connections, clients that do not read. And what may take
long, may."""

from __future__ import annotations

import asyncio
import time

import pytest

from .conftest import read_all

SHORT = {"head_timeout_s": 0.2, "body_timeout_s": 0.2}
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "ends"),
    [
        (b"", b""),
        (b"GET / HT", b"408"),
        (GET[:-2], b"408"),
        (POST, b"408"),
        (POST + b"hello", b"408"),
        (CHUNKED, b"408"),
        (CHUNKED + b"5\r\nhel", b"408"),
        (CHUNKED + b"7a1200\r\nhel", b"408"),  # announced is not received
    ],
)
def test_a_request_that_never_ends(serving, loop_factory, sent, ends):
    with serving(factory=loop_factory, **SHORT) as served:
        answer = served.raw(sent)
        assert answer.split()[1:2] == ([ends] if ends else [])
        if sent:  # the second request of a connection is waited for no longer than the first
            answer = served.raw(GET, sent)
            assert answer.count(b"HTTP/1.1 200") == answer.count(b"HTTP/1.1 408") == 1


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: a\r\n", POST, CHUNKED])
def test_a_byte_now_and_then_does_not_extend_it(serving, sent):
    drip = b"X: y\r\n" * 100 if sent.startswith(b"GET") else b"1\r\nx\r\n" * 100
    drip = drip if sent != POST else b"xxxxxxxxx"
    with serving(**SHORT) as served, served.connect() as connection:
        connection.sendall(sent)
        connection.setblocking(False)
        seen = b""
        for at in range(len(drip)):
            try:
                connection.sendall(drip[at : at + 1])
            except OSError:
                break
            time.sleep(0.1)
            try:
                seen = connection.recv(65536)
            except BlockingIOError:
                continue
            break
        assert b"408" in seen


def test_a_large_body_that_keeps_coming_may_take_its_time(serving):
    limits = {"body_timeout_s": 0.1, "min_body_bytes_per_s": 1000}
    with serving(**limits) as served, served.connect() as connection:
        connection.sendall(POST.replace(b"10", b"10000"))
        for _ in range(10):
            connection.sendall(b"x" * 1000)
            time.sleep(0.1)
        assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_an_idle_connection_is_kept_and_then_closed(serving):
    with serving(keep_alive_s=1.0, **SHORT) as served, served.connect() as connection:
        connection.sendall(GET)
        assert connection.recv(65536)
        time.sleep(0.6)  # more than a head may take
        connection.sendall(GET)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        assert connection.recv(65536) == b""


def test_an_answer_may_take_longer_than_any_of_it(serving):
    def late(request):
        asyncio.get_running_loop().call_later(1, request.reply, 200, b"", b"late")

    limits = {"keep_alive_s": 0.2, "write_timeout_s": 0.2, **SHORT}
    with serving(late, **limits) as served, served.connect() as connection:
        connection.sendall(POST + b"0123456789")
        assert connection.recv(65536).endswith(b"late")


@pytest.mark.parametrize("streamed", [False, True])
def test_a_client_that_reads_nothing_is_cut(serving, streamed):
    gone = []

    def handler(request):
        request.on_gone = lambda: gone.append(request)
        if streamed:
            request.begin(200, b"")
            request.write(b"x" * 20_000_000)
        else:
            request.reply(200, b"", b"x" * 20_000_000)

    with serving(handler, write_timeout_s=0.3) as served, served.connect() as connection:
        connection.sendall(GET)
        deadline = time.monotonic() + 10
        while served.server.num_requests == 0 or served.server.num_connections:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert len(read_all(connection)) < 20_000_000
    assert len(gone) == streamed
