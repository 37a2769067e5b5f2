"""What reaches the cache, and what must never."""

from __future__ import annotations

import http.client
import json
import socket
import time

import pytest

from tenfold.errors import BackendError
from tenfold.serve.backends.base import Generation, ModelCard, Piece, TokenUsage
from tenfold.serve.backends.memory import MemoryBackend
from tenfold.serve.router.config import RouterConfig


def ask(served, text="hello there", headers=None, path="/v1/chat/completions", **more):
    body = {"model": "echo", "messages": [{"role": "user", "content": text}], "temperature": 0}
    body |= more
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    try:
        connection.request("POST", path, json.dumps(body), headers or {})
        response = connection.getresponse()
        return response.status, response.headers["x-tenfold-tier"], response.read()
    finally:
        connection.close()


def tiers(served, *requests):
    return [ask(served, **request)[1] for request in requests]


def test_greedy_and_seeded_answers_are_kept(serving, echo):
    with serving(echo) as served:
        assert tiers(served, {}, {}) == ["model", "exact"]
        seeded = {"temperature": 0.9, "seed": 3}
        assert tiers(served, seeded, seeded, {**seeded, "seed": 4}) == ["model", "exact", "model"]


def test_answers_that_are_meant_to_vary_are_not(serving, echo):
    with serving(echo) as served:
        drawn = {"temperature": 0.9}
        assert tiers(served, drawn, drawn) == ["model", "model"]
        assert tiers(served, {"temperature": None}, {"temperature": None}) == ["model", "model"]
        assert tiers(served, {"n": 2}, {"n": 2}) == ["model", "model"]


def test_an_operator_may_keep_drawn_answers_but_never_several_choices(serving, echo):
    with serving(echo, cache_sampled=True) as served:
        drawn = {"temperature": 0.9}
        assert tiers(served, drawn, drawn) == ["model", "exact"]
        assert tiers(served, {**drawn, "n": 2}, {**drawn, "n": 2}) == ["model", "model"]


def test_no_tiers(serving, echo):
    with serving(echo, tiers=()) as served:
        assert tiers(served, {}, {}) == ["model", "model"]


def test_cache_control(serving, echo):
    with serving(echo) as served:
        assert tiers(served, {"headers": {"Cache-Control": "no-store"}}, {}, {}) == [
            "model",
            "model",
            "exact",
        ]
        fresh = {"headers": {"cache-control": "max-age=0, No-Cache"}}
        assert tiers(served, fresh, {}) == ["model", "exact"]


class Breaking:
    """Ends badly in the way it is told, the first time; well ever after."""

    name = "breaking"
    speaks = frozenset()

    def __init__(self, how):
        self.how = how
        self.calls = 0

    async def start(self): ...
    async def stop(self): ...

    def cards(self):
        return (ModelCard(name="echo", digest="d"),)

    def pids(self):
        return ()

    async def generate(self, request: Generation):
        self.calls += 1
        yield Piece(text="par")
        if self.calls == 1:
            if self.how == "raise":
                raise BackendError("the cable is out")
            if self.how == "silent end":
                return
            yield Piece(finish_reason=self.how, usage=TokenUsage(1, 1))
            return
        yield Piece(text="tial")
        yield Piece(finish_reason="stop", usage=TokenUsage(1, 2))

    async def embed(self, model, texts):
        raise BackendError("no vectors today")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "how", ["raise", "silent end", "cancelled", "content_filter", "tool_calls"]
)
def test_an_answer_that_ended_badly_is_never_kept(serving, how, stream):
    with serving(Breaking(how), router=RouterConfig(max_attempts=1)) as served:
        status, _, body = ask(served, stream=stream)
        if how in ("raise", "silent end", "cancelled"):
            assert status == (200 if stream else 502)
            assert b"error" in body
            assert b"[DONE]" not in body
            assert served.events()[-1].status == 502
        assert len(served.gateway.tiers.chain[0]._entries) == 0
        _, tier, body = ask(served)
        assert tier == "model"
        assert json.loads(body)["choices"][0]["message"]["content"] == "partial"
        assert ask(served)[1] == "exact"


def test_a_stream_the_client_left_is_never_kept_and_is_cancelled(serving):
    slow = MemoryBackend(lambda request: "a b c d e f g h", models=("echo",), delay_s=0.05)
    with serving(slow) as served:
        body = json.dumps(
            {
                "model": "echo",
                "messages": [{"role": "user", "content": "x"}],
                "temperature": 0,
                "stream": True,
            }
        ).encode()
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n%b"
                % (len(body), body)
            )
            seen = b""
            while b'"content":"a"' not in seen:
                seen += connection.recv(4096)
        deadline = time.monotonic() + 10
        while not slow.cancelled and time.monotonic() < deadline:
            time.sleep(0.01)
        assert slow.cancelled
        assert served.gateway.tiers.chain[0].num_entries == 0
        while not (events := served.events()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (events[0].status, events[0].stream) == (499, True)
        assert ask(served, "x")[1] == "model"


def test_embedding_errors_are_not_kept(serving):
    with serving(Breaking("raise")) as served:
        status, tier, _ = ask(served, path="/v1/embeddings", input="x")
        assert (status, tier) == (502, "refused")


def test_tenants_do_not_share(serving, echo, ledger):
    from tenfold.serve.access.issue import create_key

    one = create_key(ledger, "one", tenant="a", now_s=1)
    two = create_key(ledger, "two", tenant="b", now_s=1)
    with serving(echo) as served:

        def by(key):
            return ask(served, headers={"authorization": f"Bearer {key}"})[1]

        assert [by(one), by(two), by(one), by(two)] == ["model", "model", "exact", "exact"]
        assert {(event.tenant, event.key_name) for event in served.events()} == {
            ("a", "one"),
            ("b", "two"),
        }
