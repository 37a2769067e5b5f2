"""The two servers that `gateway_overhead.py` compares, each a process: the gateway, and uvicorn with nothing in it.

    server.py gateway LEDGER | server.py bare NUM_BYTES

Prints `{"url", "key", "model"}`, then answers each line on stdin with its CPU seconds so far; ends when
stdin does. Both listen through the same uvicorn, uvloop and httptools.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from typing import Any

MODEL = "memory"
ANSWER = "the-standard-library-reference-" * 4
"""One word: the in-memory backend makes one piece of it, so that it answers at once."""


def main(kind: str, argument: str) -> None:
    if kind == "gateway":
        gateway(argument)
    else:
        bare(int(argument))


def gateway(ledger_url: str) -> None:
    """As `tenfold serve` runs it: keys, exact tier, events and energy into a SQLite ledger."""
    from tenfold.ledger import open_ledger
    from tenfold.serve.access.issue import create_key
    from tenfold.serve.backends.memory import MemoryBackend
    from tenfold.serve.gateway.app import Gateway
    from tenfold.serve.gateway.config import GatewayConfig
    from tenfold.serve.gateway.observed import observed
    from tenfold.serve.gateway.server import run

    ledger = open_ledger(ledger_url)
    secret = create_key(ledger, "bench", tenant="bench", now_s=time.time())
    app = Gateway(
        GatewayConfig(tiers=("exact",), require_keys=True, source="bench"),
        [MemoryBackend(lambda request: ANSWER, models=[MODEL])],
        ledger,
        metering=observed(),
    )
    run(app, on_listening=lambda url, drain: report(url, secret), port=0)
    ledger.close()


def bare(num_bytes: int) -> None:
    """Reads the body and answers `num_bytes` of JSON: what any server on this stack has to do."""
    import uvicorn
    import uvloop

    from tenfold.serve.gateway.server import listen

    answer = json.dumps({"x": ""}).encode()
    answer = json.dumps({"x": "x" * (num_bytes - len(answer))}).encode()
    head = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(answer)).encode()),
    ]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": answer})

    config = uvicorn.Config(
        app, http="httptools", ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_keep_alive=75,
    )  # fmt: skip
    sock = listen("127.0.0.1", 0)
    sys.setswitchinterval(0.0005)  # as the gateway's server does
    report(f"http://127.0.0.1:{sock.getsockname()[1]}", "none")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve(sockets=[sock]))


def report(url: str, key: str) -> None:
    print(json.dumps({"url": url, "key": key, "model": MODEL}), flush=True)
    threading.Thread(target=_tell, daemon=True).start()


def _tell() -> None:
    # Not through sys.stdin: its lock, held by this thread, would abort the interpreter's shutdown.
    while os.read(0, 4096):
        print(time.process_time(), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
