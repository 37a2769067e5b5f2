"""The rehearsal against the real gateway: the header, the accounts and the tiers are its own."""

import asyncio
import contextlib
import threading

import pytest

from tenfold.core.asset import Report, view
from tenfold.core.facts import EnergyWindow, RequestEvent
from tenfold.core.ports import GatewayHandle
from tenfold.ledger import open_ledger
from tenfold.plan.replay import replay
from tenfold.serve.access.issue import create_key
from tenfold.serve.backends.memory import MemoryBackend
from tenfold.serve.gateway.app import Gateway
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.observed import observed
from tenfold.serve.gateway.server import serve


@contextlib.contextmanager
def gateway(backend, ledger, tiers, source):
    """On a port of the loopback interface, in a thread, with an energy window of a tenth of a second."""
    config = GatewayConfig(tiers=tuple(tiers), source=source, flush_s=0.1)
    app = Gateway(config, [backend], ledger, metering=observed())
    ready, address = threading.Event(), []

    def listening(url, drain):
        address.extend((url, drain, asyncio.get_running_loop()))
        ready.set()

    thread = threading.Thread(
        target=lambda: asyncio.run(serve(app, port=0, on_listening=listening)), daemon=True
    )
    thread.start()
    assert ready.wait(20)
    url, drain, loop = address
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(drain)
        thread.join(20)


@pytest.fixture
def rehearsing(rehearsal):
    class Rehearsing(rehearsal):
        def __init__(self, ledger):
            super().__init__()
            self.ledger = ledger
            self.key = create_key(ledger, "rehearsal", tenant="plan", now_s=0.0)

        @contextlib.contextmanager
        def gateway(self, model, *, tiers=()):
            backend = MemoryBackend(
                lambda request: f"so {request.prompt} it is, and no more", delay_s=0.001
            )
            source = "on" if tiers else "off"
            with gateway(backend, self.ledger, tiers, source) as url:
                yield GatewayHandle(url, self.key, "memory", source)
            self.started.append(backend)

    return Rehearsing


@pytest.fixture
def ledger():
    opened = open_ledger("memory:")
    yield opened
    opened.close()


def test_figures_agree_with_what_the_gateway_wrote_into_its_ledger(
    corpus, model, blobs, rehearsing, ledger
):
    ctx = rehearsing(ledger)
    config = {"requests": 150, "distinct": 30, "concurrency": 4, "warm_up": 4, "max_tokens": 8}
    made = replay.invoke([model, corpus], ctx, replay.configure(config))
    assert isinstance(view("rehearsal", made.commit(blobs), blobs), Report)
    metrics = ctx.metrics
    assert metrics["errors"] == 0
    assert metrics["answers_equal"] == 1.0
    for side, backend in zip(("off", "on"), ctx.started, strict=True):
        events = ledger.read(RequestEvent, source=side)
        assert len(events) == 150 + 4
        assert sum(event.tier == "model" for event in events) == len(backend.requests)
        windows = ledger.read(EnergyWindow, source=side)
        booked = sum(window.joules for window in windows)
        # Warm-up and the seconds around the replay are in the ledger but not in the figure.
        assert 0 < metrics[f"joules_per_request.{side}"] * 150 <= booked
        assert metrics[f"usd_per_request.{side}"] > 0
    exact = sum(event.tier == "exact" for event in ledger.read(RequestEvent, source="on"))
    assert metrics["tier_share.exact"] == pytest.approx(exact / 150)
    assert 0.5 < metrics["tier_share.exact"] <= metrics["exact_bound"]
