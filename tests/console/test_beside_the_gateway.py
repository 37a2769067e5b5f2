"""The console where it lives: mounted in a real gateway, on the same port, over the same ledger."""

from __future__ import annotations

import asyncio
import json

import httpx

from tenfold.console.app import make_app
from tenfold.ledger.memory import MemoryLedger
from tenfold.queries import Queries
from tenfold.serve.backends.memory import MemoryBackend
from tenfold.serve.gateway.app import Gateway
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.server import serve

DRAIN_S = 120.0


def test_a_request_appears_on_the_open_page_and_a_drain_does_not_wait_for_it():
    ledger = MemoryLedger()
    console = make_app(Queries(ledger))
    config = GatewayConfig(drain_s=DRAIN_S, flush_s=0.05)
    gateway = Gateway(
        config, [MemoryBackend(lambda ask: "hello there")], ledger, mounts={"/console": console}
    )

    async def scene():
        listening = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(
            serve(gateway, port=0, on_listening=lambda *found: listening.set_result(found))
        )
        url, drain = await asyncio.wait_for(listening, 20)
        async with httpx.AsyncClient(timeout=20) as web:
            page = await web.get(f"{url}/console/traffic")
            live = page.text.split('data-live-url="')[1].split('"')[0].replace("&amp;", "&")
            async with web.stream("GET", url + live) as stream:
                answer = await web.post(
                    f"{url}/v1/completions", json={"model": "memory", "prompt": "hi"}
                )
                async for line in stream.aiter_lines():
                    if line.startswith("data: "):
                        message = json.loads(line.removeprefix("data: "))
                        break
                drain()
                # far less than the time that answers under way are given
                await asyncio.wait_for(serving, DRAIN_S / 4)
        return answer.json()["id"], page.text, message

    response_id, before, message = asyncio.run(scene())
    assert "tenfold serve" in before, "nothing had been asked yet"
    assert response_id in message["regions"]["recent"]
    assert Queries(ledger).why(response_id).request.tier == "model"
    ledger.close()
