"""Limits, budgets and deadlines as clients meet them."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading

import anthropic
import openai
import pytest

from tenfold.serve.access.grant import TenantPolicy
from tenfold.serve.access.issue import create_key
from tenfold.serve.access.prices import Price
from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
from tenfold.serve.router.config import RouterConfig

from .upstream import until

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
DOLLAR = {"m": Price(input_usd=1e6, output_usd=1e6)}
"""A token costs one dollar."""
COST = 8
WHOLE = (
    b'{"id":"up","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"a b c"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}'
)
PART = b'data: {"id":"up","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'


def body_of(text="x", **more):
    said = {"model": "m", "messages": [{"role": "user", "content": text}], "max_tokens": 10}
    return json.dumps({**said, **more}).encode()


def post(served, body, key=None, path=CHAT, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@pytest.fixture
def behind(upstream):
    upstream.say = lambda seen, number: WHOLE
    return OpenAIBackend(OpenAIConfig(base_url=upstream.url))


def key_of(ledger, name="k", **more):
    return create_key(ledger, name, tenant="t", now_s=1, **more)


def test_a_request_too_many(serving, behind, ledger, upstream):
    key = key_of(ledger, rpm=1)
    with serving(behind) as served:
        assert post(served, body_of(), key)[0] == 200
        status, headers, body = post(served, body_of(), key)
        error = json.loads(body)["error"]
        assert (status, error["type"]) == (429, "rate_limit_error")
        assert error["code"] == "rate_limit_exceeded"
        assert 1 <= int(headers["retry-after"]) <= 120
        base = f"http://127.0.0.1:{served.port}"
        with (
            openai.OpenAI(base_url=base + "/v1", api_key=key, max_retries=0) as one,
            anthropic.Anthropic(base_url=base, api_key=key, max_retries=0) as other,
        ):
            said = [{"role": "user", "content": "x"}]
            with pytest.raises(openai.RateLimitError):
                one.responses.create(model="m", input="x")
            with pytest.raises(anthropic.RateLimitError):
                other.messages.create(model="m", max_tokens=1, messages=said)
        assert len(upstream.seen) == 1
        assert [event.status for event in served.events()] == [200, 429, 429, 429]


def test_tokens_too_many_count_what_answers_had(serving, behind, ledger):
    key, other = key_of(ledger, tpm=2 * COST), key_of(ledger, "other")
    with serving(behind) as served:
        statuses = [post(served, body_of(str(n)), key)[0] for n in range(4)]
        assert statuses[:2] == [200, 200]
        assert statuses[-1] == 429
        assert post(served, body_of(), other)[0] == 200


BAD = [
    b"",
    b"{",
    b'{"model":"m"}',
    body_of(max_tokens=0),
    body_of(model="nobody"),
    b'{"model":"m","model":"m","messages":[{"role":"user","content":"x"}]}',
    b'{"model":"m","messages":[]}',
]


def test_what_is_refused_costs_nothing_and_what_is_answered_its_price(serving, behind, ledger):
    body = body_of()
    most = len(body) + 10
    budget = most + 3 * COST
    key = key_of(ledger, budget_usd=budget)
    with serving(behind, prices=DOLLAR) as served:
        for bad in BAD:
            assert post(served, bad, key)[0] in (400, 404)
        statuses = [post(served, body, key)[0] for _ in range(4)]
        assert (
            statuses == [200] * 4
        )  # each needs room for the most it can cost, and takes its price
        status, headers, said = post(served, body, key)
        error = json.loads(said)["error"]
        assert (status, error["code"]) == (429, "insufficient_quota")
        assert "retry-after" not in headers  # a total does not come back
        events = served.events()
        assert [event.price_usd for event in events if event.status == 200] == [COST] * 4
        assert sum(event.price_usd for event in events) == 4 * COST


def test_what_is_made_and_not_sent_is_reserved_too(serving, behind, ledger, upstream):
    asked = {"model": "m", "prompt": "x", "max_tokens": 10, "best_of": 5}
    body = json.dumps(asked).encode()
    key = key_of(ledger, budget_usd=len(body) + 5 * 10 - 1)
    with serving(behind, prices=DOLLAR) as served:
        status, _, said = post(served, body, key, path="/v1/completions")
        assert (status, json.loads(said)["error"]["code"]) == (429, "insufficient_quota")
        fewer = json.dumps(asked | {"best_of": 4}).encode()
        assert post(served, fewer, key, path="/v1/completions")[0] == 200


def test_a_crowd_never_spends_more_than_there_is(serving, behind, ledger, upstream):
    body = body_of()
    key = key_of(ledger, account="team", budget_usd=1e6)
    other = key_of(ledger, "other", account="team", budget_usd=1e6)
    budget = 10 * COST + len(body) + 10
    policy = {"t": TenantPolicy(budget_usd=budget)}
    with serving(behind, prices=DOLLAR, tenants=policy, tiers=()) as served:

        async def one(number):
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            head = (
                f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: "
            )
            head += f"Bearer {(key, other)[number % 2]}\r\ncontent-length: {len(body)}\r\n\r\n"
            writer.write(head.encode() + body)
            said = await reader.read()
            writer.close()
            return said[9:12]

        async def crowd():
            return await asyncio.gather(*map(one, range(100)))

        statuses = asyncio.run(asyncio.wait_for(crowd(), 30))
        assert set(statuses) == {b"200", b"429"}
        spent = sum(event.price_usd for event in served.events())
        assert spent == COST * statuses.count(b"200") == COST * len(upstream.seen)
        assert spent <= budget
        while post(served, body, key)[0] == 200:
            pass
        assert sum(event.price_usd for event in served.events()) == 11 * COST


def test_who_leaves_in_the_middle_pays_for_what_came(serving, behind, ledger, upstream):
    never = threading.Event()
    upstream.say = lambda seen, number: [*[PART] * 5, never]
    key = key_of(ledger, budget_usd=1e6)
    with serving(behind, prices=DOLLAR) as served:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
        body = body_of(stream=True)
        connection.request("POST", CHAT, body, {"authorization": f"Bearer {key}"})
        response = connection.getresponse()
        seen = b""
        while seen.count(PART) < 5:
            seen += response.read1()
        response.close()
        connection.close()
        until(lambda: upstream.num_cancelled, "cancelling over there")
        until(served.events, "the event")
        (event,) = served.events()
        assert event.status == 499
        assert 1 <= event.completion_tokens <= 5
        assert event.price_usd == event.prompt_tokens + event.completion_tokens


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
def test_an_answer_that_takes_too_long(serving, behind, upstream, path):
    never = threading.Event()
    upstream.say = lambda seen, number: [never]
    with serving(behind, router=RouterConfig(max_attempts=1)) as served:
        asked = {"input": "x", "model": "m"} if path == RESPONSES else json.loads(body_of())
        status, _, body = post(served, json.dumps(asked), path=path, **{"x-request-timeout": "0.2"})
        plain = json.loads(body)
        assert status == 504
        if path == MESSAGES:
            assert plain["type"] == "error"
            assert plain["error"]["type"] in ("api_error", "timeout_error")
        else:
            assert plain["error"]["code"] == "timeout"
        until(lambda: upstream.num_cancelled == 1, "cancelling over there")
        assert [event.status for event in served.events()] == [504]


@pytest.mark.parametrize("told", ["soon", "-1", "0", "nan", "inf", "1e999"])
def test_a_bound_that_is_no_number_of_seconds(serving, behind, upstream, told):
    with serving(behind) as served:
        status, _, body = post(served, body_of(), **{"x-request-timeout": told})
        assert status == 400
        assert json.loads(body)["error"]["param"] == "x-request-timeout"
        assert not [seen for seen in upstream.seen if seen.body]


def test_a_stream_that_takes_too_long_says_so(serving, behind, upstream):
    never = threading.Event()
    upstream.say = lambda seen, number: [PART, never]
    with serving(behind, timeout_s=0.3) as served:
        status, _, body = post(served, body_of(stream=True))
        assert status == 200
        assert body.startswith(PART)
        assert json.loads(body[len(PART) + 6 :])["error"]["code"] == "timeout"
        until(lambda: upstream.num_cancelled == 1, "cancelling over there")
        assert [event.status for event in served.events()] == [504]
