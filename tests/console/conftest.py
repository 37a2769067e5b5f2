"""A console over a real ledger with a past, served once; and a browser, where there is one."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import io
import json
import shutil
import socket
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn

from tenfold import Factory
from tenfold.console.app import Console, make_app
from tenfold.core.facts import LabelEvent
from tenfold.factory.labelling import Labelling
from tenfold.ledger.memory import MemoryLedger
from tenfold.queries import Queries

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


UNLABELLED = """() => [...document.querySelectorAll('a, button, input, select, svg[role], nav, [tabindex="0"]')]
  .filter(e => e.checkVisibility() && !(e.getAttribute('aria-label') || e.textContent || '').trim())
  .map(e => e.outerHTML.slice(0, 120))"""
CONTRAST = """() => {
  const lum = (r, g, b) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const read = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const ground = e => {
    for (; e; e = e.parentElement) {
      const c = read(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] > 0.99) return c;
    }
    return [255, 255, 255];
  };
  const poor = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.nodeValue.trim() || e.closest('svg, .skip') || !e.checkVisibility()) continue;
    const fore = lum(...read(getComputedStyle(e).color).slice(0, 3)), back = lum(...ground(e).slice(0, 3));
    const ratio = (Math.max(fore, back) + 0.05) / (Math.min(fore, back) + 0.05);
    if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${e.outerHTML.slice(0, 90)}`);
  }
  return poor;
}"""
OVERFLOW = "() => document.documentElement.scrollWidth - innerWidth"


def load_history() -> ModuleType:
    """`tests/queries/history.py`, which both folders share."""
    name = "tenfold_test_history"
    if name not in sys.modules:
        path = Path(__file__).parents[1] / "queries" / "history.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def history() -> ModuleType:
    return load_history()


@dataclass
class Site:
    """A served console and what stands in its ledger."""

    url: str
    """`http://127.0.0.1:PORT/console`"""
    ledger: MemoryLedger
    past: Any
    console: Console
    now_s: float


@pytest.fixture
def past(history: ModuleType) -> Any:
    """(ledger, what was written, queries) at a fixed time."""
    ledger = MemoryLedger()
    written = history.write(ledger)
    yield ledger, written, Queries(ledger, now=lambda: history.NOW_S)
    ledger.close()


@contextlib.contextmanager
def _served(console: Console) -> Iterator[str]:
    """Its URL on a free port of loopback."""
    server = uvicorn.Server(
        uvicorn.Config(console, lifespan="off", log_level="warning", timeout_graceful_shutdown=2)
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}/console"
        console.close()
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def served() -> Callable[[Console], AbstractContextManager[str]]:
    """`with served(console) as url`"""
    return _served


@pytest.fixture(scope="session")
def site(history: ModuleType) -> Any:
    """One server for the session. Its ledger grows while tests run."""
    ledger = MemoryLedger()
    now_s = time.time()
    written = history.write(ledger, now_s=now_s)
    history.start_run(ledger, written, now_s)
    console = make_app(Queries(ledger))
    with _served(console) as url:
        yield Site(url, ledger, written, console, now_s)
    ledger.close()


@pytest.fixture(scope="module")
def chromium(require: Any) -> Any:
    """Not for the whole session: while it is there, no other test can run an event loop of its own."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    require(path, "Chromium (apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def looks() -> tuple[str, str, str]:
    """Scripts for a page: controls without a name, text of poor contrast, pixels that stick out sideways."""
    return UNLABELLED, CONTRAST, OVERFLOW


class Watched:
    """A page with its complaints and the requests it made."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.requests: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", lambda dialog: (self.complaints.append("a dialog"), dialog.dismiss()))

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def outside(self, origin: str) -> list[str]:
        return [url for url in self.requests if not url.startswith((origin, "data:"))]


@pytest.fixture
def browse(chromium: Any) -> Any:
    """`browse(scheme, width)` gives a watched page in a fresh context."""
    contexts = []

    def open_page(scheme: str = "light", width: int = 1280) -> Watched:
        context = chromium.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 900}
        )
        contexts.append(context)
        return Watched(context.new_page())

    yield open_page
    for context in contexts:
        context.close()


HOSTILE = "<script>window.broken = 1</script><img src=x onerror='window.broken = 2'> & \"quoted\""
CHOICES = ("spam", "salad <b>bold</b>", 'u"p')


@dataclass
class Desk:
    """A served console with review queues: texts, pairs (texts for two), crowd, signs (images), rows."""

    url: str
    factory: Factory
    labelling: Labelling
    hostile: str = HOSTILE
    choices: tuple[str, ...] = CHOICES

    def said(self, queue: str) -> list[LabelEvent]:
        return self.factory.ledger.read(LabelEvent, queue=queue)

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        sent = {"origin": f"http://{parts.netloc}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(
                "POST", parts.path + path, data, {k: v for k, v in sent.items() if v}
            )
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        return response.status, json.loads(text) if text.startswith("{") else {"error": text}


def _picture(number: int) -> bytes:
    from PIL import Image

    image = Image.new("RGB", (80, 80), (20 * number, 90, 200 - 20 * number))
    image.paste((255, 255, 255), (0, 0, 8 + 9 * number, 30))
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: Any, served: Any) -> Any:
    folder = tmp_path_factory.mktemp("desk")
    texts = [HOSTILE, *(f"{word} is text {n}" for n, word in enumerate("abcdefghijklmno"))]
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    (folder / "people.csv").write_text(
        f'name,note\nAda,"{HOSTILE.replace(chr(34), chr(39))}"\nBo,\n'
    )
    with tarfile.open(folder / "signs.tar", "w") as archive:
        for number in range(6):
            info = tarfile.TarInfo(f"{number}.png")
            info.size = len(_picture(number))
            archive.addfile(info, io.BytesIO(_picture(number)))
    factory = Factory("f", store=str(folder / "store"), directory=folder)
    for name, kind, path, overlap in (
        ("texts", "jsonl", "texts.jsonl", 1), ("pairs", "jsonl", "texts.jsonl", 2),
        ("crowd", "jsonl", "texts.jsonl", 1),
        ("signs", "images", "signs.tar", 1), ("rows", "csv", "people.csv", 1),
    ):  # fmt: skip
        source = {"kind": kind, "path": path, "licence": "CC0-1.0"}
        factory.add("data.ingest", name=f"{name}.records", config={"sources": [source]})
        asked = {
            "choices": CHOICES,
            "overlap": overlap,
            "max_similarity": 1.0,
            "question": "What is it?",
        }
        factory.add("data.review", name=name, needs=[f"{name}.records"], config=asked)
    outcome = factory.run()
    assert outcome.ok, outcome
    labelling = factory.labelling
    with served(make_app(factory.queries, labelling=labelling)) as url:
        yield Desk(url, factory, labelling)
    factory.close()
