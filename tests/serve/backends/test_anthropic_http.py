"""Anthropic's API behind chat completions, with a server that answers as Anthropic's documentation shows."""

from __future__ import annotations

import asyncio
import contextlib
import json
from http import HTTPStatus

import orjson
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tenfold.errors import BackendError, ConfigError, UnknownName
from tenfold.serve.backends.anthropic_http import AnthropicBackend, AnthropicConfig
from tenfold.serve.backends.base import BackendRefusal, Call, TokenUsage
from tenfold.serve.backends.http_pool import PoolConfig
from tenfold.serve.refusal import Refusal

CHAT = {"model": "claude", "messages": [{"role": "user", "content": "Weather in Ulm?"}]}
USAGE = {
    "input_tokens": 20,
    "cache_creation_input_tokens": 5,
    "cache_read_input_tokens": 100,
    "output_tokens": 1,
}
MESSAGE = {
    "id": "msg_014p7gG3wDgGV9EUtLvnow3U",
    "type": "message",
    "role": "assistant",
    "model": "claude-there",
    "stop_sequence": None,
    "usage": USAGE,
    "content": [],
    "stop_reason": None,
}
# Thinking, text with a ping in between, a call with arguments and one without.
EVENTS = [
    {"type": "message_start", "message": MESSAGE},
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "", "signature": ""},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "Let me"},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": " see."},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "signature_delta", "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h"},
    },
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Okay"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": ", let’s"}},
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {
            "type": "tool_use",
            "id": "toolu_01T1x1fJ34qAmk2tNTrN7Up6",
            "name": "get_weather",
            "input": {},
        },
    },
    {
        "type": "content_block_delta",
        "index": 2,
        "delta": {"type": "input_json_delta", "partial_json": ""},
    },
    {
        "type": "content_block_delta",
        "index": 2,
        "delta": {"type": "input_json_delta", "partial_json": '{"location":'},
    },
    {
        "type": "content_block_delta",
        "index": 2,
        "delta": {"type": "input_json_delta", "partial_json": ' "Ulm"}'},
    },
    {"type": "content_block_stop", "index": 2},
    {
        "type": "content_block_start",
        "index": 3,
        "content_block": {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    },
    {"type": "content_block_stop", "index": 3},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 89},
    },
    {"type": "message_stop"},
]
WHOLE = {
    **MESSAGE,
    "content": [
        {
            "type": "thinking",
            "thinking": "Let me see.",
            "signature": "EqQBCgIYAhIM1gbcDa9GJwZA2b3h",
        },
        {"type": "text", "text": "Okay, let’s"},
        {
            "type": "tool_use",
            "id": "toolu_01T1x1fJ34qAmk2tNTrN7Up6",
            "name": "get_weather",
            "input": {"location": "Ulm"},
        },
        {"type": "tool_use", "id": "toolu_2", "name": "now", "input": {}},
    ],
    "stop_reason": "tool_use",
    "usage": {**USAGE, "output_tokens": 89},
}
MODELS = {
    "data": [
        {
            "type": "model",
            "id": "claude-there",
            "display_name": "Claude",
            "created_at": "2025-02-19T00:00:00Z",
        }
    ],
    "has_more": False,
}


def sse(*events):
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode())
        for event in events
    )


class There:
    """A server that keeps what it was asked. `answers` are (status, body or parts of a stream)."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []
        self.tasks = []

    async def on_connection(self, reader, writer):
        self.tasks.append(asyncio.current_task())
        try:
            await self.converse(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def converse(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                line, *headers = head.decode().strip().split("\r\n")
                headers = dict(header.lower().split(": ", 1) for header in headers)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if line.startswith("GET"):
                    assert line.split()[1] == "/v1/models?limit=1000"
                    status, said = 200, MODELS
                else:
                    assert line.split()[1] == "/v1/messages"
                    self.asked.append((headers, body))
                    status, said = self.answers.pop(0)
                head = (
                    f"HTTP/1.1 {status} {HTTPStatus(status).phrase if status != 529 else '-'}\r\n"
                )
                if isinstance(said, dict):
                    said = json.dumps(said).encode()
                    head += f"content-type: application/json\r\ncontent-length: {len(said)}\r\n\r\n"
                    writer.write(head.encode() + said)
                    continue
                head += "content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
                writer.write(head.encode())
                for part in [*said, b""]:
                    writer.write(b"%x\r\n%b\r\n" % (len(part), part))
                    await writer.drain()


def run(scenario, *answers, **config):
    async def go():
        there = There(*answers)
        server = await asyncio.start_server(there.on_connection, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        config.setdefault("models", {"claude": "claude-there"})
        pool = PoolConfig(connect_timeout_s=2, read_timeout_s=5)
        backend = AnthropicBackend(
            AnthropicConfig(base_url=url, api_key="sk-x", pool=pool, **config)
        )
        try:
            await backend.start()
            return await scenario(backend, there)
        finally:
            await backend.stop()
            server.close()
            await asyncio.gather(*there.tasks)

    return asyncio.run(asyncio.wait_for(go(), 20))


def call_of(plain, endpoint="/v1/chat/completions", headers=()):
    body = orjson.dumps(plain)
    stream = bool(plain.get("stream"))
    return Call("id", endpoint, plain["model"], body, plain, stream=stream, headers=headers)


async def heard(backend, call):
    answer = await backend.open(call)
    return answer, b"".join([part async for part in answer])


def check(message, finish_reason, usage):
    assert message.content == "Okay, let’s"
    assert message.reasoning_content == "Let me see."
    calls = [(c.id, c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls]
    assert calls == [
        ("toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_weather", {"location": "Ulm"}),
        ("toolu_2", "now", {}),
    ]
    assert finish_reason == "tool_calls"
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (125, 89, 214)
    assert usage.prompt_tokens_details.cached_tokens == 100
    assert message.thinking_blocks == [WHOLE["content"][0]]


def test_a_whole_answer():
    async def scenario(backend, there):
        answer, body = await heard(backend, call_of({**CHAT, "max_tokens": 50}))
        completion = ChatCompletion.model_validate_json(body)
        (choice,) = completion.choices
        check(choice.message, choice.finish_reason, completion.usage)
        assert (completion.id, completion.model) == (MESSAGE["id"], "claude-there")
        headers, asked = there.asked[0]
        assert json.loads(asked) == {
            "model": "claude-there",
            "messages": [{"role": "user", "content": "Weather in Ulm?"}],
            "max_tokens": 50,
        }
        assert (headers["x-api-key"], headers["anthropic-version"]) == ("sk-x", "2023-06-01")
        assert "authorization" not in headers
        assert answer.outcome.usage == TokenUsage(125, 89, 100)
        assert answer.outcome.side_effects
        assert answer.outcome.complete

    run(scenario, (200, WHOLE))


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_a_stream(step):
    wire = sse(*EVENTS)

    async def scenario(backend, there):
        answer = await backend.open(call_of({**CHAT, "stream": True}))
        parts = [part async for part in answer]
        state = ChatCompletionStreamState()
        *events, done = b"".join(parts).split(b"\n\n")[:-1]
        assert done == b"data: [DONE]"
        for event in events:
            state.handle_chunk(ChatCompletionChunk.model_validate_json(event[6:]))
        completion = state.get_final_completion()
        (choice,) = completion.choices
        check(choice.message, choice.finish_reason, completion.usage)
        outcome = answer.outcome
        assert outcome.usage == TokenUsage(125, 89, 100)
        assert (outcome.complete, outcome.side_effects) == (True, True)
        assert outcome.finish_reasons == ("tool_calls",)
        assert outcome.usage_event == events[-1] + b"\n\n"
        assert json.loads(there.asked[0][1])["max_tokens"] == 77

    cut = [wire[at : at + step] for at in range(0, len(wire), step)]
    run(scenario, (200, cut), max_tokens=77)


def test_messages_pass_byte_for_byte():
    async def scenario(backend, there):
        plain = {"model": "claude-there", "max_tokens": 5, "messages": [], "new_field": [1.0]}
        headers = ((b"anthropic-version", b"2023-06-01"), (b"anthropic-beta", b"new-thing"))
        call = call_of(plain, "/v1/messages", headers)
        answer, body = await heard(backend, call)
        assert json.loads(body) == WHOLE
        asked_headers, asked = there.asked[0]
        assert asked == call.body
        assert asked_headers["anthropic-beta"] == "new-thing"
        assert answer.outcome.usage == TokenUsage(125, 89, 100)
        streamed = call_of({**plain, "stream": True}, "/v1/messages")
        answer, body = await heard(backend, streamed)
        assert body == sse(*EVENTS)
        assert answer.outcome.complete

    run(scenario, (200, WHOLE), (200, [sse(*EVENTS)]), models={})


def test_its_errors_keep_their_status():
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

    async def scenario(backend, there):
        with pytest.raises(BackendRefusal, match="Overloaded") as raised:
            await backend.open(call_of(CHAT))
        assert raised.value.status == 529
        answer = await backend.open(call_of({**CHAT, "stream": True}))
        parts = aiter(answer)
        assert b"assistant" in await anext(parts)
        with pytest.raises(BackendRefusal, match="Overloaded") as raised:
            await anext(parts)
        assert (raised.value.status, raised.value.code) == (529, "overloaded_error")
        assert not answer.outcome.complete

    run(scenario, (529, error), (200, [sse(EVENTS[0], error)]))


@pytest.mark.parametrize(
    "odd",
    [
        [sse(*EVENTS[:9])],
        [b"event: content_block_delta\ndata: {\n\n"],
        [b'data: {"type":"content_block_delta"}\n\n'],
        [b"data: 7\n\n"],
        [sse(EVENTS[0], {**EVENTS[1], "content_block": {"type": "server_tool_use"}})],
    ],
)
def test_a_broken_stream_is_an_error(odd):
    async def scenario(backend, there):
        answer = await backend.open(call_of({**CHAT, "stream": True}))
        with pytest.raises(BackendError):
            async for _ in answer:
                pass
        assert not answer.outcome.complete

    run(scenario, (200, odd))


def test_what_cannot_be_asked_is_refused_before_anything_is_sent():
    async def scenario(backend, there):
        for change, named in [
            ({"seed": 1}, "seed"),
            ({"n": 2}, "n"),
            ({"temperature": 1.5}, "temperature"),
            ({"logprobs": True}, "logprobs"),
            ({"presence_penalty": 0.5}, "presence_penalty"),
            ({"response_format": {"type": "json_object"}}, "response_format.type"),
            ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
            ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]},
             "messages[0].content[0].type"),
            ({"messages": [{"role": "assistant", "content": None, "tool_calls": [
                {"id": "a", "function": {"name": "f", "arguments": "["}}]}]},
             "messages[0].tool_calls[0].function.arguments"),
        ]:  # fmt: skip
            with pytest.raises(Refusal) as raised:
                await backend.open(call_of({**CHAT, **change}))
            assert (raised.value.status, raised.value.param) == (400, named)
        assert there.asked == []
        with pytest.raises(UnknownName):
            await backend.open(call_of({**CHAT, "model": "other"}))

    run(scenario)


def test_configuration():
    with pytest.raises(ConfigError):
        AnthropicConfig(max_tokens=0)
    assert "sk-secret" not in repr(AnthropicConfig(api_key="sk-secret"))
