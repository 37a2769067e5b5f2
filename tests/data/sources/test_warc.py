"""Web archives: real ones of others, and what truncation, damage and odd servers do to them."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pytest


def record(url: str, head: str, body: bytes, kind: str = "response") -> bytes:
    block = head.encode() + body
    about = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: 2024-05-18T01:58:10Z\r\n"
        f"WARC-Record-ID: <urn:uuid:{abs(hash(url)):032x}>\r\n"
        f"Content-Type: application/http; msgtype={kind}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return about.encode() + block + b"\r\n\r\n"


OK = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"


def page(n: int) -> bytes:
    return f"<html><body><p>Page number {n} has some words of its own.</p></body></html>".encode()


def test_archives_of_others_are_read_whole(shared, read):
    """Counts as `zgrep -ac '^WARC-Type: response'` and `conversion` give them."""
    for name in ("resiliparse_test.warc.gz", "whirlwind.warc.gz", "whirlwind.warc.wet.gz"):
        raw = gzip.decompress((shared / "web" / name).read_bytes())
        there = sum(raw.count(b"WARC-Type: %s\r\n" % kind) for kind in (b"response", b"conversion"))
        found = read(kind="warc", text="all", path=str(shared / "web" / name))
        assert len(found.records) + len(found.quarantined) == there > 0
        assert found.integration.readable_share == 1
    wet = found.records[0]
    assert wet["place"] == "whirlwind.warc.wet.gz#https://an.wikipedia.org/wiki/Escopete"
    assert wet["time"].isoformat() == "2024-05-18T01:58:10+00:00"
    assert wet["text"] == raw[raw.rindex(b"\r\n\r\n", 0, -4) + 4 : -4].decode()


def test_headers_of_a_crawl_that_parts_lines_its_own_way(shared, read):
    """ClueWeb09 ends HTTP header lines with LF; taken for one endless head, half of each page is lost."""
    found = read(kind="warc", text="all", path=str(shared / "web/clueweb_quirk.warc.gz"))
    raw = gzip.decompress((shared / "web/clueweb_quirk.warc.gz").read_bytes())
    assert len(found.records) == raw.count(b"WARC-Type: response\r\n") == 29
    assert not found.quarantined
    for one in found.records:
        meta = json.loads(one["meta"])
        assert meta["encoding"] == "euc_jp"
        assert any("\u3040" < sign < "\u30ff" for sign in meta["title"])


def test_a_cut_archive_says_where(put, read):
    members = [gzip.compress(record(f"http://a/{n}", OK, page(n))) for n in range(20)]
    ends = [sum(map(len, members[: n + 1])) for n in range(20)]
    for cut in range(ends[16] + 1, ends[19], 41):
        assert cut not in ends
        found = read(kind="warc", text="all", path=put("a.warc.gz", b"".join(members)[:cut]))
        complete = sum(end < cut for end in ends)
        assert len(found.records) in (
            complete,
            complete + 1,
        )  # one more: only its checksum is missing
        assert found.causes == ["truncated"]
    plain = b"".join(record(f"http://a/{n}", OK, page(n)) for n in range(20))
    found = read(kind="warc", text="all", path=put("a.warc", plain[:-60]))
    assert [one.place for one in found.quarantined] == ["a.warc#http://a/19"]
    assert found.causes == ["truncated"]


def test_a_damaged_member_costs_itself(put, read):
    members = [gzip.compress(record(f"http://a/{n}", OK, page(n))) for n in range(50)]
    middle = bytearray(members[20])
    middle[30:60] = b"\xff" * 30
    found = read(
        kind="warc",
        text="all",
        path=put("a.warc.gz", b"".join([*members[:20], bytes(middle), *members[21:]])),
    )
    numbers = [int(one["place"].rpartition("/")[2]) for one in found.records]
    assert numbers == [n for n in range(50) if n != 20]
    assert found.causes == ["corrupt"]


def chunked(body: bytes) -> bytes:
    pieces = [body[n : n + 20] for n in range(0, len(body), 20)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def brotli(body: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "brotli") as stream:
        stream.write(body)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Transfer-Encoding: chunked\r\n", chunked(page(1))),
        ("Content-Encoding: gzip\r\n", gzip.compress(page(1))),
        (
            "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            chunked(gzip.compress(page(1))),
        ),
        ("Content-Encoding: br\r\n", brotli(page(1))),
        (
            "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
            page(1),
        ),  # undone by the crawler
    ],
)
def test_bodies_as_servers_pack_them(put, read, headers, body):
    head = OK.replace("\r\n\r\n", f"\r\n{headers}\r\n")
    found = read(kind="warc", text="all", path=put("a.warc", record("http://a/1", head, body)))
    assert [text.strip() for text in found.texts] == ["Page number 1 has some words of its own."]


def test_what_is_no_page_has_a_cause(put, read):
    data = b"".join(
        [
            record("http://a/1", OK.replace("200 OK", "404 Not Found"), page(1)),
            record("http://a/2", OK.replace("text/html", "application/zip"), b"PK"),
            record("http://a/3", OK, b""),
            record("http://a/4", OK.replace("\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n"),
                   gzip.compress(b"x" * (20 << 20))),
            record("http://a/5", "GET / HTTP/1.1\r\n\r\n", b"", kind="request"),
            record("http://a/6", OK, b"<p>" * 10 + b"<b>" * 5000),
            record("http://a/7", OK, page(7)),
        ]
    )  # fmt: skip
    found = read(kind="warc", text="all", path=put("a.warc", data))
    assert {one.place[-1]: one.cause for one in found.quarantined} == {
        "1": "http_status", "2": "content_type", "3": "empty", "4": "bomb", "6": "nesting",
    }  # fmt: skip
    assert len(found.records) == 1


def test_markup_may_be_left_to_an_operator(put, read):
    cyrillic = "<html><meta charset=windows-1251><p>Съешь ещё этих мягких булок</p></html>"
    found = read(kind="html", text="markup", path=put("p/a.html", cyrillic.encode("windows-1251")))
    assert found.texts == [cyrillic]
    found = read(kind="warc", text="markup", path=put("a.warc", record("http://a/1", OK, page(1))))
    assert found.texts == [page(1).decode()]
