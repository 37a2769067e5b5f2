"""A server behind the gateway that lies, breaks off and says what no server should. The client gets an error
of its protocol or what the server said; nothing of it is kept, and the gateway goes on."""

from __future__ import annotations

import http.client
import json
import socket
import threading

import pytest

from tenfold.serve.backends.http_pool import PoolConfig
from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig

MODELS = b'{"object":"list","data":[{"id":"m","object":"model"}]}'
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
ENDLESS = object()
"""In a script: what stands before it again and again, until the gateway has enough."""


def whole(body, more=b"", status=b"200 OK"):
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b" % (
        status, more, len(body), body,
    )  # fmt: skip


def said(**more):
    return json.dumps({
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        **more,
    }).encode()  # fmt: skip


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(plain):
    return b"data: %b\n\n" % json.dumps(plain).encode()


def delta(text, finish=None, **more):
    return event(
        {
            "id": "x",
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}],
            **more,
        }
    )


class Upstream:
    """Answers every POST with the bytes in `script`, then closes."""

    def __init__(self):
        self.script = [b""]
        self.seen = []
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._sock.getsockname()[1]}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self._sock.close()

    def _accept(self):
        while True:
            try:
                connection, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection:
            try:
                asked = connection.makefile("rb")
                while line := asked.readline():
                    length = 0
                    while (header := asked.readline()).strip():
                        if header.lower().startswith(b"content-length:"):
                            length = int(header.split(b":")[1])
                    body = asked.read(length)
                    if line.startswith(b"GET"):
                        connection.sendall(whole(MODELS))
                        continue
                    self.seen.append(body)
                    before = b""
                    for part in self.script:
                        if part is ENDLESS:
                            while True:
                                connection.sendall(before)
                        connection.sendall(part)
                        before = part
                    return
            except OSError:
                return


@pytest.fixture
def upstream():
    made = Upstream()
    yield made
    made.close()


@pytest.fixture
def served(serving, upstream):
    backend = OpenAIBackend(
        OpenAIConfig(base_url=upstream.url, pool=PoolConfig(read_timeout_s=3)), name="nasty"
    )
    with serving(backend) as made:
        yield made
        upstream.script = [whole(said())]
        assert ask(made, "after all that")[0] == 200


def ask(served, text="hi", path=CHAT, **more):
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "temperature": 0}
    if path == MESSAGES:
        body["max_tokens"] = 10
    if path == RESPONSES:
        body["input"] = body.pop("messages")
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    try:
        connection.request("POST", path, json.dumps(body | more), {})
        response = connection.getresponse()
        return response.status, response.headers["x-tenfold-tier"], response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(("path", "stream"), [(CHAT, False), (RESPONSES, True)])
@pytest.mark.parametrize(
    "script",
    [
        [b""],
        [b"HT"],
        [b"\x00\xff\x16\x03 garbage\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n"],
        [b"HTTP/1.1 200 OK\r\nx: ", b"y" * 65536, ENDLESS],
        [b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 1000, ENDLESS],
        [b"HTTP/1.1 200 ", b"y" * 65536, ENDLESS],
        [b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n" * 1000],
        [b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nabc"],
        [b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"],
        [b"HTTP/1.1 204 No Content\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\ncontent-type: application/json\r\n\r\n{}"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 9\r\n\r\n{}"],
        [b"HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\n{}"],
        [whole(b"")],
        [whole(b"null")],
        [whole(b"[]")],
        [whole(b"\x1f\x8b\x08\x00", b"content-encoding: gzip\r\n")],
        [whole(b"{" + b'"a":' * 2000 + b"1" + b"}" * 2000)],
        [STREAM],
        [STREAM, b"zz\r\n"],
        [STREAM, chunk(b"data: {"), b"0\r\n\r\n"],
        [STREAM, chunk(b"data: not json\n\n"), b"0\r\n\r\n"],
        [whole(b'{"error":[[]]}', status=b"400 Bad Request")],
        [whole(b"<html>", b"retry-after: %b\r\n" % (b"9" * 400), b"429 Too Many Requests")],
        [whole(b'{"error":{"message":"%b"}}' % (b"x" * 100_000), status=b"503 Busy")],
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_an_error_of_the_clients_protocol(
    served, upstream, script, stream, path
):
    upstream.script = script
    status, _, body = ask(served, path=path, stream=stream)
    told = body
    if status == 200:  # it broke off after it had begun
        assert stream
        told = body.strip().rpartition(b"data: ")[2]
    else:
        assert status in (400, 429, 502, 503, 504)
    plain = json.loads(told)
    error = plain if plain.get("type") == "error" and "message" in plain else plain["error"]
    assert error["message"]
    assert len(told) < 10_000
    for event in served.events():
        assert event.completion_tokens < 1000
        assert event.price_usd == 0


JUNK = [None, True, 0, -1, 2**70, 1.5, "x", [], {}, [None], [[]], [1], [{}], {"x": []}, [{"x": 1}]]


@pytest.mark.parametrize("path", [CHAT, MESSAGES])
@pytest.mark.parametrize(
    "place",
    [
        ("id",), ("object",), ("choices",), ("usage",), ("model",), ("created",), ("error",),
        ("choices", 0, "index"), ("choices", 0, "message"), ("choices", 0, "finish_reason"),
        ("choices", 0, "message", "content"), ("choices", 0, "message", "tool_calls"),
        ("choices", 0, "message", "refusal"), ("choices", 0, "message", "role"),
        ("choices", 0, "message", "reasoning_content"), ("choices", 0, "logprobs"),
        ("usage", "prompt_tokens"), ("usage", "prompt_tokens_details"),
    ],
)  # fmt: skip
def test_members_of_any_type_never_fail_the_gateway(served, upstream, place, path):
    """Whole, then as a stream made from what was kept, and a stream of the same junk."""
    for number, junk in enumerate(JUNK):
        plain = json.loads(said())
        at = plain
        for step in place[:-1]:
            at = at[step]
        at[place[-1]] = junk
        upstream.script = [whole(json.dumps(plain).encode())]
        text = f"{place} {number}"
        for stream in (False, True):
            if stream:
                for choice in plain["choices"] if isinstance(plain["choices"], list) else ():
                    if isinstance(choice, dict):
                        choice["delta"] = choice.pop("message", None)
                parts = event(plain) + b"data: [DONE]\n\n"
                upstream.script = [STREAM, chunk(parts), b"0\r\n\r\n"]
            for asked in (text, text, f"{text} {stream}"):
                status, _, body = ask(served, asked, path, stream=stream)
                assert status in (200, 400, 502), (junk, body)
    assert all(e.prompt_tokens >= 0 and e.completion_tokens >= 0 for e in served.events())


@pytest.mark.parametrize(
    "script",
    [
        [delta("par") + event({"error": {"message": "out of memory", "code": 500}})],
        [delta("par")],
        [delta("par", "error")],
        [delta("par", "stop") + event({"error": "late"})],
    ],
)
def test_a_stream_that_failed_and_says_done_is_passed_on_and_not_kept(served, upstream, script):
    upstream.script = [STREAM, chunk(script[0] + b"data: [DONE]\n\n"), b"0\r\n\r\n"]
    for _ in range(2):
        status, tier, body = ask(served, stream=True)
        assert (status, tier) == (200, "model")
        assert body.startswith(script[0] + b"data: [DONE]\n\n")


def test_ids_that_no_ledger_holds_do_not_reach_it(served, upstream):
    upstream.script = [whole(said(id="a\x00b\n" + "y" * 5000))]
    assert ask(served)[1] == "model"
    assert ask(served)[1] == "exact"
    for event in served.events():
        for told in (event.response_id, event.cached_from):
            assert told is None or (told.isprintable() and len(told) <= 200)


def test_two_answers_to_one_question_do_not_meet_the_next_one(served, upstream):
    upstream.script = [whole(said(id="first")) + whole(said(id="second"))]
    assert json.loads(ask(served, "one")[2])["id"] == "first"
    upstream.script = [whole(said(id="third"))]
    assert json.loads(ask(served, "two")[2])["id"] == "third"
