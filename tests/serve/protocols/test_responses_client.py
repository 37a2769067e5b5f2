"""OpenAI's own client asks for responses; chat answers were translated for it."""

from __future__ import annotations

import openai
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from tenfold.serve.protocols.responses import Responses

EVENT = TypeAdapter(ResponseStreamEvent)
ASK = {"model": "m", "input": "Hi"}
WEATHER = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


@pytest.fixture
def served(front):
    return front(Responses())


@pytest.fixture
def client(served):
    with openai.OpenAI(
        base_url=served.url + "/v1", api_key="unused", max_retries=0, timeout=20
    ) as made:
        yield made


def in_order(canned, stream: bytes) -> list[str]:
    """The names of the events, each of which the client's models accept, numbered without a gap, items
    and their parts opened before they grow and closed with what they grew to."""
    names, open_item, grown, items = [], None, "", []
    for number, (name, data) in enumerate(canned.decoded(stream)):
        canned.known(EVENT.validate_python(data))
        assert data["type"] == name
        assert data["sequence_number"] == number
        kind = name.removeprefix("response.")
        if kind == "output_item.added":
            assert open_item is None
            assert data["output_index"] == len(items)
            open_item, grown = data["item"]["id"], ""
        elif kind == "output_item.done":
            assert data["item"]["id"] == open_item
            items.append(data["item"])
            open_item = None
        elif "item_id" in data:
            assert (data["item_id"], data["output_index"]) == (open_item, len(items))
            if kind.endswith(".delta"):
                grown += data["delta"]
            elif not kind.startswith("content_part"):
                assert grown == data.get("text", data.get("arguments", data.get("refusal")))
        names.append(kind)
    assert names[:2] == ["created", "in_progress"]
    last = data["response"]
    assert names[-1] == last["status"]
    assert last["output"] == items
    return names


def final(client, **more):
    with client.responses.stream(**{**ASK, **more}) as stream:
        for _ in stream:
            pass
        return stream.get_final_response()


def test_a_whole_response(client, served, canned):
    served.answer = canned.whole({"content": "Hello."})
    response = client.responses.create(**ASK, instructions="Be kind.", max_output_tokens=9)
    canned.known(response)
    assert response.output_text == "Hello."
    assert (response.id, response.model, response.status) == ("resp_0123", "m", "completed")
    assert (response.instructions, response.max_output_tokens) == ("Be kind.", 9)
    usage = response.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (12, 7, 19)
    assert usage.input_tokens_details.cached_tokens == 8
    assert usage.output_tokens_details.reasoning_tokens == 3
    assert served.chat == [
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "Hi"},
            ],
            "max_tokens": 9,
        }
    ]


def test_a_stream_of_text(client, served, canned):
    served.answer = canned.chunks({"content": "Hel"}, {"content": "lo."})
    response = final(client)
    assert (response.output_text, response.status) == ("Hello.", "completed")
    assert response.usage.total_tokens == 19
    assert in_order(canned, b"".join(served.sent)) == [
        "created", "in_progress", "output_item.added", "content_part.added",
        "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    # Nothing is held back: each piece of text goes out with the part that brought it.
    assert [b'"Hel"' in sent for sent in served.sent].index(True) == 1
    assert [b'"lo."' in sent for sent in served.sent].index(True) == 2


@pytest.mark.parametrize("streamed", [True, False])
def test_reasoning_text_and_two_calls(client, served, canned, streamed):
    if streamed:
        served.answer = canned.chunks(
            {"reasoning": "Let me"},
            {"reasoning": " see."},
            {"content": "I look."},
            canned.call(0, "call_a", "weather", ""),
            canned.call(0, arguments='{"city":'),
            canned.call(1, "call_b", "now"),
            canned.call(0, arguments='"Ulm"}'),
            finish="tool_calls",
        )
        response = final(client, tools=[WEATHER])
        in_order(canned, b"".join(served.sent))
    else:
        calls = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": said}}
            for id, name, said in (("call_a", "weather", '{"city":"Ulm"}'), ("call_b", "now", ""))
        ]
        said = {"reasoning_content": "Let me see.", "content": "I look.", "tool_calls": calls}
        served.answer = canned.whole(said, "tool_calls")
        response = client.responses.create(**ASK, tools=[WEATHER])
        canned.known(response)
    reasoning, message, first, second = response.output
    assert reasoning.content[0].text == "Let me see."
    assert message.content[0].text == "I look."
    assert (first.call_id, first.name, first.arguments) == ("call_a", "weather", '{"city":"Ulm"}')
    assert (second.call_id, second.name, second.arguments) == ("call_b", "now", "{}")
    assert (response.status, response.tools[0].name) == ("completed", "weather")
    # The answer goes back as input as it is, with what the tools gave.
    served.answer = canned.whole({"content": "Sun."})
    back = [item.model_dump(exclude_unset=True) for item in response.output]
    results = [
        {"type": "function_call_output", "call_id": id, "output": "sun"}
        for id in ("call_a", "call_b")
    ]
    client.responses.create(model="m", input=[{"role": "user", "content": "Hi"}, *back, *results])
    _, assistant, *tools = served.chat[-1]["messages"]
    assert assistant["reasoning_content"] == "Let me see."
    assert assistant["content"] == "I look."
    assert [call["id"] for call in assistant["tool_calls"]] == ["call_a", "call_b"]
    assert [tool["tool_call_id"] for tool in tools] == ["call_a", "call_b"]


class City(BaseModel):
    name: str
    people: int


def test_structured_output(client, served, canned):
    served.answer = canned.chunks({"content": '{"name":"Ulm",'}, {"content": '"people":128928}'})
    response = final(client, text_format=City)
    assert response.output_parsed == City(name="Ulm", people=128928)
    form = served.chat[0]["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)
    assert set(form["json_schema"]["schema"]["properties"]) == {"name", "people"}
    served.answer = canned.whole({"content": '{"name":"Ulm","people":1}'})
    assert client.responses.parse(**ASK, text_format=City).output_parsed.people == 1


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_cut_off(client, served, canned, finish, reason):
    served.answer = canned.whole({"content": "x"}, finish)
    whole = client.responses.create(**ASK)
    canned.known(whole)
    served.answer = canned.chunks({"content": "x"}, finish=finish)
    *_, last = client.responses.create(**ASK, stream=True)
    assert last.type == "response.incomplete"
    for response in (whole, last.response):
        assert (response.status, response.incomplete_details.reason) == ("incomplete", reason)
        assert response.output[0].status == "incomplete"
    in_order(canned, b"".join(served.sent))


def test_a_refusal(client, served, canned):
    served.answer = canned.chunks({"refusal": "I will"}, {"refusal": " not."})
    assert final(client).output[0].content[0].refusal == "I will not."
    assert "refusal.delta" in in_order(canned, b"".join(served.sent))


def test_an_empty_answer(client, served, canned):
    served.answer = canned.chunks()
    assert final(client).output == []
    served.answer = canned.whole({"content": ""})
    assert client.responses.create(**ASK).output == []


def test_log_probabilities(client, served, canned):
    told = {
        "token": "é",
        "logprob": -0.5,
        "bytes": [195, 169],
        "top_logprobs": [{"token": "e", "logprob": -1.5, "bytes": None}],
    }
    more = {"include": ["message.output_text.logprobs"], "top_logprobs": 1}
    served.answer = canned.whole({"content": "é"}, logprobs={"content": [told]})
    whole = client.responses.create(**ASK, **more)
    canned.known(whole)
    assert (served.chat[0]["logprobs"], served.chat[0]["top_logprobs"]) == (True, 1)
    parts = canned.chunks()
    parts.insert(1, canned.chunk({"content": "é"}, logprobs={"content": [told]}))
    served.answer = parts
    streamed = final(client, **more)
    in_order(canned, b"".join(served.sent))
    for response in (whole, streamed):
        (heard,) = response.output[0].content[0].logprobs
        assert (heard.token, heard.logprob, heard.bytes) == ("é", -0.5, [195, 169])
        assert heard.top_logprobs[0].bytes == [101]


def test_an_error_in_the_middle(client, served, canned):
    error = {"error": {"message": "no more room", "code": 429}}
    served.answer = [
        *canned.chunks({"content": "x"})[:2],
        canned.event(error),
        *canned.chunks({"content": "LATER"}),
    ]
    *_, told, last = client.responses.create(**ASK, stream=True)
    assert (told.type, told.message) == ("error", "no more room")
    assert last.type == "response.failed"
    assert (last.response.error.code, last.response.status) == ("rate_limit_exceeded", "failed")
    canned.known(last)
    assert b"LATER" not in b"".join(served.sent)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"input": []}, "input"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content[0].file_id"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"type": "reasoning", "id": "x", "summary": [], "encrypted_content": "x"}]}, "input[0].encrypted_content"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"extra_body": {"n": 2}}, "n"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(client, served, change, named):
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(**{**ASK, **change})
    assert raised.value.param == named
    assert f"`{named}`" in raised.value.body["message"]
