"""Web services: a real server here that pages, limits, fails, loops and remembers what it was asked."""

from __future__ import annotations

import gzip
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tenfold.data.sources.kinds import connector
from tenfold.errors import InputError

QUICK = {"attempts": 3, "wait_s": 0.001, "timeout_s": 5.0}
Answer = tuple[int, dict[str, str], bytes]


class Service:
    """Answers as `reply` says; `asked` has path, query and headers of every request."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.reply: Callable[[str, dict[str, str], dict[str, str]], Answer] = lambda *_: (
            404,
            {},
            b"",
        )
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(parts.query))
                headers = {name.lower(): value for name, value in self.headers.items()}
                service.asked.append((parts.path, query, headers))
                status, sent, body = service.reply(parts.path, query, headers)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **sent}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


@pytest.fixture
def other() -> Iterator[Service]:
    made = Service()
    yield made
    made.close()


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


ITEMS = [{"id": n, "text": f"item {n}", "changed": f"2024-01-{n + 1:02d}"} for n in range(25)]


def test_pages_by_link_header(service, read):
    def reply(path, query, headers) -> Answer:
        at = int(query.get("at", 0))
        link = f'<?at={at + 10}>; rel="next", </items?at=0>; rel="first"' if at < 20 else ""
        return 200, {"Link": link}, body(ITEMS[at : at + 10])

    service.reply = reply
    found = read(kind="http", url=f"{service.url}/items", patience=QUICK)
    assert found.texts == [item["text"] for item in ITEMS]
    assert found.records[13]["place"] == f"{service.url}/items?at=10#4"
    assert len(service.asked) == 3


def test_pages_by_token_and_by_number(service, read):
    def by_token(path, query, headers) -> Answer:
        at = int(query.get("cursor", 0))
        following = at + 10 if at < 20 else None
        return 200, {}, body({"data": {"items": ITEMS[at : at + 10]}, "meta": {"next": following}})

    service.reply = by_token
    settings = {"items": "data.items", "next_field": "meta.next", "cursor_param": "cursor"}
    found = read(kind="http", url=f"{service.url}/a?lang=en", patience=QUICK, **settings)
    assert len(found.records) == 25
    assert all(query["lang"] == "en" for _, query, _ in service.asked)

    service.reply = lambda path, query, headers: (
        200, {}, body(ITEMS[(int(query["page"]) - 1) * 10 :][:10]),
    )  # fmt: skip
    found = read(kind="http", url=f"{service.url}/b", page_param="page", patience=QUICK)
    assert len(found.records) == 25


def test_only_what_is_new_the_second_time(service, read):
    items = ITEMS[:10]

    def reply(path, query, headers) -> Answer:
        etag = f'"{len(items)}"'
        if headers.get("if-none-match") == etag:
            return 304, {"ETag": etag}, b""
        since = query.get("since", "")
        return 200, {"ETag": etag}, body([item for item in items if item["changed"] >= since])

    service.reply = reply
    settings = {
        "kind": "http", "url": f"{service.url}/items", "patience": QUICK,
        "since_param": "since", "since_field": "changed", "time_field": "changed",
    }  # fmt: skip
    first = read(**settings)
    assert len(first.records) == 10
    idle = read(first.cursor, **settings)
    assert (idle.records, idle.cursor) == ([], first.cursor)
    items = [*ITEMS[:12], {"id": 99, "text": "same day", "changed": ITEMS[9]["changed"]}]
    second = read(first.cursor, **settings)
    assert second.texts == ["item 10", "item 11", "same day"]
    assert service.asked[-1][1] == {"since": ITEMS[9]["changed"]}
    assert second.records[0]["time"].date().isoformat() == "2024-01-11"


def test_failures_are_tried_again_and_then_reported(service, read):
    answers = [(503, {"Retry-After": "0"}, b""), (429, {}, b""), (200, {}, body(ITEMS[:2]))]
    service.reply = lambda *_: answers.pop(0)
    assert len(read(kind="http", url=service.url, patience=QUICK).records) == 2

    def fails_later(path, query, headers) -> Answer:
        if query.get("page") == "2":
            return 500, {}, b""
        return 200, {"Link": '<?page=2>; rel="next"'}, body(ITEMS[:2])

    service.reply = fails_later
    service.asked.clear()
    found = read(kind="http", url=service.url, patience=QUICK)
    assert (len(found.records), found.causes, found.cursor) == (2, ["http_status"], None)
    assert len(service.asked) == 1 + QUICK["attempts"]

    service.reply = lambda *_: (403, {}, b"")
    with pytest.raises(InputError, match="403"):
        read(kind="http", url=service.url, patience=QUICK)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ((200, {}, b'[{"text": "a", "text": "b"}]'), "duplicate_key"),
        ((200, {}, b"<html>"), "json"),
        ((200, {}, b'{"items": 7}'), "field"),
        ((200, {"Link": '<?>; rel="next"'}, b"[]"), "page_loop"),
        (
            (200, {"Content-Encoding": "gzip"}, gzip.compress(b"[" + b" " * (2 << 20) + b"]")),
            "bomb",
        ),
    ],
)
def test_bad_pages_have_a_cause(service, read, answer, cause):
    good = (200, {"Link": '</bad?>; rel="next"'}, body(ITEMS[:1]))
    service.reply = lambda path, query, headers: answer if path == "/bad" else good
    found = read(
        kind="http",
        url=f"{service.url}/",
        patience={**QUICK, "attempts": 1},
        limits={"file_bytes": 1 << 20},
    )
    assert (found.texts, found.causes) == (["item 0"], [cause])


def test_bad_items_cost_themselves(service, read):
    items = [{"text": "a\ud800"}, 7, {"other": 1}, {"text": "good"}]
    service.reply = lambda *_: (200, {}, body(items))
    found = read(kind="http", url=f"{service.url}/", patience=QUICK)
    assert found.texts == ["a\ufffd", "good"]
    assert found.causes == ["field", "json"]


def test_a_token_stays_with_its_origin(service, other, put, read):
    token = put("token", b"Bearer secret\n")
    other.reply = lambda *_: (200, {}, body(ITEMS[1:2]))
    service.reply = lambda path, query, headers: (
        (302, {"Location": f"{other.url}/elsewhere"}, b"")
        if path == "/moved"
        else (200, {"Link": f'<{other.url}/next>; rel="next"'}, body(ITEMS[:1]))
    )
    for path in ("/items", "/moved"):
        read(kind="http", url=service.url + path, token_file=token, patience=QUICK)
    assert [headers.get("authorization") for _, _, headers in service.asked] == [
        "Bearer secret"
    ] * 2
    assert [path for path, _, _ in other.asked] == ["/next", "/elsewhere"]
    assert all("authorization" not in headers for _, _, headers in other.asked)


def test_what_is_out_there_is_observed(service):
    source = connector(
        {"kind": "http", "url": f"{service.url}/", "licence": "x", "patience": QUICK}
    )
    service.reply = lambda *_: (200, {"ETag": '"7"'}, b"[]")
    assert source.observe() == {"etag": '"7"'}
    service.reply = lambda *_: (200, {}, b"[]")
    before = source.observe()
    assert source.observe() == before
    service.reply = lambda *_: (200, {}, b"[1]")
    assert source.observe() != before
