"""A thousand identical cold requests at once: how many generations they make, counted by the upstream."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import uvloop

from gateway_process import Server
from gateway_stage import Stage
from harness import Figures, spread

CROWD = 1000
THINKING_MS = 500
"""How long the upstream thinks: every request is there before the first answer is."""
_PATIENCE_S = 30.0


class Caller(asyncio.Protocol):
    """One connection with one request."""

    def __init__(self, answered: asyncio.Queue[bytes]) -> None:
        self._answered = answered
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._data.endswith((b"0\r\n\r\n", b"}", b"}\n")):
            self._answered.put_nowait(self._data)
            self._data = b""

    def connection_lost(self, error: Exception | None) -> None:
        self._answered.put_nowait(self._data)


async def ask_at_once(server: Server, question: int, stream: bool) -> int:
    """How many of the crowd got a 200 with the whole answer."""
    loop = asyncio.get_running_loop()
    parts = urlsplit(server.url)
    answered: asyncio.Queue[bytes] = asyncio.Queue()
    content = f"Everybody asks {question:012d} #4x48/{THINKING_MS}#"
    told: dict[str, Any] = {
        "model": server.model,
        "messages": [{"role": "user", "content": content}],
        "temperature": 0,
    }
    body = json.dumps({**told, "stream": True} if stream else told)
    wire = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {server.key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    ).encode()
    crowd = []
    for _ in range(CROWD):
        _, caller = await loop.create_connection(
            lambda: Caller(answered), parts.hostname, parts.port
        )
        crowd.append(caller)
    for caller in crowd:
        caller.transport.write(wire)
    good = 0
    try:
        async with asyncio.timeout(_PATIENCE_S):
            for _ in range(CROWD):
                data = await answered.get()
                end = b"[DONE]" if stream else b'"finish_reason":"stop"'
                good += data.startswith(b"HTTP/1.1 200") and end in data
    except TimeoutError:
        pass  # they count as not answered
    for caller in crowd:
        caller.transport.abort()
    return good


def cold_identical(stage: Stage, quick: bool) -> Figures:
    # On every core: several workers on one would never truly ask at the same time.
    with stage.another(core=None) as ours, stage.alone():
        yield from _measured(stage, quick, ours, "", "whole", 1)
        yield from _measured(stage, quick, ours, ".stream", "streamed", 1)
    with stage.another(core=None, workers=2) as ours, stage.alone():
        yield from _measured(stage, quick, ours, ".2_workers", "whole", 2)


def _measured(
    stage: Stage, quick: bool, ours: Server, name: str, form: str, workers: int
) -> Figures:
    rounds = 1 if quick else 5
    found, good = [], []
    for _ in range(rounds):
        before = stage.generations()
        good.append(uvloop.run(ask_at_once(ours, stage.questions(1), form == "streamed")))
        ours.rest()
        found.append(stage.generations() - before)
    yield f"cold_identical_generations{name}", spread(
        found, "generations",
        f"generations that {CROWD} identical {form} requests caused, all sent before the first answer "
        f"({THINKING_MS} ms) could come, {workers} worker(s); the most of {rounds} rounds. Ours: {ours.on}",
        take=max,
    )  # fmt: skip
    yield f"cold_identical_generations{name}.answered", spread(
        good, "requests", f"of those {CROWD}: answered with the whole answer, in the worst round", take=min
    )  # fmt: skip
