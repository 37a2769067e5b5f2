"""`/metrics` read by a strict parser of the Prometheus text format, and `/healthz`."""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import re

import pytest

from tenfold.errors import BackendError, InputError
from tenfold.ledger import open_ledger
from tenfold.serve.backends.base import Embeddings, Unreachable
from tenfold.serve.backends.memory import MemoryBackend
from tenfold.serve.gateway.app import Gateway
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.page import rendered
from tenfold.serve.gateway.server import serve
from tenfold.serve.gateway.snapshot import Family, Tally
from tenfold.serve.router.config import RouterConfig

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? (\S+)\Z")


def parse(text):
    """Families by name: (type, {labels: value}). Raises AssertionError on anything the format forbids.

    Written from the exposition format's own description (version 0.0.4), not from our writer.
    """
    assert text.endswith("\n")
    families: dict[str, tuple[str, dict]] = {}
    helped: set[str] = set()
    current = None
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            name, _, help = line[7:].partition(" ")
            assert re.fullmatch(_NAME, name)
            assert name not in helped, "HELP twice"
            assert re.fullmatch(r"(?:[^\\]|\\\\|\\n)+", help)
            helped.add(name)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name in helped
            assert name not in families, "a family must be in one piece"
            assert kind in ("counter", "gauge", "histogram", "summary", "untyped")
            current = name
            families[name] = (kind, {})
        else:
            assert not line.startswith("#")
            match = _SAMPLE.match(line)
            assert match, line
            name = match[1]
            kind, samples = families[current]
            bases = {name} if kind != "histogram" else {re.sub(r"_(bucket|sum|count)\Z", "", name)}
            assert current in bases, f"{name} outside its family"
            labels = tuple(sorted(re.findall(_LABEL, match[2] or "")))
            assert len({label for label, _ in labels}) == len(labels)
            assert (name, labels) not in samples, "a series twice"
            samples[name, labels] = float(match[match.lastindex])
    for name, (kind, samples) in families.items():
        if kind == "counter":
            assert all(value >= 0 for value in samples.values())
        if kind == "histogram":
            _check_histogram(name, samples)
    return families


def _check_histogram(name, samples):
    series: dict[tuple, list[tuple[float, float]]] = {}
    for (sample, labels), value in samples.items():
        if sample == f"{name}_bucket":
            bound = dict(labels)["le"]
            rest = tuple(pair for pair in labels if pair[0] != "le")
            series.setdefault(rest, []).append((float(bound), value))
    for rest, buckets in series.items():
        assert buckets == sorted(buckets)
        assert buckets[-1][0] == math.inf
        assert [v for _, v in buckets] == sorted(v for _, v in buckets)
        assert samples[f"{name}_count", rest] == buckets[-1][1]
        assert (f"{name}_sum", rest) in samples


def get(served, path):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode(), response.headers
    finally:
        connection.close()


def ask(served, text="x", **more):
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
    body = {"model": "echo", "messages": [{"role": "user", "content": text}], "temperature": 0}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps({**body, **more}))
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


def test_what_happened_is_what_the_page_says(serving, echo):
    with serving(echo) as served:
        for request in ({}, {}, {"stream": True}, {"model": "nobody"}, {"text": "y"}):
            ask(served, **request)
        status, text, headers = get(served, "/metrics")
        assert status == 200
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        families = parse(text)
        kind, requests = families["tenfold_requests_total"]
        assert kind == "counter"
        counts = {
            (dict(labels)["tier"], dict(labels)["status"]): value
            for (_, labels), value in requests.items()
        }
        assert counts == {("model", "200"): 2, ("exact", "200"): 2, ("refused", "404"): 1}
        tokens = families["tenfold_tokens_total"][1]
        assert tokens["tenfold_tokens_total", (("kind", "completion"), ("tier", "exact"))] == 4
        assert (
            families["tenfold_cache_entries"][1]["tenfold_cache_entries", (("tier", "exact"),)] == 2
        )
        lookups = families["tenfold_cache_lookups_total"][1]
        assert {dict(labels)["result"]: v for (_, labels), v in lookups.items()} == {
            "hit": 2,
            "miss": 2,
        }
        latency = families["tenfold_request_seconds"][1]
        assert latency["tenfold_request_seconds_count", (("tier", "model"),)] == 2
        assert families["tenfold_facts_written_total"][1]["tenfold_facts_written_total", ()] >= 5
        assert parse(get(served, "/metrics")[1])


def test_labels_and_help_are_escaped():
    tally = Tally()
    gauge = Family(
        name="m", kind="gauge", help='a \\ and a\nnew "line"', labels=("l",), per_unit=10
    )
    tally.add(gauge, 1.5, 'back\\slash "q"\nline')
    histogram = Family(name="h", kind="histogram", help="help", labels=("t",))
    tally.observe(histogram, [0.05, 0.1, 0.5, 7.0, 700.0], "x")
    families = parse(rendered(tally.snapshot(), [gauge, histogram]).decode())
    (((_, labels), value),) = families["m"][1].items()
    assert value == 1.5
    assert labels == (("l", 'back\\\\slash \\"q\\"\\nline'),)
    buckets = {dict(labels).get("le"): v for (_, labels), v in families["h"][1].items()}
    seen = [
        buckets[bound] for bound in ("0.05", "0.1", "0.25", "1.0", "5.0", "10.0", "120.0", "+Inf")
    ]
    assert seen == [1, 2, 2, 3, 3, 4, 4, 5]
    assert families["h"][1]["h_sum", (("t", "x"),)] == pytest.approx(707.65)


def test_dropped_events_are_counted_not_silent(serving, echo, ledger, monkeypatch):
    monkeypatch.setattr("tenfold.serve.gateway.recorder.UNSPOOLED_STOP_S", 0.5)

    class Stuck:
        """A ledger that cannot write."""

        def __getattr__(self, name):
            return getattr(ledger, name)

        def append_columns(self, tables, *, wait_s=None):
            raise BackendError("no disk")

    with serving(echo, ledger=Stuck(), queue_events=3) as served:
        assert [ask(served).status for _ in range(8)] == [200] * 8
        families = parse(get(served, "/metrics")[1])
        assert families["tenfold_events_dropped_total"][1]["tenfold_events_dropped_total", ()] == 5
        assert families["tenfold_events_waiting"][1]["tenfold_events_waiting", ()] == 3
        assert families["tenfold_ledger_failures_total"][1]["tenfold_ledger_failures_total", ()] > 0


def test_a_ledger_that_comes_back_gets_every_event_once(serving, echo, ledger):
    class Shaky:
        down = True

        def __getattr__(self, name):
            return getattr(ledger, name)

        def append_columns(self, tables, *, wait_s=None):
            if self.down:
                raise BackendError("no disk")
            ledger.append_columns(tables, wait_s=wait_s)

    shaky = Shaky()
    with serving(echo, ledger=shaky) as served:
        ids = [ask(served, text=str(n)).headers["x-request-id"] for n in range(5)]
        served.gateway.recorder.settle(5)
        assert served.events() == []
        shaky.down = False
        assert [event.id for event in served.events()] == ids


def test_one_event_that_no_ledger_can_hold_does_not_keep_the_others_out(serving, tmp_path):
    class Boastful(MemoryBackend):
        async def embed(self, model, texts):
            made = await super().embed(model, texts)
            return Embeddings(made.vectors, 2**63 if texts == ("much",) else made.prompt_tokens)

    real = open_ledger(str(tmp_path / "ledger.db"))
    with serving(Boastful(lambda request: "hi", models=("echo",)), ledger=real) as served:
        for text in ("a", "much", "b"):
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
            body = json.dumps({"model": "echo", "input": text})
            connection.request("POST", "/v1/embeddings", body)
            response = connection.getresponse()
            response.read()
            connection.close()
            assert response.status == 200
        assert len(served.events()) == 2
        families = parse(get(served, "/metrics")[1])
        assert families["tenfold_events_dropped_total"][1]["tenfold_events_dropped_total", ()] == 1
    real.close()


def test_a_ledger_file_that_goes_while_serving_is_told_and_caught_up_with(
    serving, echo, tmp_path, caplog
):
    (tmp_path / "here").mkdir()
    real = open_ledger(str(tmp_path / "here" / "ledger.db"))
    with serving(echo, ledger=real) as served:
        ask(served, text="before")
        assert len(served.events()) == 1
        (tmp_path / "here").rename(tmp_path / "aside")
        assert [ask(served, text=str(n)).status for n in range(3)] == [200] * 3
        families = parse(get(served, "/metrics")[1])
        assert families["tenfold_events_waiting"][1]["tenfold_events_waiting", ()] == 3
        assert families["tenfold_ledger_failures_total"][1]["tenfold_ledger_failures_total", ()] > 0
        assert "removed or replaced" in caplog.text
        (tmp_path / "aside").rename(tmp_path / "here")
        assert len(served.events()) == 4
    real.close()


class Late(MemoryBackend):
    """Not there for the first two tries, or never if `fatal`."""

    def __init__(self, fatal=False):
        super().__init__(lambda request: "hi", models=("echo",))
        self.tries = 0
        self.fatal = fatal
        self.go = asyncio.Event()

    async def start(self):
        self.tries += 1
        if self.fatal:
            raise InputError("the weights are of another model")
        if self.tries == 1:
            raise Unreachable("not yet")
        await self.go.wait()


class Door:
    """A gateway that listens before its backends are ready."""

    def __init__(self, gateway):
        self.gateway = gateway
        self._ending = asyncio.get_running_loop().create_future()

    async def __aenter__(self):
        listening = asyncio.get_running_loop().create_future()
        self._serving = asyncio.create_task(
            serve(self.gateway, port=0, on_listening=lambda *said: listening.set_result(said))
        )
        url, self._drain = await listening
        self.port = int(url.rpartition(":")[2])
        return self

    async def __aexit__(self, *_):
        self._drain()
        await self._serving

    async def __call__(self, method, path, body=b""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(
            b"%b %b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
            % (method.encode(), path.encode(), len(body), body)
        )
        head, _, said = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        first, *lines = head.decode().lower().split("\r\n")
        return int(first.split()[1]), dict(line.split(": ", 1) for line in lines), said


def test_health_tells_starting_serving_and_draining(ledger):
    async def scenario():
        late = Late()
        gateway = Gateway(GatewayConfig(), [late], ledger)
        async with Door(gateway) as asked:
            await tells(gateway, late, asked)

    async def tells(gateway, late, asked):
        chat = b'{"model":"echo","messages":[{"role":"user","content":"x"}]}'
        while late.tries < 2:
            status, _, body = await asked("GET", "/healthz")
            assert (status, json.loads(body)["status"]) == (503, "starting")
            status, headers, _ = await asked("POST", "/v1/chat/completions", chat)
            assert (status, headers["retry-after"]) == (503, "1")
            await asyncio.sleep(0.05)
        late.go.set()
        await gateway.fleet.settled()
        status, _, body = await asked("GET", "/healthz")
        report = json.loads(body)
        assert (status, report["status"]) == (200, "serving")
        assert report["models"] == [{"name": "echo", "digest": late.cards()[0].digest}]
        assert report["backends"] == [{"name": "memory", "state": "ready", "outstanding": 0}]
        assert (await asked("POST", "/v1/chat/completions", chat))[0] == 200
        gateway.drain()
        assert (await asked("GET", "/healthz"))[0] == 503
        status, _, body = await asked("POST", "/v1/chat/completions", chat)
        assert (status, json.loads(body)["error"]["code"]) == (503, "gateway_draining")

    asyncio.run(scenario())


def test_a_backend_that_can_never_start(ledger):
    async def scenario():
        gateway = Gateway(GatewayConfig(), [Late(fatal=True)], ledger)
        async with Door(gateway) as asked:
            with pytest.raises(InputError, match="weights"):
                await gateway.fleet.settled()
            chat = b'{"model":"echo","messages":[{"role":"user","content":"x"}]}'
            status, _, body = await asked("POST", "/v1/chat/completions", chat)
            assert (status, json.loads(body)["error"]["code"]) == (503, "backend_unavailable")
            assert b"weights" not in body

    asyncio.run(scenario())


def test_too_many_generations_at_once(serving):
    import threading

    slow = MemoryBackend(lambda request: "hi", models=("echo",), delay_s=0.5)
    with serving(slow, router=RouterConfig(max_outstanding=2, max_waiting=0), tiers=()) as served:
        answers = []
        threads = [
            threading.Thread(target=lambda n=n: answers.append(ask(served, text=str(n))))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer.status for answer in answers) == [200, 200, 429, 429]
        refused = [answer for answer in answers if answer.status == 429]
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert ask(served).status == 200
