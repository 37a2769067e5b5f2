"""A console over a real ledger with a past, served once; and a browser, where there is one."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import uvicorn

from tenfold.console.app import Console, make_app
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
