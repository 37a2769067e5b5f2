"""Where packets begin and end means nothing: any cut of the same bytes gives the same answers."""

from __future__ import annotations

import re
import time

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

LENGTH = (
    b"POST /a?b=c HTTP/1.1\r\nHost: localhost\r\nX-A:  b \r\nContent-Length: 11\r\n\r\nhello world"
)
OTHER = b"POST /a?b=c HTTP/1.1\r\nHost: localhost\r\nX-A:  b \r\nContent-Length: 3\r\n\r\nbye"
CHUNKS = (
    b"PUT /up HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;ext=1\r\nhello\r\n0006\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n"
)
PLAIN = b"GET /%41?q HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST = b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def peer(data: bytes) -> list[tuple]:
    """The requests in `data` as h11 reads them."""
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(data)
    found: list[tuple] = []
    while True:
        event = reader.next_event()
        if isinstance(event, h11.Request):
            target, _, query = event.target.partition(b"?")
            path = re.sub(rb"%41", b"A", target).decode()
            found.append((event.method.decode(), path, query, list(event.headers), b""))
        elif isinstance(event, h11.Data):
            found[-1] = (*found[-1][:4], found[-1][4] + bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            reader.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
            reader.send(h11.EndOfMessage())
            if reader.our_state is h11.MUST_CLOSE:
                return found
            reader.start_next_cycle()
        else:
            raise AssertionError(event)


def answers(data: bytes) -> list[tuple]:
    """What the echo server says it saw, from all the answers on one connection."""
    found = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
        length = int(re.search(rb"content-length: (\d+)", head)[1])
        found.append(eval(data[:length]))
        data = data[length:]
    return found


WHOLE = LENGTH + CHUNKS + PLAIN + PLAIN + LENGTH + OTHER + LENGTH + LAST


def test_in_one_piece_it_is_what_another_implementation_reads(echoing):
    assert answers(echoing.raw(WHOLE)) == peer(WHOLE)


@pytest.mark.parametrize("request_", [LENGTH, CHUNKS, PLAIN])
def test_cut_in_two_at_every_byte(echoing, request_):
    expected = peer(request_ + LAST)[:1]
    for at in range(1, len(request_)):
        with echoing.connect() as connection:
            connection.sendall(request_[:at])
            time.sleep(0.001)
            connection.sendall(request_[at:])
            seen = connection.recv(65536)
            assert answers(seen) == expected, at


def test_a_byte_at_a_time(echoing):
    expected = peer(WHOLE)
    with echoing.connect() as connection:
        seen = b""
        for at in range(len(WHOLE)):
            connection.sendall(WHOLE[at : at + 1])
            if at % 16 == 0:
                time.sleep(0.0005)
        while part := connection.recv(65536):
            seen += part
    assert answers(seen) == expected


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([LENGTH, OTHER, CHUNKS, PLAIN]), max_size=6),
    st.lists(st.integers(1, 400), max_size=12),
)
def test_any_requests_cut_anywhere(echoing, requests, sizes):
    data = b"".join(requests) + LAST
    parts = []
    rest = data
    for size in sizes:
        parts.append(rest[:size])
        rest = rest[size:]
    with echoing.connect() as connection:
        for part in [*parts, rest]:
            if part:
                connection.sendall(part)
                time.sleep(0.0003)
        seen = b""
        while part := connection.recv(65536):
            seen += part
    assert answers(seen) == peer(data)


@settings(max_examples=100)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.data())
def test_chunked_bodies_as_another_implementation_writes_them(parts, data):
    from tenfold.serve.http.chunked import Chunks

    writer = h11.Connection(h11.CLIENT)
    writer.send(
        h11.Request(
            method="POST",
            target="/",
            headers=[("host", "x"), ("transfer-encoding", "chunked")],
        )
    )
    wire = b"".join(writer.send(h11.Data(data=part)) or b"" for part in parts)
    wire += writer.send(h11.EndOfMessage()) or b""
    reader, rest, after = Chunks(10_000), wire + b"NEXT", None
    while after is None:
        size = data.draw(st.integers(1, max(1, len(rest))))
        after = reader.feed(rest[:size])
        rest = rest[size:]
    assert reader.body() == b"".join(parts)
    assert after + rest == b"NEXT"
