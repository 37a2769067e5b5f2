"""Bytes that no decent client sends, above all those that two readers may read in two ways: each is refused
and the connection ends. A request hidden behind one is never seen by a handler."""

from __future__ import annotations

import json
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .conftest import read_all, running

HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def seen():
    return []


@pytest.fixture(scope="module")
def served(seen):
    def handler(request):
        seen.append(request.path)
        request.reply(200, b"", b"")

    def refuse(status, code, message, path):
        return b"content-type: application/json\r\n", json.dumps([status, code, message]).encode()

    limits = {"max_head_bytes": 8192, "max_target_bytes": 4000, "max_body_bytes": 1000}
    with running(handler, refuse=refuse, max_headers=20, **limits) as made:
        yield made
        assert made.raw(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")


def refusal(answer: bytes) -> tuple[int, str]:
    """Status and code of the only answer there is."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 ")
    assert b"\r\nconnection: close" in head
    status, code, message = json.loads(body)
    assert head.split()[1] == b"%d" % status
    assert message
    return status, code


@pytest.mark.parametrize(
    "sent",
    [
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        POST + b"Content-Length: 5, 5\r\n\r\nhello",
        POST + b"Content-Length: +5\r\n\r\nhello",
        POST + b"Content-Length: -5\r\n\r\nhello",
        POST + b"Content-Length: 0x5\r\n\r\nhello",
        POST + b"Content-Length: 5_0\r\n\r\nhello",
        POST + b"Content-Length:\r\n\r\n",
        POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
        POST + b"Content-Length : 5\r\n\r\nhello",
        POST + b"Content-Length\x0b: 5\r\n\r\nhello",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"X: a\r\n b\r\n\r\n",
        POST + b"X: a\r\n\tContent-Length: 5\r\n\r\nhello",
        POST + b"X: a\rContent-Length: 5\r\n\r\nhello",
        POST + b"X: a\nContent-Length: 5\r\n\r\nhello",
        POST + b"X: a\x00b\r\n\r\n",
        POST + b"X: a\x01b\r\n\r\n",
        POST + b"X\x00: a\r\n\r\n",
        POST + b": a\r\n\r\n",
        POST + b"no colon\r\n\r\n",
        b"POST / HTTP/1.1\r\n Host: localhost\r\n\r\n",
        b"POST / HTTP/1.1\nHost: localhost\n\n" + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
        b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        b"GET / http/1.1\r\nHost: a\r\n\r\n",
        b"GET /\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"NONSENSE / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
        b"SOURCE /x ICE/1.0\r\nHost: a\r\n\r\n",
        b"DESCRIBE /x RTSP/1.0\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_not_read(served, seen, sent):
    seen.clear()
    status, code = refusal(served.raw(sent + HIDDEN))
    assert (status, code) in [(400, "bad_request"), (413, "request_too_large")]
    assert seen == []


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\n",
        b"-1\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5;a=\x00\r\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\nX: a\nY: b\r\n\r\n",
        b"0\r\nX: a\r\n b\r\n\r\n",
        b"0;" + b"x" * 5000,
        b"0\r\n" + b"X: y\r\n" * 4000 + b"\r\n",
        b"1" + b"0" * 30 + b"\r\n",
    ],
)
def test_chunks_that_are_none(served, seen, chunks):
    seen.clear()
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    assert refusal(served.raw(head + chunks + HIDDEN)) == (400, "bad_request")
    assert seen == []


def test_a_body_that_is_all_framing():
    from tenfold.serve.http.chunked import Chunks
    from tenfold.serve.http.fault import Fault

    chunks = Chunks(10**9)
    with pytest.raises(Fault, match="framing"):
        chunks.feed((b"1;" + b"x" * 1000 + b"\r\na\r\n") * 1000)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 5000), 414),
        (b"GET /%b" % (b"x" * 9000), 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %b" % (b"x" * 9000), 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 30 + b"\r\n", 431),
        (POST + b"Content-Length: 1001\r\n\r\n", 413),
        (POST + b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n", 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n3e9\r\n", 413),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n", 413),
        (POST + b"Expect: miracles\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
         b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", 426),
    ],
)  # fmt: skip
def test_too_much_of_anything(served, seen, sent, status):
    seen.clear()
    assert refusal(served.raw(sent))[0] == status
    assert seen == []


def test_a_known_head_with_a_larger_body_is_measured_again(served):
    def one(size):
        return POST + b"Content-Length: %d\r\n\r\n" % size + b"x" * size

    with served.connect() as connection:
        for size in (10, 999, 1000):
            connection.sendall(one(size))
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(one(1001))
        assert refusal(read_all(connection)) == (413, "request_too_large")


@pytest.mark.parametrize("digits", [b"+5", b"5 5", b"", b"0x5", b"-5", b"5,5", b"\xb2", b"5" * 13])
def test_a_known_head_with_a_length_that_is_none_is_read_with_care(served, digits):
    with served.connect() as connection:
        connection.sendall(POST + b"Content-Length: 5\r\n\r\nhello")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(POST + b"Content-Length: " + digits + b"\r\n\r\nhello")
        assert refusal(read_all(connection))[0] in (400, 413)


def test_who_still_sends_a_refused_body_sees_the_answer(served):
    """Closing at once would reset the connection under the answer."""
    with served.connect() as connection:
        connection.sendall(POST + b"Content-Length: 20000000\r\n\r\n")
        for _ in range(200):
            connection.sendall(b"x" * 100_000)
        assert refusal(read_all(connection)) == (413, "request_too_large")


def test_a_refused_body_is_not_read_for_ever(serving):
    with serving(max_body_bytes=10, linger_bytes=100_000) as served, served.connect() as sender:
        sender.sendall(POST + b"Content-Length: 2000000000\r\n\r\n")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            sender.sendall(b"x" * 500_000_000)


def test_the_limit_of_a_body_may_depend_on_its_path(serving):
    def admit_head(method, path, headers):
        return 100_000 if path == "/files" else 10

    with serving(admit_head=admit_head) as served:
        for path, status in ((b"/files", b"200"), (b"/chat", b"413")):
            sent = (
                b"POST %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 50000\r\n\r\n"
            )
            answer = served.raw(sent % path + b"x" * 50_000)
            assert answer.split()[1] == status


def test_a_request_that_was_cut_short_is_none(served, seen):
    seen.clear()
    for sent in (
        b"",
        b"GET",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        POST + b"Content-Length: 5\r\n\r\nhell",
    ):
        assert served.raw(sent, eof=True) == b""
    assert seen == []


def test_empty_lines_before_a_request_are_skipped(served):
    last = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    assert served.raw(b"\r\n\r\n" + HIDDEN + b"\r\n\r\n\r\n" + last).count(b"HTTP/1.1 200") == 2


def test_the_target_of_a_proxy_is_a_path(serving):
    with serving() as served:
        for target, path in ((b"http://a/x?y", "/x"), (b"HTTP://A?y", "/"), (b"http://a", "/")):
            sent = b"GET %b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % target
            assert eval(served.raw(sent).partition(b"\r\n\r\n")[2])[1] == path


GRAMMAR = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n", b"Host: a\r\n", b"\r\n", b"\n", b"\r", b"\x00",
        b"Content-Length: 3\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Expect: 100-continue\r\n",
        b"Upgrade: websocket\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"abc", b" ", b":", b";",
        b"HTTP/1.0\r\n", HIDDEN, POST,
    ]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(GRAMMAR | st.binary(max_size=12), max_size=14).map(b"".join))
def test_any_bytes_are_answered_or_refused_and_the_server_goes_on(served, sent):
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        answer = read_all(connection)
    while answer and answer != b"<reset>":
        head, found, answer = answer.partition(b"\r\n\r\n")
        assert found
        status = int(head.split()[1])
        assert status in (100, 200) or 400 <= status < 500, head
        if b"content-length: " in head:
            answer = answer[int(head.partition(b"content-length: ")[2].split()[0]) :]
