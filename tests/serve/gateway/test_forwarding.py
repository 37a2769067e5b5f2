"""What a client says reaches the server behind it byte for byte, and what that says reaches the client."""

from __future__ import annotations

import http.client
import json

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.serve.backends.memory import MemoryBackend
from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
from tenfold.serve.protocols.spans import span_of

CHAT, TEXT, VECTORS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"
ALL = frozenset({CHAT, TEXT, VECTORS, RESPONSES, MESSAGES})


def backend_of(upstream, **more):
    return OpenAIBackend(OpenAIConfig(base_url=upstream.url, speaks=ALL, **more))


def post(served, path, body, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    try:
        connection.request("POST", path, body, headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


ODD_CHAT = rb"""
 { "messages" : [ {"role":"user", "content":"gr\u00fc\u00df \ud83d\ude00 \/ \"x\"", "na\u006de":"a"},
   {"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},
     {"type":"input_audio","input_audio":{"data":"AA==","format":"wav"}},{"type":"later","of":{"it":1}}]},
   {"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",
     "function":{"name":"f","arguments":"{\"model\":1}"}}]},
   {"role":"tool","tool_call_id":"c","content":"ok"} ],
   "model"	:	"m" , "n": 2, "stop":["\u0041","}"], "logprobs":true,"top_logprobs":5, "temperature":1E0,
   "tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"model":{"const":1.0}}}}}],
   "tool_choice":"auto","response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,
     "schema":{"type":"object","maximum":123456789012345678901234567890}}},
   "logit_bias":{"50256":-100},"seed":-9223372036854775808,"unknown":{"deep":[[],{},1e2,0.10,-0]},
   "max_completion_tokens":7, "user":"u", "metadata":{} }
"""
WHOLE = {
    CHAT: ODD_CHAT,
    TEXT: b'{"model":"m","prompt":[1,2,3],"echo":true,"logprobs":3,"best_of":4,"suffix":"\\u00e9"}\n',
    VECTORS: b'{"input":[[1,2],[3]],\t"model":"m","dimensions":3,"encoding_format":"base64","x":1.50}',
    RESPONSES: b'{"model":"m","input":[{"type":"later"}],"tools":[{"type":"mcp"}],"include":["a"],"x":1e1}',
    MESSAGES: b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"later"}]}],'
    b'"thinking":{"type":"enabled","budget_tokens":99999999999999999999},"system":[]}',
}
STREAMED = {
    CHAT: b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream": true ,'
    b'"stream_options":{"include_usage":true,"more":1.0}}',
    RESPONSES: b'{"model":"m","input":"x","stream":true, "x":1.0}',
    MESSAGES: b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"stream":true}',
}
ANSWER = (
    rb""" { "id" : "up-1", "object":"chat.completion","choices":[{"index":0,"finish_reason":"tool_calls",
 "message":{"role":"assistant","content":"\u00e9","reasoning_content":"hm","tool_calls":[{"id":"c1",
 "type":"function","function":{"name":"f","arguments":"{}"}}],"unknown":1e2},"logprobs":{"content":[]}}],
 "usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"cost":0.10},"big":123456789012345678901 }"""
    + b"\n"
)


@pytest.mark.parametrize("path", WHOLE)
def test_bodies_and_answers_go_through_byte_for_byte(serving, upstream, path):
    upstream.say = lambda seen, number: ANSWER
    with serving(backend_of(upstream)) as served:
        body = WHOLE[path]
        json.loads(body)
        status, _, said = post(served, path, body, {"traceparent": "00-1-2-01", "cookie": "s=1"})
        assert (status, said) == (200, ANSWER)
        (seen,) = upstream.seen
        assert (seen.path, seen.body) == (path, body)
        assert b"traceparent: 00-1-2-01" in seen.head
        assert b"cookie" not in seen.head.lower()


@pytest.mark.parametrize("path", WHOLE)
def test_another_name_is_all_that_changes(serving, upstream, path):
    upstream.say = lambda seen, number: ANSWER
    with serving(backend_of(upstream, models={"mine": "m"})) as served:
        body = WHOLE[path].replace(b'"m"', b'"mi\\u006ee"')
        assert post(served, path, body)[0] == 200
        assert upstream.seen[0].body.replace(b" ", b"") == WHOLE[path].replace(b" ", b"").replace(
            b"\t:\t", b"\t:"
        )


@pytest.mark.parametrize("path", STREAMED)
def test_streams_go_through_byte_for_byte(serving, upstream, path):
    events = {
        CHAT: [
            b': hello\r\n\r\ndata: {"choices":[{"index":0,"delta":{"reasoning":"\\u00e9"},"x":1e1}]}\n\n',
            b'event: odd\nid: 7\ndata: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
            b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1},"y":2}\n\n',
            b"data: [DONE]\n\n",
        ],
        RESPONSES: [
            b'event: response.created\ndata: {"type":"response.created","response":{"id":"r1"}}\n\n',
            b'event: response.completed\ndata: {"type":"response.completed","response":{"id":"r1",'
            b'"status":"completed","output":[],"usage":{"input_tokens":3,"output_tokens":1}}}\n\n',
        ],
        MESSAGES: [
            b'event: message_start\ndata: {"type":"message_start","message":{"id":"r1","usage":'
            b'{"input_tokens":3,"output_tokens":0}}}\n\nevent: ping\ndata: {"type": "ping"}\n\n',
            b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},'
            b'"usage":{"output_tokens":1}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n',
        ],
    }[path]
    upstream.say = lambda seen, number: events
    with serving(backend_of(upstream)) as served:
        status, headers, said = post(served, path, STREAMED[path])
        assert (status, said) == (200, b"".join(events))
        assert headers["content-type"].startswith("text/event-stream")
        assert upstream.seen[0].body == STREAMED[path]
        (event,) = served.events()
        assert (event.prompt_tokens, event.completion_tokens) == (3, 1)


@pytest.mark.parametrize(
    "options",
    [b"", b',"stream_options":null', b', "stream_options" : {"include_usage":false,"x":1}'],
)
def test_a_stream_is_counted_though_its_client_does_not_ask(serving, upstream, options):
    delta = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n'
    upstream.say = lambda seen, number: [delta + usage, b"data: [DONE]\n\n"]
    body = b'{"model":"m", "messages":[{"role":"user","content":"x"}],"stream":true%b}  ' % options
    with serving(backend_of(upstream)) as served:
        _, _, said = post(served, CHAT, body)
        assert said == delta + b"data: [DONE]\n\n"
        assert served.events()[0].completion_tokens == 1
    got = upstream.seen[0]
    asked = json.loads(body)
    added = {**(asked.get("stream_options") or {}), "include_usage": True}
    assert got.plain == {**asked, "stream_options": added}
    before = body.index(options) if options else len(body.rstrip()) - 1
    assert got.body.startswith(body[:before])


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=6)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(st.text(max_size=6), values, max_size=5),
    st.booleans(),
    st.sampled_from([None, 1]),
    values,
)
def test_a_member_s_place_in_bytes_is_what_decoding_finds(plain, plainly, indent, other):
    body = json.dumps(plain, ensure_ascii=plainly, indent=indent).encode("utf-8", "surrogatepass")
    assert span_of(body, "no such name") is None
    for name in plain:
        start, end = span_of(body, name)
        changed = body[:start] + json.dumps(other).encode() + body[end:]
        assert json.loads(changed) == {**plain, name: other}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("logprobs", True),
        ("response_format", {"type": "json_object"}),
        ("logit_bias", {"1": 2}),
        ("presence_penalty", 1),
        ("messages[0].content[0].type", None),
    ],
)
def test_what_only_a_server_can_do_is_refused_by_one_that_generates(serving, field, value):
    content = [{"type": "later", "x": 1}] if value is None else "x"
    body = {"model": "memory", "messages": [{"role": "user", "content": content}]}
    if value is not None:
        body[field] = value
    with serving(MemoryBackend(lambda request: "hi")) as served:
        status, _, said = post(served, CHAT, json.dumps(body))
        assert (status, json.loads(said)["error"]["param"]) == (400, field)


def test_errors_of_the_server_keep_status_and_words(serving, upstream):
    error = {"error": {"message": "the model is tired", "code": "tired", "param": "messages"}}
    upstream.say = lambda seen, number: (422, json.dumps(error).encode())
    with (
        serving(backend_of(upstream)) as served,
        openai.OpenAI(base_url=served.url + "/v1", api_key="k", max_retries=0) as client,
        anthropic.Anthropic(base_url=served.url, api_key="k", max_retries=0) as other,
    ):
        with pytest.raises(openai.UnprocessableEntityError, match="tired") as caught:
            client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
        assert (caught.value.code, caught.value.param) == ("tired", "messages")
        with pytest.raises(anthropic.UnprocessableEntityError, match="tired"):
            other.messages.create(
                model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}]
            )


def test_why_finds_a_forwarded_answer_by_the_id_it_carries(serving, upstream, ledger):
    from tenfold.queries.why import why

    upstream.say = lambda seen, number: ANSWER.replace(b"tool_calls", b"stop", 1).replace(
        b'"tool_calls"', b'"none"'
    )
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":0}'
    with serving(backend_of(upstream)) as served:
        _, first, made = post(served, CHAT, body)
        _, second, again = post(served, CHAT, body)
        assert again == made
        assert second["x-tenfold-tier"] == "exact"
        assert first["x-tenfold-request-id"] != second["x-tenfold-request-id"]
        served.events()

        class Past:
            pass

        past = Past()
        past.ledger = ledger
        by_body = why(past, json.loads(made)["id"])
        by_header = why(past, second["x-tenfold-request-id"])
        assert by_body.made_by.id == by_header.made_by.id == first["x-tenfold-request-id"]
        assert by_header.request.tier == "exact"
