"""What a stored answer is when it is given again: the same bytes, or the same answer in the other form."""

from __future__ import annotations

import http.client
import json
import tempfile
from pathlib import Path

import openai
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from openai.lib.streaming.chat import ChatCompletionStreamState

from tenfold.ledger import open_ledger
from tenfold.serve.access.issue import create_key
from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.router.config import RouterConfig

from .conftest import _serving
from .upstream import Upstream, running, until

CHAT, TEXT, RESPONSES, MESSAGES = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
)
DONE = b"data: [DONE]\n\n"


def event(plain, kind=None):
    named = b"" if kind is None else b"event: %b\n" % kind.encode()
    return named + b"data: %b\n\n" % json.dumps(plain).encode()


def chunk(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None, **more}
    head = {"id": "up-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}
    return event({**head, "choices": [choice], "usage": None, "extra": 1.50})


COUNTED = event(
    {
        "id": "up-1", "object": "chat.completion.chunk", "created": 7, "model": "m", "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cost": 0.1},
    }
)  # fmt: skip


def stream_of(*deltas, finish="stop", end=(COUNTED, DONE)):
    return [*map(chunk, deltas), chunk({}, finish), *end]


def logprob(token):
    return {
        "logprobs": {
            "content": [{"token": token, "logprob": -0.5, "bytes": [1], "top_logprobs": []}]
        }
    }


SPOKEN = [
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "hm "}),
    chunk({"reasoning_content": "yes"}),
    chunk({"content": "grü"}, **logprob("grü")),
    chunk({"content": "ß"}, **logprob("ß")),
    chunk({}, "stop"),
    COUNTED,
    DONE,
]


def post(served, plain, path=CHAT, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    try:
        connection.request("POST", path, json.dumps(plain), headers or {})
        response = connection.getresponse()
        return response.headers["x-tenfold-tier"], response.read()
    finally:
        connection.close()


def asked(text="x", **more):
    said = {"model": "m", "messages": [{"role": "user", "content": text}], "temperature": 0}
    return {**said, "max_tokens": 9, **more}


def backend_of(upstream):
    speaks = frozenset({CHAT, TEXT, RESPONSES, MESSAGES})
    return OpenAIBackend(OpenAIConfig(base_url=upstream.url, speaks=speaks))


COUNTING = {"stream": True, "stream_options": {"include_usage": True}}


def test_a_stream_is_given_again_as_it_was(serving, upstream):
    upstream.say = lambda seen, number: SPOKEN
    with serving(backend_of(upstream)) as served:
        whole = b"".join(SPOKEN)
        assert post(served, asked(**COUNTING)) == ("model", whole)
        assert post(served, asked(**COUNTING)) == ("exact", whole)
        assert post(served, asked(stream=True)) == ("exact", whole.replace(COUNTED, b""))
        assert len(upstream.seen) == 1
        (_, first, second) = served.events()
        assert first.cached_from == second.cached_from == "up-1"


def test_a_stream_as_a_whole_answer_is_what_openai_s_client_makes_of_it(serving, upstream):
    upstream.say = lambda seen, number: SPOKEN
    with (
        serving(backend_of(upstream)) as served,
        openai.OpenAI(base_url=served.url + "/v1", api_key="k", max_retries=0) as client,
    ):
        state = ChatCompletionStreamState()
        for part in client.chat.completions.create(**asked(**COUNTING)):
            state.handle_chunk(part)
        theirs = state.get_final_completion().model_dump()
        raw = client.chat.completions.with_raw_response.create(**asked())
        assert raw.headers["x-tenfold-tier"] == "exact"
        ours = raw.parse().model_dump()
        (mine,), (known,) = ours.pop("choices"), theirs.pop("choices")
        assert {**mine["message"], "parsed": None} == {**known["message"], "parsed": None}
        assert mine["logprobs"]["content"] == known["logprobs"]["content"]
        assert mine["finish_reason"] == known["finish_reason"]
        for name in ("id", "created", "model", "object", "usage", "extra"):
            assert ours[name] == theirs[name], name
        assert post(served, asked()) == ("exact", raw.http_response.content)


def test_a_whole_answer_as_a_stream_is_the_same_answer(serving, upstream):
    message = {"role": "assistant", "content": "grüß", "refusal": None, "reasoning_content": "hm"}
    body = {
        "id": "up-1", "object": "chat.completion", "created": 7, "model": "m", "extra": [1],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **logprob("grüß")}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }  # fmt: skip
    said = json.dumps(body, indent=1).encode()
    upstream.say = lambda seen, number: said
    with (
        serving(backend_of(upstream)) as served,
        openai.OpenAI(base_url=served.url + "/v1", api_key="k", max_retries=0) as client,
    ):
        assert post(served, asked()) == ("model", said)
        state = ChatCompletionStreamState()
        for part in client.chat.completions.create(**asked(**COUNTING)):
            state.handle_chunk(part)
        made = state.get_final_completion().model_dump(exclude_none=True)
        made["choices"][0]["logprobs"].pop("refusal", None)
        expected = json.loads(said)
        expected["choices"][0]["message"].pop("refusal")
        assert made == expected
        assert post(served, asked()) == ("exact", said)
        assert len(upstream.seen) == 1


def test_completions_in_both_forms(serving, upstream):
    head = {"id": "t1", "object": "text_completion", "created": 7, "model": "m"}

    def part(text, finish=None):
        probs = {"tokens": [text], "token_logprobs": [-1.0], "text_offset": [0]}
        choice = {"index": 0, "text": text, "finish_reason": finish, "logprobs": probs}
        return event({**head, "choices": [choice]})

    upstream.say = lambda seen, number: [part("a "), part("b", "stop"), DONE]
    with serving(backend_of(upstream)) as served:
        ask = {"model": "m", "prompt": "x", "temperature": 0, "logprobs": 1}
        assert post(served, {**ask, "stream": True}, TEXT)[0] == "model"
        tier, body = post(served, ask, TEXT)
        assert tier == "exact"
        (choice,) = json.loads(body)["choices"]
        assert (choice["text"], choice["finish_reason"]) == ("a b", "stop")
        assert choice["logprobs"]["tokens"] == ["a ", "b"]
        assert choice["logprobs"]["token_logprobs"] == [-1.0, -1.0]


@pytest.mark.parametrize("path", [RESPONSES, MESSAGES])
def test_other_protocols_keep_their_forms_apart(serving, upstream, path):
    usage = {"input_tokens": 3, "output_tokens": 1}
    if path == RESPONSES:
        done = {"id": "r", "status": "completed", "output": [], "usage": usage}
        streamed = [event({"type": "response.completed", "response": done}, "response.completed")]
        whole, ask = {**done, "object": "response"}, {"model": "m", "input": "x", "temperature": 0}
    else:
        begun = {"type": "message_start", "message": {"id": "r", "usage": usage}}
        ended = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
        streamed = [event(begun), event(ended), event({"type": "message_stop"})]
        whole, ask = {"id": "r", "stop_reason": "end_turn", "usage": usage, "content": []}, asked()
    upstream.say = lambda seen, number: (
        streamed if seen.plain.get("stream") else json.dumps(whole).encode()
    )
    with serving(backend_of(upstream)) as served:
        for _ in range(2):
            for tier in ("model", "exact") if not len(upstream.seen) else ("exact", "exact"):
                assert post(served, ask, path) == (tier, json.dumps(whole).encode())
            for tier in ("model", "exact") if len(upstream.seen) == 1 else ("exact", "exact"):
                assert post(served, {**ask, "stream": True}, path) == (tier, b"".join(streamed))
        assert len(upstream.seen) == 2


CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
NEVER = {
    "a tool is called": stream_of({"tool_calls": [CALL]}, finish="tool_calls"),
    "a tool is called though it says stop": stream_of({"tool_calls": [CALL]}),
    "a function is called": stream_of({"function_call": {"name": "f", "arguments": ""}}),
    "the model refuses": stream_of({"refusal": "no"}),
    "a filter cut it": stream_of({"content": "a"}, finish="content_filter"),
    "no reason was given": [chunk({"content": "a"}), DONE],
    "an odd reason was given": stream_of({"content": "a"}, finish="error"),
    "it has no end": stream_of({"content": "a"}, end=()),
    "an error before the end": [
        chunk({"content": "a"}, "stop"),
        event({"error": {"message": "x"}}),
        DONE,
    ],
    "it breaks": [chunk({"content": "a"}, "stop"), None],
}


@pytest.mark.parametrize("why", NEVER)
def test_what_is_never_kept(serving, upstream, why):
    upstream.say = lambda seen, number: NEVER[why]
    with serving(backend_of(upstream)) as served:
        assert post(served, asked(stream=True))[0] == "model"
        assert post(served, asked(stream=True))[0] == "model"
        assert served.gateway.tiers.chain[0].num_entries == 0


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "tool_calls": [{k: v for k, v in CALL.items() if k != "index"}]},
        {"content": None, "refusal": "no"},
    ],
)
def test_whole_answers_that_are_never_kept(serving, upstream, message):
    body = {"id": "u", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    upstream.say = lambda seen, number: json.dumps(body).encode()
    with serving(backend_of(upstream)) as served:
        assert [post(served, asked())[0] for _ in range(2)] == ["model", "model"]


def test_what_a_stand_in_said_is_kept_nowhere(serving, upstream):
    upstream.models = ("m", "other")
    broken = (503, b'{"error":{"message":"down"}}')
    upstream.say = lambda seen, number: broken if seen.plain["model"] == "m" else SPOKEN
    router = RouterConfig(max_attempts=1, fallbacks={"m": ("other",)})
    with serving(backend_of(upstream), router=router) as served:
        said = b"".join(SPOKEN)
        assert [post(served, asked(**COUNTING)) for _ in range(2)] == [("model", said)] * 2
        upstream.say = lambda seen, number: SPOKEN if seen.plain["model"] == "m" else broken
        until(lambda: post(served, asked(**COUNTING))[0] == "exact", "the model's own answer")
        assert upstream.seen[-1].plain["model"] == "m"


def test_a_raised_epoch_forgets_what_was_answered_before(serving, upstream, tmp_path):
    upstream.say = lambda seen, number: SPOKEN
    kept = {"tiers": ("exact", "host"), "state_dir": tmp_path}
    ask = asked(stream=True)
    with serving(backend_of(upstream), **kept) as served:
        assert [post(served, ask)[0] for _ in range(2)] == ["model", "exact"]
    with serving(backend_of(upstream), **kept) as served:
        assert [post(served, ask)[0] for _ in range(2)] == ["host", "exact"]
    with serving(backend_of(upstream), policy_epoch=1, **kept) as served:
        assert [post(served, ask)[0] for _ in range(2)] == ["model", "exact"]


def test_numbers_too_long_to_decode_tell_questions_apart(serving, upstream):
    upstream.say = lambda seen, number: SPOKEN
    with serving(backend_of(upstream)) as served:
        far = 10**25
        tiers = [post(served, asked(stream=True, x=far + n))[0] for n in (0, 1, 0)]
        assert tiers == ["model", "model", "exact"]


@settings(max_examples=8, stateful_step_count=20)
class Tenants(RuleBasedStateMachine):
    """Two tenants over tiers that outlive restarts, held to a dict: nobody ever gets what another tenant,
    another model or another question was answered, and whoever asked before is not answered anew."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = open_ledger("memory:")
        self.keys = {name: create_key(self.ledger, name, tenant=name, now_s=1) for name in "ab"}
        self.model = {}
        self.upstream = Upstream(("m", "other"))
        self.upstream.say = self.say
        self.server = running(self.upstream)
        self.server.__enter__()
        self.gateway = None
        self.start()

    def say(self, seen, number):
        """Every answer is one of a kind."""
        plain = seen.plain
        text = f"{plain['model']} {plain['messages'][0]['content']} {number}"
        if plain.get("stream"):
            return stream_of({"content": text})
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return json.dumps({"id": "u", "object": "chat.completion", "choices": [choice]}).encode()

    def start(self):
        config = GatewayConfig(
            tiers=("exact", "host"), state_dir=Path(self.folder.name), drain_s=5, flush_s=0.05
        )
        self.gateway = _serving([backend_of(self.upstream)], self.ledger, config)
        self.served = self.gateway.__enter__()

    @rule()
    def restart(self):
        self.gateway.__exit__(None, None, None)
        self.start()

    @rule(
        tenant=st.sampled_from("ab"),
        model=st.sampled_from(["m", "other"]),
        question=st.sampled_from("xy"),
        stream=st.booleans(),
        wish=st.sampled_from(["", "", "", "no-cache", "no-store"]),
    )
    def ask(self, tenant, model, question, stream, wish):
        headers = {"authorization": f"Bearer {self.keys[tenant]}"}
        if wish:
            headers["cache-control"] = wish
        tier, body = post(self.served, asked(question, model=model, stream=stream), headers=headers)
        if stream:
            lines = [json.loads(e[6:]) for e in body.decode().split("\n\n")[:-2]]
            text = "".join(c["choices"][0]["delta"].get("content") or "" for c in lines)
        else:
            text = json.loads(body)["choices"][0]["message"]["content"]
        known = self.model.get((tenant, model, question))
        newest = f"{model} {question} {len(self.upstream.seen) - 1}"
        if wish:
            assert (tier, text) == ("model", newest)
            if wish == "no-cache":
                self.model[tenant, model, question] = text
        elif known is None:
            assert (tier, text) == ("model", newest)
            self.model[tenant, model, question] = text
        else:
            assert tier in ("exact", "host")
            assert text == known

    @precondition(lambda self: self.gateway is not None)
    @invariant()
    def nothing_is_under_way(self):
        assert self.served.gateway.parts.flights.num_flights == 0

    def teardown(self):
        self.gateway.__exit__(None, None, None)
        self.server.__exit__(None, None, None)
        self.ledger.close()
        self.folder.cleanup()


TestTenants = Tenants.TestCase
