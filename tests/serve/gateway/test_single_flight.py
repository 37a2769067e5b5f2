"""Equal requests at one time: one is generated, all are answered, whoever leaves."""

from __future__ import annotations

import asyncio
import json
import socket
import threading

import pytest

from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
from tenfold.serve.router.config import RouterConfig

from .upstream import Slow, until

CHAT = "/v1/chat/completions"
HEAD, TAIL = '{"id":"up","object":"chat.completion', '"created":1,"model":"m","choices":['
USAGE = '"usage":{"prompt_tokens":5,"completion_tokens":3}'
WHOLE = (
    f'{HEAD}",{TAIL}{{"index":0,"message":{{"role":"assistant","content":"a b c"}},'
    f'"finish_reason":"stop"}}],{USAGE}}}'
).encode()


def chunk(text, finish="null"):
    delta = json.dumps({"content": text} if text else {})
    said = f'{{"index":0,"delta":{delta},"finish_reason":{finish}}}'
    return f'data: {HEAD}.chunk",{TAIL}{said}]}}\n\n'.encode()


PARTS = [chunk("a"), chunk(" b"), chunk(" c", '"stop"')]
COUNTED = f'data: {HEAD}.chunk",{TAIL}],{USAGE}}}\n\n'.encode()
DONE = b"data: [DONE]\n\n"
STREAM = b"".join(PARTS) + DONE


def body_of(stream, text="x", **more):
    said = {"model": "m", "messages": [{"role": "user", "content": text}], "temperature": 0}
    return json.dumps({**said, "stream": stream, **more}).encode()


def request_of(body):
    return b"POST %b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (
        CHAT.encode(), len(body), body,
    )  # fmt: skip


def dechunked(data):
    head, _, rest = data.partition(b"\r\n\r\n")
    if b"chunked" not in head:
        return head, rest
    said = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            break
        said += rest[:count]
        rest = rest[count + 2 :]
    return head, said


class Client:
    """A connection of its own that has asked."""

    def __init__(self, port, body):
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.connection.sendall(request_of(body))
        self.data = b""

    def read_until(self, mark):
        while mark not in self.data:
            part = self.connection.recv(65536)
            assert part, self.data
            self.data += part

    def rest(self):
        while part := self.connection.recv(65536):
            self.data += part
        self.connection.close()
        return dechunked(self.data)

    def leave(self):
        self.connection.close()


@pytest.fixture
def front(serving, upstream):
    """A gateway whose members are tried once."""
    backend = OpenAIBackend(OpenAIConfig(base_url=upstream.url))
    with serving(backend, router=RouterConfig(max_attempts=1)) as served:
        yield served


def followers(served):
    return sum(flight.num_followers for flight in served.gateway.parts.flights._flights.values())


def test_two_hundred_at_once_are_one_generation_per_form(front, upstream):
    gate = threading.Event()

    def say(seen, number):
        if seen.plain["stream"]:
            return [PARTS[0], gate, *PARTS[1:], COUNTED, DONE]
        return Slow(WHOLE, gate)

    upstream.say = say

    async def one(body):
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(request_of(body))
        data = await reader.read()
        writer.close()
        return dechunked(data)

    async def crowd():
        plain, counted = body_of(True), body_of(True, stream_options={"include_usage": True})
        asked = [plain, counted] * 50 + [body_of(False, "y")] * 100
        tasks = [asyncio.create_task(one(body)) for body in asked]
        while followers(front) < 198:
            await asyncio.sleep(0.005)
        gate.set()
        return await asyncio.gather(*tasks)

    answers = asyncio.run(asyncio.wait_for(crowd(), 30))
    assert {said for _, said in answers[0:100:2]} == {STREAM}
    assert {said for _, said in answers[1:100:2]} == {b"".join(PARTS) + COUNTED + DONE}
    assert {said for _, said in answers[100:]} == {WHOLE}
    assert len(upstream.seen) == 2
    tiers = [head.partition(b"x-tenfold-tier: ")[2].split(b"\r\n")[0] for head, _ in answers]
    assert tiers[:100].count(b"model") == tiers[100:].count(b"model") == 1
    events = front.events()
    assert len(events) == 200
    assert sum(event.price_usd for event in events) == 0
    assert {(event.prompt_tokens, event.completion_tokens) for event in events} == {(5, 3)}


@pytest.mark.parametrize("stream", [True, False])
def test_a_leader_that_leaves_is_carried_on_for_those_who_follow(front, upstream, stream):
    gate = threading.Event()
    events = [PARTS[0], gate, *PARTS[1:], COUNTED, DONE]
    upstream.say = lambda seen, number: events if stream else Slow(WHOLE, gate)
    leader = Client(front.port, body_of(stream))
    until(lambda: upstream.seen, "the leader's request")
    if stream:
        leader.read_until(PARTS[0])
    others = [Client(front.port, body_of(stream)) for _ in range(3)]
    until(lambda: followers(front) == 3, "following")
    leader.leave()
    others.pop().leave()
    until(lambda: followers(front) == 2, "one leaving")
    gate.set()
    for other in others:
        head, said = other.rest()
        assert head.startswith(b"HTTP/1.1 200")
        assert said == (STREAM if stream else WHOLE)
    assert len(upstream.seen) == 1
    # It was stored all the same.
    head, _ = Client(front.port, body_of(stream)).rest()
    assert b"x-tenfold-tier: exact" in head
    statuses = sorted(event.status for event in front.events())
    assert statuses == [200, 200, 200, 499, 499]


@pytest.mark.parametrize("early", [True, False])
def test_a_leader_that_does_not_read_holds_up_nobody(front, upstream, early):
    """Whoever follows before its connection is full, or after."""
    gate = threading.Event()
    much = [chunk("x" * 50_000) for _ in range(300)]
    upstream.say = lambda seen, number: [PARTS[0], gate, *much, *PARTS[1:], COUNTED, DONE]
    leader = Client(front.port, body_of(True))
    leader.read_until(PARTS[0])
    if not early:
        gate.set()
        flights = front.gateway.parts.flights._flights
        sizes = []

        def still():
            sizes.append(sum(flight._num_bytes for flight in flights.values()))
            return len(sizes) > 20 and sizes[-1] == sizes[-20] > 100_000

        until(still, "the leader's connection being full")
        assert sizes[-1] < sum(map(len, much))
    other = Client(front.port, body_of(True))
    until(lambda: followers(front) == 1, "following")
    gate.set()
    assert other.rest()[1] == PARTS[0] + b"".join(much) + b"".join(PARTS[1:]) + DONE
    assert leader.rest()[1] == PARTS[0] + b"".join(much) + b"".join(PARTS[1:]) + DONE
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("stream", [True, False])
def test_when_the_last_leaves_the_work_is_cancelled(front, upstream, stream):
    never = threading.Event()
    upstream.say = lambda seen, number: [PARTS[0], never] if stream else Slow(WHOLE, never)
    clients = [Client(front.port, body_of(stream)) for _ in range(3)]
    until(lambda: followers(front) == 2, "following")
    for client in clients:
        client.leave()
    until(lambda: upstream.num_cancelled == 1, "cancelling over there")
    until(lambda: len(front.events()) == 3, "their events")
    assert [event.status for event in front.events()] == [499, 499, 499]
    assert front.gateway.fleet.outstanding == 0
    assert len(upstream.seen) == 1


def test_the_next_leads_when_a_leader_dies_before_its_first_part(front, upstream):
    gate = threading.Event()
    upstream.say = lambda seen, number: (
        [gate, None] if number < 2 else [*PARTS, COUNTED, DONE]
    )  # twice: a kept connection that dies without a byte is replaced once
    clients = [Client(front.port, body_of(True)) for _ in range(4)]
    until(lambda: followers(front) == 3, "following")
    gate.set()
    answers = [client.rest() for client in clients]
    ends = sorted((head[9:12], said) for head, said in answers)
    assert [status for status, _ in ends] == [b"200", b"200", b"200", b"502"]
    assert {said for status, said in ends if status == b"200"} == {STREAM}
    assert len(upstream.seen) == 3


def test_a_server_that_always_dies_is_not_asked_once_per_follower(front, upstream):
    gate = threading.Event()
    upstream.say = lambda seen, number: [gate, None]
    clients = [Client(front.port, body_of(True)) for _ in range(30)]
    until(lambda: followers(front) == 29, "following")
    gate.set()
    assert {client.rest()[0][9:12] for client in clients} == {b"502"}
    assert len(upstream.seen) <= 4


def test_what_breaks_off_is_told_to_all_and_kept_nowhere(front, upstream):
    gate = threading.Event()
    upstream.say = lambda seen, number: (
        [PARTS[0], gate, PARTS[1], None] if number == 0 else [*PARTS, COUNTED, DONE]
    )
    clients = [Client(front.port, body_of(True)) for _ in range(4)]
    until(lambda: followers(front) == 3, "following")
    for client in clients:
        client.read_until(PARTS[0])
    gate.set()
    for client in clients:
        _, said = client.rest()
        assert said.startswith(PARTS[0])
        assert b"[DONE]" not in said
        last = said.split(b"\n\n")[-2]
        assert json.loads(last.removeprefix(b"data: "))["error"]["code"] == "backend_unavailable"
    assert len(upstream.seen) == 1
    assert Client(front.port, body_of(True)).rest()[1] == STREAM
    assert len(upstream.seen) == 2
    assert {event.status for event in front.events()} == {502, 200}
