"""Our gateway as the bench runs it: everything on, in processes of its own, before an upstream.

`start_ours` is the one place that knows how the gateway is started; the second half of this file is the
child. It knows no figures.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway_process import Server, launch
from gateway_upstream import MODEL
from harness import Unavailable

START_S = 60
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


def start_ours(
    upstream_url: str,
    *,
    state_dir: Path,
    core: int | None,
    workers: int = 1,
    num_keys: int = 1,
    limits: bool = True,
    budget: bool = True,
    tiers: tuple[str, ...] = ("exact",),
    cache_entries: int = 100_000,
) -> Server:
    """A gateway with keys, ledger, metrics, audit and what is asked for; `core` None: on every core.

    Raises Unavailable for what this gateway does not have yet.
    """
    wanted = Wanted(
        upstream=upstream_url, folder=str(state_dir), workers=workers, num_keys=num_keys, limits=limits,
        budget=budget, tiers=tiers, cache_entries=cache_entries,
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
    if "lacks" in told:
        server.stop()
        raise Unavailable(f"this gateway has no {told['lacks']}")
    server.url, server.on = told["url"], told["on"]
    server.keys = (state_dir / "keys").read_text().split()
    return server


# The child.


def main(argument: str) -> None:
    wanted = Wanted(**json.loads(argument))
    if wanted.workers != 1:
        _say({"lacks": "second worker"})
        return
    _serve(wanted, Path(wanted.folder))


def _serve(wanted: Wanted, folder: Path) -> None:
    """The classes as they are; to be replaced by `tenfold gateway --config` once there is one."""
    from tenfold.ledger import open_ledger
    from tenfold.serve.backends.http_pool import PoolConfig
    from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
    from tenfold.serve.gateway.app import Gateway
    from tenfold.serve.gateway.config import GatewayConfig
    from tenfold.serve.gateway.observed import observed
    from tenfold.serve.gateway.server import run

    ledger = open_ledger(str(folder / "ledger.db"))
    (folder / "keys").write_text("\n".join(_keys(ledger, wanted.num_keys)))
    config = GatewayConfig(
        tiers=tuple(wanted.tiers), require_keys=True, source="bench", flush_s=FLUSH_S,
        max_generations=4096, cache_entries=wanted.cache_entries, cache_bytes=8 * 2**30,
        max_body_bytes=16 * 2**20,
    )  # fmt: skip
    backend = OpenAIBackend(
        OpenAIConfig(base_url=wanted.upstream + "/v1", pool=PoolConfig(max_connections=4096))
    )
    # Limits and budgets are not there yet: what is on says so, whatever is wanted.
    on = f"keys ({wanted.num_keys}), tiers {', '.join(wanted.tiers) or 'off'}, metrics, SQLite ledger, energy"
    gateway = Gateway(config, [backend], ledger, metering=observed())
    run(gateway, port=0, on_ready=lambda url: _ready(url, on))
    ledger.close()


def _keys(ledger: Any, number: int) -> list[str]:
    """Keys as `create_key` makes them, but written in one batch."""
    import secrets

    from tenfold.core.facts import VirtualKey
    from tenfold.serve.access.keys import PREFIX, hash_of

    made = [PREFIX + secrets.token_urlsafe(32) for _ in range(number)]
    ledger.put(
        *(
            VirtualKey(
                name=f"bench-{n}", tenant="bench", sha256=hash_of(secret.encode()),
                created_at_s=time.time(),
            )
            for n, secret in enumerate(made)
        )
    )  # fmt: skip
    return made


def _ready(url: str, on: str) -> None:
    _say({"url": url, "on": on})
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
