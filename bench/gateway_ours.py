"""Our gateway as the bench runs it: everything on, in processes of its own, before an upstream.

`start_ours` is the one place that knows how the gateway is started; the second half of this file is the
child. It knows no figures.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway_process import Server, launch
from gateway_upstream import MODEL

MANY = 2**31 - 1
"""Requests and tokens a minute: counted at every request, never reached."""
RICH_USD = 1e6
"""A budget that lasts."""
FLUSH_S = 1.0
"""The recorder's pause between batches; whoever measures CPU time waits a little longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the child is told."""

    upstream: str
    folder: str
    workers: int
    num_keys: int
    limits: bool
    budget: bool
    tiers: tuple[str, ...]
    cache_entries: int
    host_cache_bytes: int


def start_ours(
    upstream_url: str,
    *,
    state_dir: Path,
    core: int | None,
    workers: int = 1,
    num_keys: int = 1,
    limits: bool = True,
    budget: bool = True,
    tiers: tuple[str, ...] = ("exact", "host"),
    cache_entries: int = 100_000,
    host_cache_bytes: int = 8 * 2**30,
) -> Server:
    """A gateway with keys, ledger, metrics, audit and what is asked for; `core` None: on every core.

    Raises RuntimeError with its last words when it does not start.
    """
    wanted = Wanted(
        upstream=upstream_url, folder=str(state_dir), workers=workers, num_keys=num_keys, limits=limits,
        budget=budget, tiers=tiers, cache_entries=cache_entries, host_cache_bytes=host_cache_bytes,
    )  # fmt: skip
    process, log = launch(
        [sys.executable, Path(__file__).resolve(), json.dumps(asdict(wanted))],
        state_dir, core=core, talks=True,
    )  # fmt: skip
    server = Server("tenfold", "", MODEL, [], process, settle_s=FLUSH_S * 1.5, said=log)
    assert process.stdout is not None
    heard = process.stdout.readline()
    if not heard:
        server.stop()
        raise RuntimeError(f"the gateway did not start: {server.last_words()}")
    told = json.loads(heard)
    server.url, server.on = told["url"], told["on"]
    server.keys = (state_dir / "keys").read_text().split()
    return server


# The child.


def main(argument: str) -> None:
    """The classes as they are; to be replaced by `tenfold gateway --config` once there is one."""
    wanted = Wanted(**json.loads(argument))
    folder = Path(wanted.folder)
    from tenfold.ledger import open_ledger
    from tenfold.serve.http.server import listen

    ledger = open_ledger(str(folder / "ledger.db"))
    (folder / "keys").write_text("\n".join(_keys(ledger, wanted)))
    ledger.close()
    sock = listen("127.0.0.1", 0)
    ready, told = os.pipe()
    others = []
    for worker in range(wanted.workers):
        if worker == wanted.workers - 1 or not (pid := os.fork()):
            break
        others.append(pid)
    is_parent = worker == wanted.workers - 1
    try:
        _serve(
            wanted,
            folder,
            sock,
            worker,
            lambda url: os.write(told, b".") if not is_parent else _all_there(url, wanted, ready),
        )
    finally:
        for pid in others:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)


def _serve(
    wanted: Wanted, folder: Path, sock: socket.socket, worker: int, on_ready: Callable[[str], Any]
) -> None:
    from tenfold.ledger import open_ledger
    from tenfold.serve.access.grant import TenantPolicy
    from tenfold.serve.access.prices import Price
    from tenfold.serve.backends.http_pool import PoolConfig
    from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
    from tenfold.serve.gateway.app import Gateway
    from tenfold.serve.gateway.config import GatewayConfig
    from tenfold.serve.gateway.observed import observed
    from tenfold.serve.gateway.parts import open_parts
    from tenfold.serve.gateway.server import run
    from tenfold.serve.router.config import RouterConfig

    config = GatewayConfig(
        tiers=tuple(wanted.tiers), require_keys=True, source="bench", flush_s=FLUSH_S,
        cache_entries=wanted.cache_entries, cache_bytes=8 * 2**30, max_body_bytes=16 * 2**20,
        state_dir=folder / "state", host_cache_bytes=wanted.host_cache_bytes, spool=folder / "spool",
        prices={MODEL: Price(input_usd=0.15, output_usd=0.6)} if wanted.budget else {},
        tenants={
            "bench": TenantPolicy(
                rpm=MANY if wanted.limits else None, tpm=MANY if wanted.limits else None,
                budget_usd=RICH_USD if wanted.budget else None,
            )
        },
        router=RouterConfig(max_outstanding=4096, max_waiting=4096),
    )  # fmt: skip
    backend = OpenAIBackend(
        OpenAIConfig(base_url=wanted.upstream + "/v1", pool=PoolConfig(max_connections=4096))
    )
    ledger = open_ledger(str(folder / "ledger.db"))
    parts = open_parts(config, worker=worker, workers=wanted.workers)
    gateway = Gateway(config, [backend], ledger, metering=observed(), parts=parts)
    run(gateway, sockets=[sock], on_ready=on_ready)
    ledger.close()


def _keys(ledger: Any, wanted: Wanted) -> list[str]:
    """Keys as `create_key` makes them, but written in one batch; the first is in the audit's chain."""
    from tenfold.core.facts import VirtualKey
    from tenfold.serve.access.keys import hash_of, new_secret

    made = [new_secret() for _ in range(wanted.num_keys)]
    ledger.audit("bench", "key.create", "bench-0", {"keys": wanted.num_keys}, time.time())
    ledger.put(
        *(
            VirtualKey(
                name=f"bench-{n}", tenant="bench", sha256=hash_of(secret.encode()),
                created_at_s=time.time(), rpm=MANY if wanted.limits else None,
                tpm=MANY if wanted.limits else None, budget_usd=RICH_USD if wanted.budget else None,
            )
            for n, secret in enumerate(made)
        )
    )  # fmt: skip
    return made


def _all_there(url: str, wanted: Wanted, ready: int) -> None:
    """This worker is ready; say so when the others are."""
    for _ in range(wanted.workers - 1):
        os.read(ready, 1)
    on = [
        f"keys ({wanted.num_keys})", *["requests and tokens per minute"] * wanted.limits,
        *["budgets with prices"] * wanted.budget, f"tiers {', '.join(wanted.tiers) or 'off'}", "metrics",
        "audit", "SQLite ledger with spool", "energy", f"{wanted.workers} worker(s)",
    ]  # fmt: skip
    _say({"url": url, "on": ", ".join(on)})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _say(report: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
