"""Requests: what the official clients' own types allow is said in the other protocol's own types, and
whatever else is sent is refused by name, never with a crash."""

from __future__ import annotations

import contextlib
import copy
import json
from typing import Any

import pytest
from anthropic.types import MessageCreateParams
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import CompletionCreateParams
from openai.types.responses import ResponseCreateParams
from pydantic import TypeAdapter

from tenfold.errors import BackendError
from tenfold.serve.protocols.anthropic_answer import ChatChunks, to_chat_answer
from tenfold.serve.protocols.anthropic_request import to_messages
from tenfold.serve.protocols.chat import Chat
from tenfold.serve.protocols.messages import Messages
from tenfold.serve.protocols.messages_stream import MessagesStream
from tenfold.serve.protocols.responses import Responses
from tenfold.serve.protocols.responses_stream import ResponsesStream
from tenfold.serve.refusal import Refusal

CHAT_PARAMS = TypeAdapter(CompletionCreateParams)
MESSAGE_PARAMS = TypeAdapter(MessageCreateParams)
RESPONSE_PARAMS = TypeAdapter(ResponseCreateParams)

PNG = "iVBORw0KGgo="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
MESSAGES = {
    "model": "m",
    "max_tokens": 100,
    "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
                {
                    "type": "document",
                    "title": "a.pdf",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": PNG},
                },
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "Plain."},
                },
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "t1", "name": "look", "input": {"city": "Ulm"}},
                {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [
                        {"type": "text", "text": "Seen."},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    ],
                },
                {"type": "tool_result", "tool_use_id": "t2", "content": "No.", "is_error": True},
                {"type": "text", "text": "Go on."},
            ],
        },
    ],
    "tools": [{"name": "look", "description": "Look", "input_schema": SCHEMA, "strict": True}],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 8000},
    "output_config": {"format": {"type": "json_schema", "schema": SCHEMA}},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["END"],
    "service_tier": "standard_only",
    "temperature": 0.5,
    "top_k": 5,
    "min_p": 0.1,
    "stream": True,
}  # fmt: skip
RESPONSES = {
    "model": "m",
    "instructions": "Be kind.",
    "input": [
        {"role": "developer", "content": "And brief."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is this?"},
                {
                    "type": "input_image",
                    "image_url": f"data:image/png;base64,{PNG}",
                    "detail": "low",
                },
                {
                    "type": "input_file",
                    "filename": "a.pdf",
                    "file_data": "data:application/pdf;base64,x",
                },
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "t1", "name": "look", "arguments": "{}"},
        {"type": "function_call", "call_id": "t2", "name": "look", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "t1",
            "output": [
                {"type": "input_text", "text": "Seen."},
                {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "auto"},
            ],
        },
        {"type": "function_call_output", "call_id": "t2", "output": "No."},
        {"role": "user", "content": "Go on."},
    ],
    "tools": [{"type": "function", "name": "look", "parameters": SCHEMA, "strict": True}],
    "tool_choice": {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "look"}],
    },
    "text": {
        "format": {"type": "json_schema", "name": "city", "schema": SCHEMA, "strict": True},
        "verbosity": "low",
    },
    "reasoning": {"effort": "low", "summary": "auto"},
    "parallel_tool_calls": False,
    "max_output_tokens": 100,
    "include": ["reasoning.encrypted_content"],
    "metadata": {"a": "b"},
    "store": False,
    "temperature": 0.5,
    "user": "u",
    "min_p": 0.1,
    "stream": True,
}
LOOK = {"name": "look", "description": "Look", "parameters": SCHEMA, "strict": True}
CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "developer", "content": [{"type": "text", "text": "And brief."}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                {"type": "file", "file": {"filename": "a", "file_data": f"data:application/pdf;base64,{PNG}"}},
            ],
        },
        {
            "role": "assistant",
            "content": "",
            "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}],
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "look", "arguments": '{"city":"Ulm"}'}},
                {"id": "t2", "type": "function", "function": {"name": "look", "arguments": ""}},
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "Seen."},
        {"role": "tool", "tool_call_id": "t2", "content": [{"type": "text", "text": "No."}]},
        {"role": "user", "content": "Go on."},
    ],
    "tools": [{"type": "function", "function": LOOK}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}},
    "reasoning_effort": "minimal",
    "max_completion_tokens": 100,
    "stop": "END",
    "n": 1,
    "frequency_penalty": 0,
    "user": "u",
    "temperature": 0.5,
    "stream": True,
    "stream_options": {"include_usage": True},
}  # fmt: skip


def accepted(adapter: TypeAdapter, plain: dict[str, Any]) -> None:
    """The client's types take it, lists to their last entry (pydantic reads those when asked)."""

    def consumed(value: object) -> None:
        if isinstance(value, dict):
            for entry in value.values():
                consumed(entry)
        elif not isinstance(value, str | bytes) and hasattr(value, "__iter__"):
            for entry in value:
                consumed(entry)

    consumed(adapter.validate_python(plain))


def chat_of(dialect: Any, plain: dict[str, Any]) -> dict[str, Any]:
    return dialect.to_chat(dialect.read(json.dumps(plain).encode()).plain)


def messages_of(plain: dict[str, Any]) -> dict[str, Any]:
    return to_messages(Chat().read(json.dumps(plain).encode()).plain, max_tokens=9)


def test_a_message_as_chat():
    accepted(MESSAGE_PARAMS, MESSAGES)
    chat = chat_of(Messages(), MESSAGES)
    accepted(CHAT_PARAMS, chat)
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    system, question, answer, first, second, more = chat.pop("messages")
    assert system == {"role": "system", "content": "Be kind."}
    assert question["content"] == [
        {"type": "text", "text": "What is this?"},
        image,
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"}},
        {"type": "text", "text": "Plain."},
    ]  # fmt: skip
    assert (answer["content"], answer["reasoning_content"]) == ("I look.", "Hm.")
    assert [(c["id"], c["function"]["arguments"]) for c in answer["tool_calls"]] == [
        ("t1", '{"city":"Ulm"}'),
        ("t2", "{}"),
    ]
    assert first == {"role": "tool", "tool_call_id": "t1", "content": "Seen."}
    assert second == {"role": "tool", "tool_call_id": "t2", "content": "Error: No."}
    # Pictures that a tool showed stand beside what the user said, with the call they belong to.
    assert more["content"][1:] == [image, {"type": "text", "text": "Go on."}]
    assert "t1" in more["content"][0]["text"]
    assert chat == {
        "model": "m",
        "max_tokens": 100,
        "stop": ["END"],
        "temperature": 0.5,
        "top_k": 5,
        "min_p": 0.1,
        "tools": [{"type": "function", "function": LOOK}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "reasoning_effort": "medium",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True},
        },
        "user": "u",
        "service_tier": "default",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_response_as_chat():
    accepted(RESPONSE_PARAMS, RESPONSES)
    chat = chat_of(Responses(), RESPONSES)
    accepted(CHAT_PARAMS, chat)
    system, question, answer, first, second, shown, more = chat.pop("messages")
    assert system == {"role": "system", "content": "Be kind.\n\nAnd brief."}
    assert [part["type"] for part in question["content"]] == ["text", "image_url", "file"]
    assert (answer["content"], answer["reasoning_content"]) == ("I look.", "Hm.")
    assert [call["id"] for call in answer["tool_calls"]] == ["t1", "t2"]
    assert (first["content"], second["content"]) == ("Seen.", "No.")
    assert shown["content"][1]["image_url"] == {"url": "https://x.test/a.png", "detail": "auto"}
    assert more == {"role": "user", "content": "Go on."}
    allowed = {"type": "function", "function": {"name": "look"}}
    assert chat == {
        "model": "m",
        "max_tokens": 100,
        "temperature": 0.5,
        "parallel_tool_calls": False,
        "user": "u",
        "min_p": 0.1,
        "tools": [{"type": "function", "function": {k: v for k, v in LOOK.items() if k != "description"}}],
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {"mode": "required", "tools": [allowed]},
        },
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "city", "schema": SCHEMA, "strict": True},
        },
        "verbosity": "low",
        "reasoning_effort": "low",
        "stream": True,
        "stream_options": {"include_usage": True},
    }  # fmt: skip


def test_chat_as_a_message():
    accepted(CHAT_PARAMS, CHAT)
    message = messages_of(CHAT)
    accepted(MESSAGE_PARAMS, message)
    question, answer, results = message.pop("messages")
    assert [block["type"] for block in question["content"]] == ["text", "image", "document"]
    assert [block["type"] for block in answer["content"]] == ["thinking", "tool_use", "tool_use"]
    assert [block["input"] for block in answer["content"][1:]] == [{"city": "Ulm"}, {}]
    assert [block["type"] for block in results["content"]] == ["tool_result", "tool_result", "text"]
    assert message == {
        "model": "m",
        "system": [{"type": "text", "text": "Be kind."}, {"type": "text", "text": "And brief."}],
        "max_tokens": 100,
        "stop_sequences": ["END"],
        "tools": [{"name": "look", "description": "Look", "input_schema": SCHEMA, "strict": True}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
        "metadata": {"user_id": "u"},
        "temperature": 0.5,
        "stream": True,
    }


def test_the_limit_has_the_name_that_the_server_knows():
    chat = Messages().to_chat(MESSAGES, limit="max_completion_tokens")
    assert (chat["max_completion_tokens"], "max_tokens" in chat) == (100, False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=3)
    | st.sampled_from(["text", "image", "function", "json_schema", "tool", "assistant", "tool_result"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(["type", "text", "content", "role", "x"]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


def places(value: Any, at: tuple = ()) -> list[tuple]:
    found = [at] if at else []
    if isinstance(value, dict):
        for key in value:
            found += places(value[key], (*at, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            found += places(entry, (*at, index))
    return found


def changed(plain: Any, at: tuple, value: Any) -> Any:
    plain = copy.deepcopy(plain)
    place = plain
    for key in at[:-1]:
        place = place[key]
    place[at[-1]] = value
    return plain


@settings(max_examples=300)
@given(data=st.data())
@pytest.mark.parametrize(
    ("plain", "translate"),
    [
        (MESSAGES, lambda plain: chat_of(Messages(), plain)),
        (RESPONSES, lambda plain: chat_of(Responses(), plain)),
        (CHAT, messages_of),
    ],
)
def test_any_other_value_is_translated_or_refused_by_name(plain, translate, data):
    at = data.draw(st.sampled_from(places(plain)))
    refusals = []
    try:
        translate(changed(plain, at, data.draw(JSON)))
    except Refusal as refusal:
        refusals.append(refusal)
    assert all(refusal.status == 400 and refusal.param for refusal in refusals)


TOOL = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
CHOICE = {
    "index": 0,
    "delta": {"content": "x", "reasoning_content": "y", "tool_calls": [TOOL]},
    "message": {"content": "x", "reasoning_content": "y", "tool_calls": [TOOL]},
    "logprobs": {"content": [{"token": "x", "logprob": -1.0, "bytes": None, "top_logprobs": []}]},
    "finish_reason": "stop",
}
CHUNK = {"id": "c", "created": 1, "model": "m", "choices": [CHOICE], "usage": {"prompt_tokens": 1}}


@settings(max_examples=300)
@given(data=st.data())
def test_any_chat_answer_is_translated_or_an_error(canned, data):
    odd = changed(CHUNK, data.draw(st.sampled_from(places(CHUNK))), data.draw(JSON))
    for dialect in (Messages(), Responses()):
        with contextlib.suppress(BackendError):
            json.loads(dialect.from_chat(odd, {"model": "m"}, "x_1"))
    for stream in (MessagesStream({}, "x_1"), ResponsesStream({}, "x_1")):
        said = stream.feed(canned.event(odd)) + stream.feed(canned.event(CHUNK)) + stream.end()
        last, _ = canned.decoded(said)[-1]
        assert last in (
            "message_stop",
            "error",
            "response.completed",
            "response.failed",
            "response.incomplete",
        )


BLOCKS = [
    {"type": "thinking", "thinking": "x", "signature": "s"},
    {"type": "text", "text": "x"},
    {"type": "tool_use", "id": "a", "name": "f", "input": {}},
]
MESSAGE = {
    "id": "m",
    "model": "m",
    "content": BLOCKS,
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 1},
}
EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": BLOCKS[0]},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "x"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "x"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": BLOCKS[2]},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    {"type": "message_stop"},
]  # fmt: skip


@settings(max_examples=300)
@given(data=st.data())
def test_any_message_is_translated_or_an_error(canned, data):
    odd = changed(MESSAGE, data.draw(st.sampled_from(places(MESSAGE))), data.draw(JSON))
    with contextlib.suppress(BackendError):
        json.loads(to_chat_answer(odd, 1))
    chunks = ChatChunks(1)
    events = changed(EVENTS, data.draw(st.sampled_from(places(EVENTS))), data.draw(JSON))
    said = b"".join([chunks.feed(canned.event(event)) for event in events])
    assert chunks.failure is not None or said == b"" or said.endswith(b"\n\n")
