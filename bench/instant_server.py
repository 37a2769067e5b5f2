"""An OpenAI-compatible server that answers at once, or a gateway in front of one; for latency alone.

    python bench/instant_server.py backend
    python bench/instant_server.py gateway BACKEND_URL LEDGER [TIER ...]

Prints its URL when it answers. SIGTERM ends it. It generates nothing: what is measured is what lies between.
"""

from __future__ import annotations

import asyncio
import json
import sys

MODEL = "instant"
_COMPLETION = {
    "id": "chatcmpl-instant",
    "object": "chat.completion",
    "created": 0,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "At once."},
        }
    ],
    "usage": {"prompt_tokens": 8, "completion_tokens": 3, "total_tokens": 11},
}
_MODELS = {
    "object": "list",
    "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "x"}],
}


def _response(body: bytes, kind: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _whole(value: object) -> bytes:
    return _response(json.dumps(value).encode(), "application/json")


def _stream() -> bytes:
    """The same answer as server-sent events: one piece, the reason, the usage, the end."""
    base = {k: v for k, v in _COMPLETION.items() if k != "usage"}
    base["object"] = "chat.completion.chunk"
    pieces: list[dict[str, object]] = [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "At once."}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": _COMPLETION["usage"]},
    ]
    lines = [f"data: {json.dumps({**base, **piece})}\n\n" for piece in pieces]
    return _response("".join([*lines, "data: [DONE]\n\n"]).encode(), "text/event-stream")


class Instant(asyncio.Protocol):
    """Reads just enough HTTP to know where a request ends."""

    _ANSWERS = (_whole(_MODELS), _whole(_COMPLETION), _stream())

    def __init__(self) -> None:
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length].replace(b" ", b"")
            self._buffer = self._buffer[end + 4 + length :]
            which = 2 if b'"stream":true' in body else int(head.startswith(b"post"))
            self._transport.write(self._ANSWERS[which])  # type: ignore[attr-defined]


async def backend() -> None:
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def gateway(url: str, ledger: str, tiers: list[str]) -> None:
    from tenfold.ledger import open_ledger
    from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
    from tenfold.serve.gateway.app import Gateway
    from tenfold.serve.gateway.config import GatewayConfig
    from tenfold.serve.gateway.observed import observed
    from tenfold.serve.gateway.server import run

    behind = OpenAIBackend(OpenAIConfig(base_url=f"{url}/v1"), name="instant")
    made = Gateway(
        GatewayConfig(tiers=tuple(tiers)), [behind], open_ledger(ledger), metering=observed()
    )
    run(made, port=0, on_ready=lambda url: print(url, flush=True))


if __name__ == "__main__":
    if sys.argv[1] == "backend":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(backend())
    else:
        gateway(sys.argv[2], sys.argv[3], sys.argv[4:])
