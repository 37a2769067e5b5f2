"""Batches, asked for with OpenAI's own client through a real gateway."""

from __future__ import annotations

import errno
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest

from tenfold.serve.access.issue import create_key, revoke_key
from tenfold.serve.access.prices import Price
from tenfold.serve.backends.memory import MemoryBackend
from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
from tenfold.serve.batch import runner
from tenfold.serve.batch.batches import Batches
from tenfold.serve.batch.config import BatchConfig
from tenfold.serve.batch.files import Files
from tenfold.serve.batch.results import Results
from tenfold.serve.router.config import RouterConfig

CHAT = "/v1/chat/completions"
QUICK = BatchConfig(look_s=0.05)
ENDED = ("completed", "failed", "cancelled", "expired")


def chat(text, **more):
    return {"model": "echo", "messages": [{"role": "user", "content": text}], **more}


def line(custom_id, body, url=CHAT, method="POST"):
    return json.dumps({"custom_id": custom_id, "method": method, "url": url, "body": body})


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)
    return found


def until_ended(client, id):
    def look():
        batch = client.batches.retrieve(id)
        return batch if batch.status in ENDED else None

    return wait_for(look)


def begin(client, lines, endpoint=CHAT, **more):
    source = client.files.create(file=("in.jsonl", "\n".join(lines).encode()), purpose="batch")
    return client.batches.create(
        input_file_id=source.id, endpoint=endpoint, completion_window="24h", **more
    )


def read(client, file_id):
    """custom_id -> the record; none stands twice."""
    if file_id is None:
        return {}
    records = [json.loads(one) for one in client.files.content(file_id).text.splitlines()]
    found = {record["custom_id"]: record for record in records}
    assert len(found) == len(records)
    return found


def said(record):
    return record["response"]["body"]["choices"][0]["message"]["content"]


@pytest.fixture
def batching(serving, tmp_path):
    """A gateway that keeps files, and a client of it."""

    @contextmanager
    def start(*backends, key="none", **settings):
        settings = {"state_dir": tmp_path / "state", "batch": QUICK, **settings}
        with serving(*backends, **settings) as served, client_of(served, key) as client:
            yield served, client

    return start


def client_of(served, key="none"):
    return openai.OpenAI(base_url=served.url + "/v1", api_key=key, max_retries=0)


def test_lines_are_answered_and_leave_their_events(batching, echo):
    with batching(echo) as (served, client):
        lines = [line(f"r{n}", chat(f"question {n}", temperature=0)) for n in range(100)]
        made = begin(client, lines, metadata={"job": "nightly"})
        assert made.status == "validating"
        batch = until_ended(client, made.id)
        assert batch.status == "completed"
        assert batch.metadata == {"job": "nightly"}
        assert batch.model == "echo"
        counts = batch.request_counts
        assert (counts.total, counts.completed, counts.failed) == (100, 100, 0)
        assert batch.error_file_id is None
        answers = read(client, batch.output_file_id)
        assert {id: said(record) for id, record in answers.items()} == {
            f"r{n}": f"question {n} question {n}" for n in range(100)
        }
        ids = {record["response"]["request_id"] for record in answers.values()}
        assert {event.id for event in served.events()} == ids
        assert len(ids) == 100
        listed = client.files.list()
        assert [file.purpose for file in listed] == ["batch_output", "batch"]
        assert [one.id for one in client.batches.list()] == [batch.id]


@pytest.mark.parametrize(
    ("endpoint", "body", "look"),
    [
        (
            "/v1/completions",
            {"model": "echo", "prompt": "abc"},
            lambda body: body["choices"][0]["text"] == "abc abc",
        ),
        (
            "/v1/embeddings",
            {"model": "echo", "input": ["a", "b"]},
            lambda body: [one["index"] for one in body["data"]] == [0, 1],
        ),
        (
            "/v1/responses",
            {"model": "echo", "input": "abc"},
            lambda body: body["output"][0]["content"][0]["text"] == "abc abc",
        ),
    ],
)
def test_other_endpoints(batching, echo, endpoint, body, look):
    with batching(echo) as (_, client):
        batch = until_ended(client, begin(client, [line("a", body, endpoint)], endpoint).id)
        (record,) = read(client, batch.output_file_id).values()
        assert look(record["response"]["body"])


class Upstream(BaseHTTPRequestHandler):
    """Answers with JSON over several lines, after as many refusals as it was told."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, {"object": "list", "data": [{"id": "echo", "object": "model"}]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.bodies.append(body)
        if self.server.refusals:
            self.answer(*self.server.refusals.pop())
            return
        said = json.loads(body)["messages"][-1]["content"]
        self.answer(
            200,
            {
                "id": "up",
                "object": "chat.completion",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": said + "\r\n"},
                        "finish_reason": "stop",
                    }
                ],
                "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5},
            },
        )

    def answer(self, status, plain):
        body = json.dumps(plain, indent=2).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args): ...


@pytest.fixture
def upstream():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.bodies, server.refusals, server.daemon_threads = [], [], True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_server_gets_the_bytes_of_the_line_and_is_asked_again_when_busy(batching, upstream):
    backend = OpenAIBackend(OpenAIConfig(base_url=f"http://127.0.0.1:{upstream.server_port}/v1"))
    upstream.refusals = [(429, {"error": {"message": "slow down"}})] * 2
    body = '{"model": "echo",  "n":1, "top_p": 0.50, "seed": 9007199254740993, "messages": [{"role":"user","content":"é"}]}'
    text = line("one", None).replace("null", body)
    with batching(backend) as (_, client):
        batch = until_ended(client, begin(client, [text]).id)
        assert batch.status == "completed"
        (record,) = read(client, batch.output_file_id).values()
        assert said(record) == "é\r\n"
        assert record["response"]["body"]["usage"]["total_tokens"] == 5
    assert len(upstream.bodies) == 3
    assert set(upstream.bodies) == {body.encode()}


def test_lines_that_cannot_be_answered_are_in_the_error_file(batching, echo):
    with batching(echo) as (_, client):
        lines = [
            line("good", chat("hi")),
            line("typed", chat("hi", temperature="warm")),
            line("streamed", chat("hi", stream=True)),
            line("long", chat("word " * 60)),
            line("twice", chat("hi")).replace(
                '"model": "echo"', '"model": "echo", "model": "echo"'
            ),
        ]
        batch = until_ended(client, begin(client, lines).id)
        assert batch.status == "completed"
        assert (batch.request_counts.completed, batch.request_counts.failed) == (1, 4)
        assert set(read(client, batch.output_file_id)) == {"good"}
        errors = read(client, batch.error_file_id)
        seen = {id: record["response"] for id, record in errors.items()}
        assert {id: told["status_code"] for id, told in seen.items()} == {
            "typed": 400, "streamed": 400, "long": 400, "twice": 400,
        }  # fmt: skip
        assert seen["typed"]["body"]["error"]["param"] == "temperature"
        assert seen["long"]["body"]["error"]["code"] == "context_length_exceeded"


GOOD = line("fine", chat("hi"))


@pytest.mark.parametrize(
    ("lines", "code", "number"),
    [
        ([GOOD, "{"], "invalid_json_line", 2),
        (
            [GOOD, '{"custom_id":"a","method":"POST","body":' + "[" * 100_000],
            "invalid_json_line",
            2,
        ),
        ([GOOD, "", "null"], "invalid_request", 3),
        ([GOOD, '{"custom_id":"x"}'], "invalid_request", 2),
        ([GOOD, GOOD], "duplicate_custom_id", 2),
        ([line("", chat("hi"))], "invalid_custom_id", 1),
        ([line("a", chat("hi"), method="GET")], "invalid_method", 1),
        ([line("a", chat("hi"), url="/v1/embeddings")], "mismatched_endpoint", 1),
        ([line("a", [1])], "invalid_body", 1),
        ([line("a", {"messages": []})], "missing_model", 1),
        ([line("a", chat("hi") | {"model": "ecko"})], "model_not_found", 1),
        ([line("a", chat("x" * 3000))], "body_too_large", 1),
        ([line(str(n), chat("hi")) for n in range(6)], "too_many_requests", 6),
        ([" ", ""], "empty_file", None),
    ],
)
def test_what_keeps_a_batch_from_beginning(batching, echo, lines, code, number):
    config = BatchConfig(look_s=0.05, max_lines=5)
    with batching(echo, batch=config, max_body_bytes=2000) as (served, client):
        batch = until_ended(client, begin(client, lines).id)
        assert batch.status == "failed"
        assert [(fault.code, fault.line) for fault in batch.errors.data] == [(code, number)]
        assert batch.output_file_id is None
        assert echo.requests == []
        assert served.events() == []


def slow(delay_s=0.02):
    return MemoryBackend(lambda request: "yes " * 3, models=("echo",), delay_s=delay_s)


def test_a_cancelled_batch_keeps_what_was_answered(batching):
    with batching(slow()) as (_, client):
        lines = [line(f"r{n}", chat(f"question {n}")) for n in range(2000)]
        id = begin(client, lines).id
        wait_for(lambda: client.batches.retrieve(id).request_counts.completed >= 10)
        assert client.batches.cancel(id).status == "cancelling"
        batch = until_ended(client, id)
        assert batch.status == "cancelled"
        assert batch.cancelled_at >= batch.cancelling_at
        answers = read(client, batch.output_file_id)
        assert 10 <= len(answers) == batch.request_counts.completed < 2000
        with pytest.raises(openai.BadRequestError):
            client.batches.cancel(id)


def test_a_window_that_closes_tells_of_every_line(batching):
    ahead_s = 0.0
    with batching(slow(), now=lambda: time.time() + ahead_s) as (_, client):
        lines = [line(f"r{n}", chat(f"question {n}")) for n in range(500)]
        id = begin(client, lines).id
        wait_for(lambda: client.batches.retrieve(id).request_counts.completed >= 5)
        ahead_s = 24 * 3600.0
        batch = until_ended(client, id)
        assert batch.status == "expired"
        answers, errors = read(client, batch.output_file_id), read(client, batch.error_file_id)
        assert set(answers) | set(errors) == {f"r{n}" for n in range(500)}
        assert not set(answers) & set(errors)
        assert {record["error"]["code"] for record in errors.values()} == {"batch_expired"}
        assert len(answers) == batch.request_counts.completed


def test_a_spent_budget_refuses_the_lines_that_are_left(batching, echo, ledger):
    price = Price(
        input_usd=0.0, output_usd=1e6, max_output_tokens=2
    )  # a dollar a token, two an answer
    key = create_key(ledger, "app", tenant="acme", now_s=1.0, budget_usd=20.0)
    config = BatchConfig(look_s=0.05, concurrency=1)
    with batching(echo, key=key, prices={"echo": price}, batch=config) as (served, client):
        lines = [line(f"r{n}", chat("hi", max_tokens=2)) for n in range(30)]
        batch = until_ended(client, begin(client, lines).id)
        assert batch.status == "completed"
        assert (batch.request_counts.completed, batch.request_counts.failed) == (10, 20)
        errors = [record["response"] for record in read(client, batch.error_file_id).values()]
        assert {told["status_code"] for told in errors} == {429}
        assert {told["body"]["error"]["code"] for told in errors} == {"insufficient_quota"}
        events = served.events()
        assert sum(event.status == 200 for event in events) == 10
        assert sum(event.status == 429 for event in events) == 20
        assert {(event.tenant, event.key_name) for event in events} == {("acme", "app")}


def test_money_that_lines_under_way_hold_is_waited_for(batching, ledger):
    """Each sets 4 dollars aside and costs 2: of 20, nine can be paid, however many ask at once."""
    price = Price(input_usd=0.0, output_usd=1e6)
    key = create_key(ledger, "app", tenant="acme", now_s=1.0, budget_usd=20.0)
    backend = MemoryBackend(lambda request: "two words", models=("echo",), delay_s=0.05)
    with batching(backend, key=key, prices={"echo": price}) as (_, client):
        lines = [line(f"r{n}", chat("hi", max_tokens=4)) for n in range(12)]
        batch = until_ended(client, begin(client, lines).id)
        assert (batch.request_counts.completed, batch.request_counts.failed) == (9, 3)


def test_a_rate_limit_is_waited_for(batching, echo, ledger):
    key = create_key(ledger, "app", tenant="acme", now_s=1.0, rpm=5)
    with batching(echo, key=key) as (served, client):
        id = begin(client, [line(f"r{n}", chat(f"q {n}")) for n in range(8)]).id
        wait_for(lambda: client.batches.retrieve(id).request_counts.completed == 5)
        with pytest.raises(openai.RateLimitError):  # lines count as other requests do
            client.chat.completions.create(**chat("hi"))
        client.batches.cancel(id)
        batch = until_ended(client, id)
        assert (batch.status, batch.request_counts.failed) == ("cancelled", 0)
        assert sum(event.status == 200 for event in served.events()) == 5


def test_the_lines_of_a_revoked_key_are_refused(batching, ledger):
    key = create_key(ledger, "app", tenant="acme", now_s=1.0)
    other = create_key(ledger, "heir", tenant="acme", now_s=1.0, scopes=("batch",))
    with batching(slow(), key=key, keys_refresh_s=0.05) as (served, client):
        id = begin(client, [line(f"r{n}", chat(f"q {n}")) for n in range(500)]).id
        wait_for(lambda: client.batches.retrieve(id).request_counts.completed >= 5)
        revoke_key(ledger, "app", now_s=2.0)
        with client_of(served, other) as client:
            batch = until_ended(client, id)
            assert batch.status == "completed"
            assert batch.request_counts.completed >= 5
            errors = [record["response"] for record in read(client, batch.error_file_id).values()]
            assert errors
            assert {told["status_code"] for told in errors} == {401}
            with pytest.raises(openai.PermissionDeniedError):
                client.chat.completions.create(**chat("hi"))


def test_tenants_see_their_own_only(batching, echo, ledger):
    acme = create_key(ledger, "a", tenant="acme", now_s=1.0)
    globex = create_key(ledger, "g", tenant="globex", now_s=1.0, models=("parrot",))
    with (
        batching(echo, key=acme) as (served, client),
        client_of(served, globex) as other,
    ):
        batch = until_ended(client, begin(client, [line("a", chat("hi"))]).id)
        for ask in (
            lambda: other.files.retrieve(batch.input_file_id),
            lambda: other.files.content(batch.output_file_id),
            lambda: other.files.delete(batch.input_file_id),
            lambda: other.batches.retrieve(batch.id),
            lambda: other.batches.cancel(batch.id),
            lambda: other.batches.create(
                input_file_id=batch.input_file_id, endpoint=CHAT, completion_window="24h"
            ),
        ):
            with pytest.raises(openai.NotFoundError):
                ask()
        assert list(other.files.list()) == []
        assert list(other.batches.list()) == []
        # A key's models hold for its lines.
        own = until_ended(other, begin(other, [line("a", chat("hi"))]).id)
        (refused,) = read(other, own.error_file_id).values()
        assert refused["response"]["status_code"] == 403


def test_a_file_may_be_deleted_under_its_batch(batching):
    with batching(slow()) as (_, client):
        made = begin(client, [line(f"r{n}", chat(f"q {n}")) for n in range(100)])
        client.files.delete(made.input_file_id)
        batch = until_ended(client, made.id)
        assert (batch.status, batch.request_counts.completed) == ("completed", 100)
        with pytest.raises(openai.NotFoundError):
            client.files.retrieve(made.input_file_id)


def test_who_waits_for_an_answer_goes_first(batching):
    """One place at the backend, and lines waiting for it: a live request passes them."""
    order = []

    def answer(request):
        order.append(request.messages[-1].content)
        return "yes " * 3

    backend = MemoryBackend(answer, models=("echo",), delay_s=0.02)
    config = BatchConfig(look_s=0.05, concurrency=6)
    with batching(backend, batch=config, router=RouterConfig(max_outstanding=1, max_wait_s=60)) as (
        served,
        client,
    ):
        id = begin(client, [line(f"r{n}", chat(f"line {n}")) for n in range(6)]).id
        wait_for(lambda: served.gateway.router.waiting.length("echo") == 5)
        before = len(order)
        client.chat.completions.create(**chat("live"))
        assert order.index("live") <= before  # whoever was asked already, but none that waited
        batch = until_ended(client, id)
        assert batch.request_counts.completed == 6


def test_a_gateway_that_drains_leaves_the_rest_to_the_next(batching):
    first, second = slow(), slow(0)
    lines = [line(f"r{n}", chat(f"question {n}")) for n in range(300)]
    with batching(first) as (served, client):
        id = begin(client, lines).id
        wait_for(lambda: client.batches.retrieve(id).request_counts.completed >= 10)
        served.stop()
    with batching(second) as (_, client):
        batch = until_ended(client, id)
        assert (batch.status, batch.request_counts.completed) == ("completed", 300)
        assert len(read(client, batch.output_file_id)) == 300
    asked = [request.messages[-1].content for request in first.requests + second.requests]
    assert sorted(asked) == sorted(set(asked))
    assert len(first.requests) >= 10


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", [(Batches, "save"), (Files, "adopt"), (Results, "append")])
def test_a_disk_that_fails_once_at_any_step(batching, monkeypatch, place, late):
    """The batch ends all the same, and no answer that was written down is asked for again."""
    monkeypatch.setattr(runner, "REST_S", 0.05)
    owner, name = place
    done = getattr(owner, name)
    calls = 0
    fails_at = 1

    def failing(*told, **named):
        nonlocal calls
        calls += 1
        fails = calls == fails_at
        if fails and not late:
            raise OSError(errno.ENOSPC, "no space left")
        made = done(*told, **named)
        if fails:
            raise OSError(errno.ENOSPC, "no space left")
        return made

    backend = slow(0)
    config = BatchConfig(look_s=0.02, concurrency=1)
    with batching(backend, batch=config) as (_, client):
        for fails_at in range(2, 6):
            calls = 0
            before = len(backend.requests)
            with monkeypatch.context() as broken:
                broken.setattr(owner, name, failing)
                lines = [
                    line(f"r{n}", chat(f"{fails_at} {n}", max_tokens=n or 99)) for n in range(6)
                ]
                lines[3] = line("r3", chat("hi", temperature="warm"))
                batch = until_ended(client, begin(client, lines).id)
            assert batch.status == "completed"
            assert set(read(client, batch.output_file_id)) == {"r0", "r1", "r2", "r4", "r5"}
            assert set(read(client, batch.error_file_id)) == {"r3"}
            # What was not written down is asked again, nothing else.
            unwritten = int(name == "append" and not late and fails_at != 4)
            assert len(backend.requests) - before == 5 + unwritten


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"endpoint": "/v1/messages"}, "endpoint"),
        ({"completion_window": "1h"}, "completion_window"),
        ({"metadata": {"k" * 65: "v"}}, "metadata"),
        ({"input_file_id": 3}, "input_file_id"),
        (
            {"output_expires_after": {"anchor": "created_at", "seconds": 5}},
            "expires_after[seconds]",
        ),
    ],
)
def test_what_is_no_batch(batching, echo, wanted, param):
    with batching(echo) as (_, client):
        id = client.files.create(file=("in.jsonl", GOOD.encode()), purpose="batch").id
        told = {"input_file_id": id, "endpoint": CHAT, "completion_window": "24h", **wanted}
        with pytest.raises(openai.BadRequestError) as caught:
            client.batches.create(**told)
        assert param in (caught.value.param or caught.value.message)


def test_without_a_folder_it_says_so(serving, echo):
    with serving(echo) as served, client_of(served) as client:
        with pytest.raises(openai.APIStatusError) as caught:
            client.batches.list()
        assert caught.value.status_code == 501
        assert "state" in caught.value.message
