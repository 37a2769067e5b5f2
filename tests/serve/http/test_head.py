"""Heads: what one says, and that a head which is compared with a known one says what reading it would."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenfold.serve.http.fault import Fault
from tenfold.serve.http.head import Known, read_head
from tenfold.serve.http.limits import Limits

LIMITS = Limits()

HEADS = [
    b"POST /v1/x HTTP/1.1\r\nHost: a\r\nX-Trace: 1\r\nContent-Length: 5\r\nAccept: */*\r\n\r\n",
    b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 12\r\n\r\n",
    b"POST /v1/x HTTP/1.1\r\nCONTENT-LENGTH:7\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    b"GET /x?y HTTP/1.1\r\nHost: a\r\nX-Content-Length: 5\r\nEmpty:\r\n\r\n",
    b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nX: y\r\n\r\n",
]

PIECES = st.sampled_from(
    [b"", b" ", b"\t", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b"\x7f", b"\xe4", b":", b"0", b"5", b"55",
     b"5" * 13, b"+", b",", b"close", b"chunked", b"\r\nX: y", b"\r\nTransfer-Encoding: chunked", b"a", b"?"]
)  # fmt: skip


@st.composite
def changed(draw, head):
    """The head with up to three places overwritten, shortened or extended."""
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(head)))
        size = draw(st.integers(0, 4))
        head = head[:at] + draw(PIECES | st.binary(max_size=3)) + head[at + size :]
    return head


@settings(max_examples=1500)
@given(st.data())
def test_a_head_compared_with_a_known_one_says_what_reading_it_says(data):
    raw = data.draw(st.sampled_from(HEADS))
    known = Known(raw, read_head(raw, LIMITS), 1000)
    other = data.draw(changed(raw))
    before = data.draw(st.binary(max_size=3))
    after = data.draw(st.sampled_from([b"", b"body", raw]))
    for way in (known.match, known.compare):
        found = way(before + other + after, len(before))
        if found is None:
            continue
        headers, length, start = found
        read = read_head((before + other + after)[len(before) : start], LIMITS)
        assert (headers, length) == (read.headers, read.length)
        for name in ("method", "target", "version", "persistent", "chunked", "expects_continue"):
            assert getattr(known.head, name) == getattr(read, name)


@pytest.mark.parametrize("raw", HEADS)
def test_the_same_head_again_is_known(raw):
    head = read_head(raw, LIMITS)
    known = Known(raw, head, 1000)
    assert (
        known.match(raw + b"more")
        == known.compare(raw + b"more", 0)
        == (head.headers, head.length, len(raw))
    )


def test_a_trace_id_and_a_length_may_differ():
    known = Known(HEADS[0], read_head(HEADS[0], LIMITS), 1000)
    other = HEADS[0].replace(b"Trace: 1", b"Trace:  22 ").replace(b"h: 5", b"h: 123")
    assert known.match(other) is None
    headers, length, start = known.compare(other, 0)
    assert (headers, length, start) == (read_head(other, LIMITS).headers, 123, len(other))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Host: a", b"Host: b"),
        (b"Host: a", b"Host: a b"),
        (b"Connection: keep-alive", b"Connection: close"),
        (b"Upgrade: h2c", b"Upgrade: websocket"),
        (b"X: y", b"Y: y"),
        (b"X: y", b"X: y\x00"),
        (b"X: y", b"X: y\rz"),
        (b"X: y", b"X: y\nz"),
        (b"X: y", b"X : y"),
        (b"GET / ", b"GET /a "),
    ],
)
def test_what_says_how_to_read_a_request_is_read(old, new):
    found = 0
    for raw in HEADS:
        if old in raw:
            known = Known(raw, read_head(raw, LIMITS), 1000)
            assert known.compare(raw.replace(old, new), 0) is None
            found += 1
    assert found


@settings(max_examples=300)
@given(st.data())
def test_any_bytes_are_a_head_or_a_fault(data):
    raw = data.draw(changed(data.draw(st.sampled_from(HEADS)))) + b"\r\n\r\n"
    raw = raw[: raw.index(b"\r\n\r\n") + 4]
    with contextlib.suppress(Fault):  # anything else that is raised fails the test
        head = read_head(raw, LIMITS)
        assert head.path.startswith("/") or head.path == "*"
        assert all(b"\n" not in value and b"\r" not in value for _, value in head.headers)
