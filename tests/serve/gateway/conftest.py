"""A real gateway on a real port, in a thread, with the in-memory backend behind it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import uvloop

from tenfold.core.facts import RequestEvent
from tenfold.ledger import open_ledger
from tenfold.serve.backends.memory import MemoryBackend
from tenfold.serve.gateway.app import Gateway
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.server import serve

from .upstream import Upstream, running


@dataclass
class Served:
    url: str
    gateway: Gateway
    ledger: object
    stop: Callable[[], None]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def events(self) -> list[RequestEvent]:
        """Every event so far, after everything waiting has been written."""
        self.gateway.recorder.settle(5)
        return self.ledger.read(RequestEvent)


@contextmanager
def _serving(backends: Sequence, ledger, config: GatewayConfig, **more) -> Iterator[Served]:
    gateway = Gateway(config, backends, ledger, **more)
    listening = threading.Event()
    place: dict = {}
    failures: list[BaseException] = []

    def ready(url, drain):
        async def when_settled():
            await gateway.fleet.settled()
            place.update(url=url, drain=drain, loop=asyncio.get_running_loop())
            listening.set()

        place["task"] = asyncio.get_running_loop().create_task(when_settled())

    def run():
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve(gateway, port=0, on_listening=ready))
        except BaseException as error:
            failures.append(error)
            listening.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert listening.wait(20)
    if failures:
        raise failures[0]

    def stop():
        if thread.is_alive():
            place["loop"].call_soon_threadsafe(place["drain"])
            thread.join(20)
        assert not thread.is_alive()

    try:
        yield Served(place["url"], gateway, ledger, stop)
    finally:
        stop()
    if failures:
        raise failures[0]


@pytest.fixture
def ledger():
    opened = open_ledger("memory:")
    yield opened
    opened.close()


@pytest.fixture
def serving(ledger):
    """`with serving(backend, tiers=..., ...) as served`: settings are GatewayConfig's."""

    @contextmanager
    def start(*backends, metering=None, mounts=None, ledger=ledger, now=time.time, **settings):
        settings = {"drain_s": 5, "flush_s": 0.05, **settings}
        config = GatewayConfig(**settings)
        more = {"metering": metering, "mounts": mounts, "now": now}
        with _serving(backends, ledger, config, **more) as served:
            yield served

    return start


@pytest.fixture
def echo() -> MemoryBackend:
    """Says the last user message twice."""

    def answer(request):
        said = request.prompt if request.prompt is not None else request.messages[-1].content
        return f"{said} {said}"

    return MemoryBackend(answer, models=("echo", "parrot"), context_tokens=50)


@pytest.fixture
def upstream():
    with running(Upstream()) as server:
        yield server
