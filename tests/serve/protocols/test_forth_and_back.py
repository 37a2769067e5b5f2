"""Properties: how a stream is cut changes nothing, and what both protocols can say survives both ways."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tenfold.serve.protocols.anthropic_answer import ChatChunks, to_chat_answer
from tenfold.serve.protocols.anthropic_request import to_messages
from tenfold.serve.protocols.messages import Messages
from tenfold.serve.protocols.messages_answer import from_chat
from tenfold.serve.protocols.messages_request import to_chat
from tenfold.serve.protocols.messages_stream import MessagesStream
from tenfold.serve.protocols.responses_stream import ResponsesStream

TEXT = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
VALUES = st.dictionaries(
    TEXT, st.none() | st.integers(-9, 9) | TEXT | st.lists(TEXT, max_size=2), max_size=3
)
NAME = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
THINK = {"model": "m", "thinking": {"type": "adaptive"}}


@st.composite
def deltas(draw: Any) -> list[dict[str, Any]]:
    """What a model says: reasoning, text and calls whose parts are interleaved at will."""
    said = [{"reasoning_content": piece} for piece in draw(st.lists(TEXT, max_size=3))]
    said += [{"content": piece} for piece in draw(st.lists(TEXT, max_size=4))]
    waiting = []
    for index, value in enumerate(draw(st.lists(VALUES, max_size=3))):
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
        cuts = sorted(draw(st.sets(st.integers(1, len(text) - 1), max_size=3)))
        pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
        first = {"index": index, "id": f"call_{index}", "type": "function"}
        head = {**first, "function": {"name": draw(NAME), "arguments": ""}}
        waiting.append(
            [head, *({"index": index, "function": {"arguments": piece}} for piece in pieces)]
        )
    begun = 0  # a call begins after the one before it has: OpenAI's client knows no other order
    while any(waiting):
        index = draw(
            st.sampled_from([i for i, parts in enumerate(waiting) if parts and i <= begun])
        )
        begun = max(begun, index + 1)
        said.append({"tool_calls": [waiting[index].pop(0)]})
    return said


def told(stream: Any, parts: list[bytes]) -> bytes:
    return b"".join([stream.feed(part) for part in parts]) + stream.end()


def blocks(canned: Any, stream: bytes) -> list[dict[str, Any]]:
    """Anthropic's events put together again, strictly: one block open at a time."""
    made: list[dict[str, Any]] = []
    for name, data in canned.decoded(stream):
        if name == "content_block_start":
            assert data["index"] == len(made)
            made.append({**data["content_block"], "json": ""})
        elif name == "content_block_delta":
            assert data["index"] == len(made) - 1
            delta = data["delta"]
            kind, field = {
                "text_delta": ("text", "text"),
                "thinking_delta": ("thinking", "thinking"),
                "input_json_delta": ("tool_use", "json"),
            }[delta["type"]]
            assert made[-1]["type"] == kind
            made[-1][field] += delta["partial_json" if field == "json" else field]
    return made


@given(said=deltas(), data=st.data())
@pytest.mark.parametrize("kind", [MessagesStream, ResponsesStream])
def test_how_a_stream_is_cut_changes_nothing(canned, kind, said, data):
    events = canned.chunks(*said, finish="tool_calls")
    one_by_one = told(kind(THINK, "x_1"), events)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(events)))))
    parts = [b"".join(events[a:b]) for a, b in zip([0, *cuts], [*cuts, len(events)], strict=True)]
    assert told(kind(THINK, "x_1"), parts) == one_by_one
    windows = [part.replace(b"\n", b"\r\n") for part in parts]
    comments = [b": keep-alive\n\n" + part for part in parts]
    assert told(kind(THINK, "x_1"), windows) == one_by_one
    assert told(kind(THINK, "x_1"), comments) == one_by_one


@given(said=deltas())
def test_streams_say_what_openai_s_client_makes_of_the_chunks(canned, said):
    events = canned.chunks(*said, finish="tool_calls")
    state = ChatCompletionStreamState()
    for event in events[:-1]:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(event[6:]))
    message = state.get_final_completion().choices[0].message
    calls = [
        (call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()
    ]

    made = blocks(canned, told(MessagesStream(THINK, "msg_1"), events))
    by_kind = {
        kind: [b for b in made if b["type"] == kind] for kind in ("thinking", "text", "tool_use")
    }
    assert "".join(block["text"] for block in by_kind["text"]) == (message.content or "")
    assert "".join(block["thinking"] for block in by_kind["thinking"]) == "".join(
        delta.get("reasoning_content", "") for delta in said
    )
    uses = [(block["id"], block["name"], block["json"]) for block in by_kind["tool_use"]]
    assert uses == calls

    *_, (_, last) = canned.decoded(told(ResponsesStream(THINK, "resp_1"), events))
    output = last["response"]["output"]
    found = [
        (i["call_id"], i["name"], i["arguments"]) for i in output if i["type"] == "function_call"
    ]
    assert found == calls
    texts = [p["text"] for i in output if i["type"] == "message" for p in i["content"]]
    assert "".join(texts) == (message.content or "")


@given(said=deltas())
def test_a_stream_there_and_back_is_the_same_chat(canned, said):
    events = canned.chunks(*said, finish="tool_calls")
    there = told(MessagesStream(THINK, "msg_1"), events)
    back = ChatChunks(1_700_000_000).feed(there)
    heard = []
    for stream in (b"".join(events), back):
        state = ChatCompletionStreamState()
        *chunks, done = [event[6:] for event in stream.split(b"\n\n") if event]
        assert done == b"[DONE]"
        for chunk in chunks:
            state.handle_chunk(ChatCompletionChunk.model_validate_json(chunk))
        heard.append(state.get_final_completion())
    before, after = (completion.choices[0].message for completion in heard)
    assert (after.content or "") == (before.content or "")
    assert after.tool_calls == before.tool_calls
    assert heard[0].usage == heard[1].usage


MEDIA = st.sampled_from(["image/png", "image/jpeg"])
DATA = st.binary(max_size=9).map(lambda data: __import__("base64").b64encode(data).decode())
IMAGE = st.builds(lambda m, d: f"data:{m};base64,{d}", MEDIA, DATA) | st.just(
    "https://x.test/a.png"
)
PART = st.builds(lambda text: {"type": "text", "text": text}, TEXT) | st.builds(
    lambda url: {"type": "image_url", "image_url": {"url": url}}, IMAGE
)
CONTENT = TEXT | st.lists(PART, min_size=2, max_size=3)


@st.composite
def requests(draw: Any) -> dict[str, Any]:
    """A chat request in the form that the way back gives it."""
    messages: list[dict[str, Any]] = []
    if draw(st.booleans()):
        messages.append({"role": "system", "content": draw(TEXT)})
    for turn in range(draw(st.integers(1, 3))):
        messages.append({"role": "user", "content": draw(CONTENT)})
        names = draw(st.lists(NAME, max_size=2))
        if not names:
            messages.append({"role": "assistant", "content": draw(TEXT)})
            continue
        calls = [
            {
                "id": f"call_{turn}_{n}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": json.dumps(
                        draw(VALUES), separators=(",", ":"), ensure_ascii=False
                    ),
                },
            }
            for n, name in enumerate(names)
        ]
        messages.append(
            {"role": "assistant", "content": draw(st.none() | TEXT), "tool_calls": calls}
        )
        messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": draw(TEXT)} for call in calls
        ]
    messages.append({"role": "user", "content": draw(CONTENT)})
    schema = {"type": "object", "properties": {}}
    tool = {"name": "f", "description": "F", "parameters": schema, "strict": True}
    form = {"name": "answer", "schema": schema, "strict": True}
    more = {
        "temperature": draw(st.none() | st.floats(0, 1)),
        "top_p": draw(st.none() | st.floats(0.1, 1)),
        "top_k": draw(st.none() | st.integers(1, 9)),
        "stop": draw(st.none() | st.lists(TEXT, min_size=1, max_size=2)),
        "user": draw(st.none() | TEXT),
        "reasoning_effort": draw(st.sampled_from([None, "none", "low", "medium", "high"])),
        "response_format": draw(
            st.sampled_from([None, {"type": "json_schema", "json_schema": form}])
        ),
        "service_tier": draw(st.sampled_from([None, "auto", "default"])),
    }
    if draw(st.booleans()):
        named = {"type": "function", "function": {"name": "f"}}
        more["tools"] = [{"type": "function", "function": tool}]
        more["tool_choice"] = draw(st.sampled_from(["auto", "required", named]))
        more["parallel_tool_calls"] = draw(st.sampled_from([None, True, False]))
    if draw(st.booleans()):
        more |= {"stream": True, "stream_options": {"include_usage": True}}
    kept = {name: value for name, value in more.items() if value is not None}
    return {"model": "m", "messages": messages, "max_tokens": draw(st.integers(1, 99)), **kept}


@given(requests())
def test_a_request_there_and_back_is_the_same_request(chat):
    there = to_messages(chat, max_tokens=1)
    Messages().read(json.dumps(there).encode())
    assert to_chat(there) == chat


@given(said=deltas(), reason=st.sampled_from(["stop", "length", "content_filter"]))
def test_an_answer_there_and_back_is_the_same_answer(canned, said, reason):
    text = "".join(delta.get("content", "") for delta in said)
    message: dict[str, Any] = {"content": text, "refusal": None}
    reasoning = "".join(delta.get("reasoning_content", "") for delta in said)
    if reasoning:
        message["reasoning_content"] = reasoning
        message["thinking_blocks"] = [{"type": "thinking", "thinking": reasoning, "signature": ""}]
    chat = canned.whole(message, reason, logprobs=None)
    there = json.loads(from_chat(chat, THINK, "chatcmpl-1"))
    back = json.loads(to_chat_answer(there, chat["created"]))
    assert ChatCompletion.model_validate(back) == ChatCompletion.model_validate(chat)
