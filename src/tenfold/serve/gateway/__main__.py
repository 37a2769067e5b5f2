"""`python -m tenfold.serve.gateway`: a gateway on one model folder, as a process.

Prints one JSON line when it answers: `{"url", "api_key", "model", "source"}`, or `{"error", "hint"}`.
SIGTERM drains it. This file puts the parts together and knows nothing that they know.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tenfold.errors import TenfoldError
from tenfold.ledger import open_ledger
from tenfold.observe.cost import Tariff
from tenfold.observe.energy import MachinePower
from tenfold.serve.backends.embedded import EmbeddedBackend
from tenfold.serve.gateway.app import Gateway
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.observed import observed
from tenfold.serve.gateway.server import run


def main(arguments: list[str] | None = None) -> int:
    told = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        return _serve(told)
    except TenfoldError as error:
        _say({"error": str(error), "hint": error.hint})
        return error.exit_code


def _serve(told: argparse.Namespace) -> int:
    ledger = open_ledger(sys.stdin.readline().strip() if told.ledger == "-" else told.ledger)
    try:
        config = GatewayConfig(
            tiers=tuple(told.tier),
            require_keys=True if told.make_key else None,
            cache_sampled=told.cache_sampled,
            source=told.source,
        )
        backend = EmbeddedBackend(told.folder, model=told.name, digest=told.digest)
        gateway = Gateway(
            config,
            [backend],
            ledger,
            metering=observed(
                Tariff(**told.tariff) if told.tariff else None,
                MachinePower(**told.power) if told.power else None,
            ),
        )
        secret = gateway.keys.lend("process", told.tenant) if told.make_key else ""

        def listening(url: str, drain: Callable[[], None]) -> None:
            if told.lifeline:
                loop = asyncio.get_running_loop()
                threading.Thread(target=_await_end, args=(loop, drain), daemon=True).start()

        def ready(url: str) -> None:
            served = {"url": url, "api_key": secret, "model": told.name}
            _say({**served, "source": told.source})

        run(gateway, told.host, told.port, on_listening=listening, on_ready=ready)
        return 0
    finally:
        ledger.close()


def _await_end(loop: asyncio.AbstractEventLoop, drain: Callable[[], None]) -> None:
    """The parent holds the other end of standard input; when it is gone, so are we."""
    # Not through sys.stdin: its lock, held by this thread, would abort the interpreter's shutdown.
    while os.read(0, 4096):
        pass
    if not loop.is_closed():
        loop.call_soon_threadsafe(drain)


def _say(report: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tenfold.serve.gateway", description=__doc__)
    add = parser.add_argument
    add("--folder", type=Path, required=True, help="a model folder in transformers' format")
    add("--digest", default="", help="of the model asset")
    add("--name", required=True, help="the model's name for clients")
    add("--ledger", required=True, help="path or URL; -: the first line of standard input")
    add("--tier", action="append", default=[], help="a tier to ask before the model; repeatable")
    add("--source", default="live", help="written into every request event")
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0: a free one")
    add("--tenant", default="rehearsal", help="of the key made with --make-key")
    add(
        "--make-key",
        action="store_true",
        help="require a key, made for this process alone, and report it",
    )
    add("--cache-sampled", action="store_true", help="store answers drawn at random too")
    add("--lifeline", action="store_true", help="end when standard input ends")
    add("--tariff", type=json.loads, help="prices, as JSON (observe.cost.Tariff)")
    add("--power", type=json.loads, help="power of the machine, as JSON (MachinePower)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
