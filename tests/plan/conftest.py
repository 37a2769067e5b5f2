"""A real HTTP server that speaks OpenAI's dialect, and a context whose gateway it is."""

import asyncio
import contextlib
import json
import threading
import time

import hypothesis
import pytest
import uvicorn

from tenfold.core.asset import Asset, Corpus, Document, Draft, Model, view
from tenfold.core.ports import GatewayHandle
from tenfold.stores.memory import MemoryBlobs

hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")

WINDOW_S = 0.15


class Upstream:
    """An ASGI app: answers with a text made from the prompt, slowly; keeps accounts; repeats when told to."""

    def __init__(self, tiers=(), work_s=0.01):
        self.tiers = tiers
        self.work_s = work_s
        self.served: list[dict] = []
        self.cache: dict[str, str] = {}
        self.now = self.most_at_once = 0
        self.joules = self.usd = 0.0
        self.booked = (0.0, 0.0, 0.0)
        self.booked_at_s = self.started_at_s = time.monotonic()

    async def __call__(self, scope, receive, send):
        if scope["path"] == "/metrics":
            return await self._reply(send, 200, self._accounts().encode(), b"text/plain")
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)
        try:
            await self._answer(scope, json.loads(body), send)
        finally:
            self.now -= 1

    def _accounts(self):
        """Booked in windows, as a gateway does: what is not booked yet is said to wait. 1 W idle."""
        now = time.monotonic()
        if now - self.booked_at_s >= WINDOW_S:
            self.booked = (self.joules, self.usd, now - self.started_at_s)
            self.booked_at_s = now
        joules, usd, idle_s = self.booked
        return (
            "# HELP tenfold_joules_total Energy.\n# TYPE tenfold_joules_total counter\n"
            f'tenfold_joules_total{{part="requests"}} {joules}\n'
            f'tenfold_joules_total{{part="idle"}} {idle_s}\n'
            f'tenfold_usd_total{{part="requests"}} {usd}\n'
            f"tenfold_events_waiting {int(joules != self.joules)}\n"
        )

    async def _answer(self, scope, ask, send):
        self.served.append({**ask, "path": scope["path"], "headers": dict(scope["headers"])})
        prompt = ask["prompt"] if "prompt" in ask else ask["messages"][-1]["content"]
        if "FAIL" in prompt:
            error = {"error": {"message": "no such luck", "type": "server_error"}}
            return await self._reply(send, 503, json.dumps(error).encode())
        if "HTML" in prompt:
            return await self._reply(send, 502, b"<h1>Bad Gateway</h1>", b"text/html")
        if "GARBAGE" in prompt:
            return await self._reply(send, 200, b'{"choices": [')
        tier = "model"
        if "exact" in self.tiers and prompt in self.cache:
            tier, text = "exact", self.cache[prompt]
        else:
            await asyncio.sleep(30 if "SLEEP" in prompt else self.work_s)
            text = f"({prompt.upper()})"
            self.cache[prompt] = text
            self.joules += 2.0
            self.usd += 0.001
        usage = {"prompt_tokens": 7, "completion_tokens": ask["max_tokens"], "total_tokens": 0}
        kind = "delta" if "messages" in ask else "text"
        if not ask.get("stream"):
            said = (
                {"message": {"role": "assistant", "content": text}}
                if kind == "delta"
                else {"text": text}
            )
            answer = {"id": "cmpl-1", "choices": [{"index": 0, **said}], "usage": usage}
            return await self._reply(send, 200, json.dumps(answer).encode(), tier=tier)
        pieces = [text[:3], text[3:]]
        events = [
            {
                "id": "cmpl-2",
                "choices": [{"delta": {"content": p}} if kind == "delta" else {"text": p}],
            }
            for p in pieces
        ]
        events.append({"id": "cmpl-2", "choices": [], "usage": usage})
        await self._start(send, 200, b"text/event-stream", tier)
        for event in events:
            if "BREAK" in prompt and event is events[-1]:
                break
            data = b"data: " + json.dumps(event).encode() + b"\n\n"
            # Cut in two places where lines are not: a client must put them together again.
            await send({"type": "http.response.body", "body": data[:9], "more_body": True})
            await send({"type": "http.response.body", "body": data[9:], "more_body": True})
        end = b"" if "BREAK" in prompt else b"data: [DONE]\n\n"
        await send({"type": "http.response.body", "body": end})

    async def _start(self, send, status, kind, tier="model", length=None):
        headers = [(b"content-type", kind), (b"x-tenfold-tier", tier.encode())]
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})

    async def _reply(self, send, status, body, kind=b"application/json", tier="model"):
        await self._start(send, status, kind, tier, len(body))
        await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def listening(app, **settings):
    """`app` on a port of the loopback interface, in a thread."""
    config = uvicorn.Config(
        app, port=0, lifespan="off", log_level="warning", timeout_graceful_shutdown=1, **settings
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            threading.Event().wait(0.005)
            assert thread.is_alive()
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def upstream():
    """(app, url) of a running upstream without tiers."""
    app = Upstream()
    with listening(app) as url:
        yield app, url


class Rehearsal:
    """A Context whose gateway is an Upstream."""

    asset = "rehearsal"
    run_id = "run-1"
    cpu = 1

    def __init__(self, seed=7, apps=Upstream):
        self.seed = seed
        self.scratch: dict = {}
        self.metrics: dict[str, float] = {}
        self.logs: list[tuple] = []
        self.started: list[Upstream] = []
        self._apps = apps

    def draft(self, kind):
        return Draft(kind)

    def metric(self, name, value, *, unit="", step=None):
        self.metrics[name] = value

    def progress(self, done, total, note=""):
        pass

    def log(self, event, **fields):
        self.logs.append((event, fields))

    @contextlib.contextmanager
    def gateway(self, model, *, tiers=()):
        app = self._apps(tiers)
        self.started.append(app)
        with listening(app) as url:
            yield GatewayHandle(url, "sk-secret", "model", "run-1")


@pytest.fixture
def rehearsal():
    return Rehearsal


@pytest.fixture
def blobs():
    return MemoryBlobs()


@pytest.fixture
def upstream_class():
    return Upstream


@pytest.fixture
def corpus_of(blobs):
    """A stored corpus with one document per title; every other one is held out."""

    def build(titles):
        documents = [
            Document(
                id=f"doc-{number:02}",
                text=f"{title} returns the value that was given to it by the caller, number {number}.",
                source=f"python:{title}",
                licence="PSF-2.0",
                split="heldout" if number % 2 else "train",
                meta={"title": title},
            )
            for number, title in enumerate(titles)
        ]
        draft = Corpus.write(Draft(Corpus.kind), documents)
        return view("corpus", draft.commit(blobs), blobs)

    return build


@pytest.fixture
def corpus(corpus_of):
    """Sixty documents named as documentation is."""
    return corpus_of([f"module{number % 7}.function{number}" for number in range(60)])


@pytest.fixture
def model(blobs) -> Asset:
    draft = Draft(Model.kind)
    draft.write_json("config.json", {})
    return view("model", draft.commit(blobs), blobs)
