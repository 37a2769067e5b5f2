"""Other weights under the same name: what the old ones answered is not given any more."""

from __future__ import annotations

import asyncio
import http.client
import json

from tenfold.serve.backends.base import ModelCard
from tenfold.serve.backends.memory import MemoryBackend
from tenfold.serve.gateway.app import Gateway
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.server import serve


class Weights(MemoryBackend):
    """Ready when it is told to be."""

    def __init__(self, digest):
        super().__init__(lambda request: digest, models=("m",))
        self.digest = digest
        self.ready = asyncio.Event()

    async def start(self):
        await self.ready.wait()

    def cards(self):
        return (ModelCard(name="m", digest=self.digest),)


def post(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    said = [{"role": "user", "content": "x"}]
    body = json.dumps({"model": "m", "messages": said, "temperature": 0})
    try:
        connection.request("POST", "/v1/chat/completions", body)
        response = connection.getresponse()
        text = json.loads(response.read())["choices"][0]["message"]["content"]
        return response.headers["x-tenfold-tier"], text
    finally:
        connection.close()


def test_an_exchange_of_weights(ledger):
    async def scenario():
        old, new = Weights("old"), Weights("new")
        old.ready.set()
        config = GatewayConfig(drain_s=2)
        gateway = Gateway(config, [old], ledger)
        listening = asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(
            serve(gateway, port=0, on_listening=lambda *said: listening.set_result(said))
        )
        url, drain = await listening
        port = int(url.rpartition(":")[2])
        await gateway.fleet.settled()

        async def ask():
            return await asyncio.to_thread(post, port)

        assert [await ask(), await ask()] == [("model", "old"), ("exact", "old")]
        gateway.reload(config, [new], {"memory"})
        assert await ask() == ("exact", "old"), "the heir is not ready"
        new.ready.set()
        while gateway.fleet.cards()[0].digest != "new":
            await asyncio.sleep(0.01)
        assert [await ask(), await ask()] == [("model", "new"), ("exact", "new")]
        drain()
        await serving

    asyncio.run(asyncio.wait_for(scenario(), 30))
