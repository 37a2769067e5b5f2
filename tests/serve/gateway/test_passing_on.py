"""A gateway in front of a server that says more than text: tool calls and reasoning arrive whole."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.serve.backends.base import BackendRefusal, Unreachable
from tenfold.serve.backends.http_pool import PoolConfig
from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
from tenfold.serve.engine.messages import error_of, fault_of
from tenfold.serve.protocols.chat import merged

DELTAS = [
    {"role": "assistant", "content": None, "reasoning_content": "They want "},
    {"reasoning_content": "the weather."},
    {
        "tool_calls": [
            {
                "index": 0,
                "id": "c1",
                "type": "function",
                "function": {"name": "weather", "arguments": ""},
            }
        ]
    },
    {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]},
    {
        "tool_calls": [
            {
                "index": 1,
                "id": "c2",
                "type": "function",
                "function": {"name": "time", "arguments": "{}"},
            }
        ]
    },
    {"tool_calls": [{"index": 0, "function": {"arguments": '"Köln"}'}}]},
]
WHOLE = b"""{"id":"c1","object":"chat.completion","created":1,"model":"tooly",
 "choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,
  "reasoning_content":"They want the weather.","tool_calls":[
   {"id":"c1","type":"function","function":{"name":"weather","arguments":"{\\"city\\":\\"K\\u00f6ln\\"}"}},
   {"id":"c2","type":"function","function":{"name":"time","arguments":"{}"}}]}}],
 "usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}}"""
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


class Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(
            b'{"object":"list","data":[{"id":"tooly","object":"model"}]}', "application/json"
        )

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        asked = json.loads(body)
        self.server.seen.append(asked)
        if not asked.get("stream"):
            self.answer(WHOLE, "application/json")
            return
        events = [{"choices": [{"index": 0, "delta": delta}]} for delta in DELTAS]
        events += [
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
            {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5}},
        ]
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        self.answer(text.encode(), "text/event-stream")

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args): ...


@pytest.fixture
def upstream():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.seen = []
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def remote(upstream):
    return OpenAIBackend(OpenAIConfig(base_url=f"http://127.0.0.1:{upstream.server_port}/v1"))


def test_tool_calls_and_reasoning(serving, remote, upstream):
    history = [
        {"role": "user", "content": "weather?", "name": "anna"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c0", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "content": "rain", "tool_call_id": "c0"},
    ]
    asked = {"model": "tooly", "messages": history, "tools": TOOLS, "temperature": 0}
    with (
        serving(remote) as served,
        openai.OpenAI(base_url=served.url + "/v1", api_key="k", max_retries=0) as client,
    ):
        answer = client.chat.completions.create(**asked)
        message = answer.choices[0].message
        assert message.content is None
        assert message.reasoning_content == "They want the weather."
        calls = [(c.id, c.function.name, c.function.arguments) for c in message.tool_calls]
        assert calls == [("c1", "weather", '{"city":"Köln"}'), ("c2", "time", "{}")]
        assert answer.choices[0].finish_reason == "tool_calls"
        chunks = list(client.chat.completions.create(**asked, stream=True))
        streamed = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
        assert "".join(c.function.arguments for c in streamed if c.index == 0) == '{"city":"Köln"}'
        # A call may have effects: it is asked for again, not replayed.
        assert len(upstream.seen) == 2
        assert [event.tier for event in served.events()] == ["model", "model"]
    sent = upstream.seen[0]
    assert sent["tools"] == TOOLS
    assert sent["messages"][0] == history[0]
    assert sent["messages"][1]["tool_calls"] == history[1]["tool_calls"]
    assert sent["messages"][2]["tool_call_id"] == "c0"


@given(st.lists(st.text(max_size=5), max_size=6), st.lists(st.integers(0, 2), max_size=12))
def test_parts_in_any_interleaving_make_the_same_whole(words, order):
    """Held to the official client's own way of putting a stream together."""
    from openai.lib.streaming._deltas import accumulate_delta

    deltas = [{"reasoning_content": word} for word in words]
    ranks = {index: rank for rank, index in enumerate(dict.fromkeys(order))}
    for number, index in enumerate(map(ranks.get, order)):
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": str(number)}}]})
    theirs: dict = {}
    for delta in deltas:
        theirs = accumulate_delta(theirs, json.loads(json.dumps(delta)))
    for call in theirs.get("tool_calls", []):
        call.pop("index")
    assert merged(deltas) == theirs


def test_a_refusal_keeps_its_status_over_the_line_to_the_engine():
    sent = BackendRefusal("full", status=429, code="queue_full", retry_after_s=2.0)
    got = error_of(fault_of(sent))
    assert isinstance(got, BackendRefusal)
    assert (got.fact, got.status, got.code, got.retry_after_s) == ("full", 429, "queue_full", 2.0)


def test_a_server_that_goes_away(serving, remote, upstream):
    with (
        serving(remote) as served,
        openai.OpenAI(base_url=served.url + "/v1", api_key="k", max_retries=0) as client,
    ):
        upstream.shutdown()
        upstream.server_close()
        remote._pool.close()  # kept connections outlive the listener
        with pytest.raises(openai.InternalServerError) as caught:
            client.chat.completions.create(
                model="tooly", messages=[{"role": "user", "content": "x"}]
            )
        assert caught.value.status_code == 502
        assert caught.value.code == "backend_unavailable"
        event = served.events()[-1]
        assert (event.status, event.tier) == (502, "refused")


def test_a_server_that_is_not_there_yet(upstream):
    backend = OpenAIBackend(
        OpenAIConfig(base_url="http://127.0.0.1:9/v1", pool=PoolConfig(connect_timeout_s=1))
    )
    import asyncio

    with pytest.raises(Unreachable, match="cannot connect"):
        asyncio.run(backend.start())
