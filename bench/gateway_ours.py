"""Our gateway as the bench runs it: everything on, in processes of its own, before an upstream.

`start_ours` is the one place that knows how the gateway is started: by `tenfold serve`, as a user would. It knows no figures.
"""

from __future__ import annotations

import json
import os
import sys
import time
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
    server.url = json.loads(heard)["url"]
    on = [
        f"keys ({num_keys})", *["requests and tokens per minute"] * limits, *["budgets with prices"] * budget,
        f"tiers {', '.join(tiers) or 'off'}", "metrics", "audit", "SQLite ledger with spool", "energy",
        "console", f"{workers} worker(s)",
    ]  # fmt: skip
    server.on = ", ".join(on)
    server.keys = (state_dir / "keys").read_text().split()
    return server


# The child.


def main(argument: str) -> None:
    """Write a factory file and keys into the folder, and become `tenfold serve` there."""
    wanted = Wanted(**json.loads(argument))
    folder = Path(wanted.folder)
    tenant: dict[str, Any] = {}
    if wanted.limits:
        tenant |= {"rpm": MANY, "tpm": MANY}
    if wanted.budget:
        tenant["budget_usd"] = RICH_USD
    price = {"input_usd": 0.15, "output_usd": 0.6}
    backend = {"name": "mock", "url": wanted.upstream + "/v1", "connections": 4096}
    serve = {
        "port": 0,
        "workers": wanted.workers,
        "require_keys": True,
        "tiers": wanted.tiers,
        "cache": {
            "entries": wanted.cache_entries,
            "megabytes": 8192,
            "host_megabytes": wanted.host_cache_bytes >> 20,
        },
        "max_body_megabytes": 16,
        "backends": [backend],
        "routing": {"max_outstanding": 4096, "max_waiting": 4096},
        "prices": {MODEL: price} if wanted.budget else {},
        "tenants": {"bench": tenant} if tenant else {},
    }
    # JSON is YAML.
    (folder / "factory.yaml").write_text(json.dumps({"factory": "bench", "serve": serve}))
    (folder / "keys").write_text("\n".join(_keys(folder, wanted)))
    os.chdir(folder)
    os.execv(sys.executable, [sys.executable, "-m", "tenfold", "serve", "--json"])


def _keys(folder: Path, wanted: Wanted) -> list[str]:
    """Keys as `tenfold keys create` makes them, but written in one batch; the first is in the audit's chain."""
    from tenfold.core.facts import VirtualKey
    from tenfold.factory import Factory
    from tenfold.serve.access.keys import hash_of, new_secret

    made = [new_secret() for _ in range(wanted.num_keys)]
    with Factory.load(folder / "factory.yaml") as factory:
        factory.ledger.audit(
            "bench", "key.create", "bench-0", {"keys": wanted.num_keys}, time.time()
        )
        factory.ledger.put(
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


if __name__ == "__main__":
    main(sys.argv[1])
