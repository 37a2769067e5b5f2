"""Anthropic's own client against chat answers that were translated for it."""

from __future__ import annotations

import anthropic
import pytest
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from tenfold.serve.protocols.messages import Messages
from tenfold.serve.protocols.messages_count import MessagesCount

EVENT = TypeAdapter(RawMessageStreamEvent)
WEATHER = {
    "name": "weather",
    "description": "Weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
ASK = {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "Hi"}]}
THINK = {"thinking": {"type": "adaptive"}}


@pytest.fixture
def served(front):
    return front(Messages())


@pytest.fixture
def client(served):
    with anthropic.Anthropic(
        base_url=served.url, api_key="unused", max_retries=0, timeout=20
    ) as made:
        yield made


def in_order(canned, stream: bytes) -> list[str]:
    """The names of the events, each of which the client's models accept, one block open at a time."""
    names, open_block, next_block = [], None, 0
    for name, data in canned.decoded(stream):
        assert data["type"] == name
        if name not in ("ping", "error"):
            canned.known(EVENT.validate_python(data))
        if name == "content_block_start":
            assert (open_block, data["index"]) == (None, next_block)
            open_block, next_block = next_block, next_block + 1
        elif name.startswith("content_block"):
            assert data["index"] == open_block
            if name == "content_block_stop":
                open_block = None
        else:
            assert open_block is None or name in ("ping", "error")
        names.append(name)
    assert names[0] == "message_start"
    assert names.count("message_start") == 1
    assert names[-2:] == ["message_delta", "message_stop"]
    return names


def final(client, **more):
    with client.messages.stream(**ASK, **more) as stream:
        for _ in stream:
            pass
        return stream.get_final_message()


def test_a_whole_message(client, served, canned):
    served.answer = canned.whole({"content": "Hello."})
    message = client.messages.create(**ASK)
    canned.known(message)
    assert [block.text for block in message.content] == ["Hello."]
    assert (message.id, message.model, message.stop_reason) == ("msg_0123", "m", "end_turn")
    assert message.usage.input_tokens == 12 - 8
    assert message.usage.cache_read_input_tokens == 8
    assert message.usage.output_tokens == 7
    assert message.usage.output_tokens_details.thinking_tokens == 3


def test_a_stream_of_text(client, served, canned):
    served.answer = canned.chunks({"content": "Hel"}, {"content": "lo."})
    message = final(client)
    assert [block.text for block in message.content] == ["Hello."]
    assert message.stop_reason == "end_turn"
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (4, 8)
    assert message.usage.output_tokens == 7
    assert served.chat[0]["stream_options"] == {"include_usage": True}
    names = in_order(canned, b"".join(served.sent))
    assert names.count("content_block_delta") == 2
    # Nothing is held back: each piece of text goes out with the part that brought it.
    assert [b"Hel" in sent for sent in served.sent].index(True) == 1
    assert [b"lo." in sent for sent in served.sent].index(True) == 2


@pytest.mark.parametrize("streamed", [True, False])
def test_thinking_text_and_two_calls(client, served, canned, streamed):
    arguments = '{"city":"Ulm"}', "{}"
    if streamed:
        served.answer = canned.chunks(
            {"reasoning_content": "Let me"},
            {"reasoning_content": " see."},
            {"content": "I look."},
            canned.call(0, "call_a", "weather", ""),
            canned.call(0, arguments='{"city":'),
            canned.call(0, arguments='"Ulm"}'),
            canned.call(1, "call_b", "now", "{}"),
            finish="tool_calls",
        )
        message = final(client, tools=[WEATHER], **THINK)
        in_order(canned, b"".join(served.sent))
    else:
        calls = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": said}}
            for id, name, said in zip(
                ("call_a", "call_b"), ("weather", "now"), arguments, strict=True
            )
        ]
        said = {"reasoning_content": "Let me see.", "content": "I look.", "tool_calls": calls}
        served.answer = canned.whole(said, "tool_calls")
        message = client.messages.create(**ASK, tools=[WEATHER], **THINK)
        canned.known(message)
    thinking, text, first, second = message.content
    assert thinking.thinking == "Let me see."
    assert text.text == "I look."
    assert (first.id, first.name, first.input) == ("call_a", "weather", {"city": "Ulm"})
    assert (second.id, second.name, second.input) == ("call_b", "now", {})
    assert message.stop_reason == "tool_use"
    assert served.chat[0]["tools"][0]["function"]["parameters"] == WEATHER["input_schema"]


def test_who_did_not_ask_for_thinking_gets_the_answer_first(client, served, canned):
    served.answer = canned.chunks({"reasoning": "Hm."}, {"content": "Yes."})
    assert final(client).content[0].text == "Yes."
    served.answer = canned.whole({"reasoning_content": "Hm.", "content": "Yes."})
    assert client.messages.create(**ASK).content[0].text == "Yes."


@pytest.mark.parametrize(
    ("parts", "inputs"),
    [
        # Two calls at once, their arguments interleaved.
        (
            [(0, "a", "f", None), (1, "b", "g", None), (0, None, None, '{"x":'),
             (1, None, None, '{"y":2}'), (0, None, None, "1}")],
            [("a", "f", {"x": 1}), ("b", "g", {"y": 2})],
        ),
        # Arguments before the name they belong to.
        (
            [(0, None, None, '{"x"'), (0, None, None, ":1"), (0, "a", "f", "}")],
            [("a", "f", {"x": 1})],
        ),
        # Every call has the index 0 (Gemini), or none at all.
        ([(0, "a", "f", "{}"), (0, "b", "f", '{"x":1}')], [("a", "f", {}), ("b", "f", {"x": 1})]),
        (
            [(None, "a", "f", '{"x":1}'), (None, "b", "f", "{}")],
            [("a", "f", {"x": 1}), ("b", "f", {})],
        ),
        # A call without arguments, then another; no ids.
        ([(0, None, "f", ""), (1, None, "g", "{}")],
         [("call_0123_0", "f", {}), ("call_0123_1", "g", {})]),
        # The id and the name in every part.
        ([(0, "a", "f", '{"x"'), (0, "a", "f", ":1}"), (1, "b", "g", "{}")],
         [("a", "f", {"x": 1}), ("b", "g", {})]),
    ],
)  # fmt: skip
def test_calls_as_odd_servers_stream_them(client, served, canned, parts, inputs):
    served.answer = canned.chunks(*(canned.call(*part) for part in parts), finish="tool_calls")
    message = final(client, tools=[WEATHER])
    assert [(block.id, block.name, block.input) for block in message.content] == inputs
    in_order(canned, b"".join(served.sent))


@pytest.mark.parametrize(
    ("finish", "more", "reason"),
    [
        ("stop", {}, "end_turn"),
        ("length", {}, "max_tokens"),
        ("content_filter", {}, "refusal"),
        ("stop", {"stop_reason": "END"}, "stop_sequence"),
        ("stop", {"matched_stop": "END"}, "stop_sequence"),
        ("stop", {"stop_reason": "other"}, "end_turn"),
    ],
)
def test_why_it_ended(client, served, canned, finish, more, reason):
    told = []
    served.answer = canned.whole({"content": "x"}, finish, **more)
    told.append(client.messages.create(**ASK, stop_sequences=["END"]))
    served.answer = canned.chunks({"content": "x"}, finish=finish, **more)
    told.append(final(client, stop_sequences=["END"]))
    for message in told:
        assert message.stop_reason == reason
        assert message.stop_sequence == ("END" if reason == "stop_sequence" else None)
    assert served.chat[0]["stop"] == ["END"]


def test_a_forced_call_is_a_call_though_the_server_says_stop(client, served, canned):
    served.answer = canned.chunks(canned.call(0, "a", "weather", "{}"))
    choice = {"type": "tool", "name": "weather"}
    assert final(client, tools=[WEATHER], tool_choice=choice).stop_reason == "tool_use"
    assert served.chat[0]["tool_choice"] == {"type": "function", "function": {"name": "weather"}}


def test_an_empty_answer(client, served, canned):
    served.answer = canned.chunks()
    assert final(client).content == []
    served.answer = canned.whole({"content": None})
    assert client.messages.create(**ASK).content == []


def test_a_refusal_is_text_and_a_reason(client, served, canned):
    served.answer = canned.chunks({"refusal": "I will"}, {"refusal": " not."})
    message = final(client)
    assert (message.content[0].text, message.stop_reason) == ("I will not.", "refusal")


def test_a_stream_without_done_ends_all_the_same(client, served, canned):
    served.answer = canned.chunks({"content": "x"})[:-2]
    assert final(client).content[0].text == "x"
    in_order(canned, b"".join(served.sent))


@pytest.mark.parametrize(
    ("part", "status"),
    [
        (b'data: {"error":{"message":"no more room","code":503}}\n\n', "overloaded_error"),
        (b'event: error\ndata: {"error":{"message":"no more room"}}\n\n', "api_error"),
        (b"data: {\n\n", "api_error"),
        (b'data: {"choices":[{"delta":7}]}\n\ndata: 7\n\n', "api_error"),
        (
            b'data: {"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}\n\ndata: [DONE]\n\n',
            "api_error",
        ),
    ],
)
def test_an_error_in_the_middle(client, served, canned, part, status):
    served.answer = [
        *canned.chunks({"content": "x"})[:2],
        part,
        *canned.chunks({"content": "LATER"}),
    ]
    with pytest.raises(anthropic.APIStatusError) as raised:
        final(client)
    assert raised.value.body["error"]["type"] == status
    events = canned.decoded(b"".join(served.sent))
    assert events[-1][0] == "error"
    assert "LATER" not in str(events)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"extra_body": {"temperature": "hot"}}, "temperature"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"extra_body": {"container": "c"}}, "container"),
        ({"extra_body": {"n": 2}}, "n"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}, "messages[1].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}]}]},
            "messages[0].content[0].source.type",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}]},
            "messages[0].content[0].type",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(client, served, change, named):
    with pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(**{**ASK, **change})
    assert raised.value.body["type"] == "error"
    assert raised.value.body["error"]["type"] == "invalid_request_error"
    assert f"`{named}`" in raised.value.body["error"]["message"]
    assert raised.value.body["request_id"] == "req_1"


def test_the_tokens_of_a_prompt_are_counted_by_who_knows_them(front, canned):
    served = front(MessagesCount())
    served.answer = canned.whole({"content": "x"}, "length")
    with anthropic.Anthropic(base_url=served.url, api_key="unused", max_retries=0) as client:
        asked = {name: value for name, value in ASK.items() if name != "max_tokens"}
        count = client.messages.count_tokens(**asked, tools=[WEATHER], **THINK)
    canned.known(count)
    assert count.input_tokens == 12
    (chat,) = served.chat
    assert (chat["max_tokens"], chat["temperature"], "stream" in chat) == (1, 0, False)
    assert chat["tools"][0]["function"]["name"] == "weather"
