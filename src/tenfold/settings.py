"""The only reader of the environment. Everything else is handed what it needs.

| variable | meaning |
|---|---|
| `TENFOLD_STORE` | overrides `store:` of the factory file |
| `TENFOLD_LEDGER` | overrides `ledger:` (a `postgresql://` URL, say) |
| `TENFOLD_ACTOR` | who moves aliases, in the history; default: the user name |
| `NO_COLOR`, `CI` | plain output |
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    store: str | None = None
    ledger: str | None = None
    actor: str = "unknown"
    plain: bool = False
    """No colour and no live display."""
    cpu: int = 1
    """Cores this process may use."""


def load(environment: Mapping[str, str] | None = None) -> Settings:
    env = os.environ if environment is None else environment
    affinity = getattr(os, "sched_getaffinity", None)
    cpu = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return Settings(
        store=env.get("TENFOLD_STORE") or None,
        ledger=env.get("TENFOLD_LEDGER") or None,
        actor=env.get("TENFOLD_ACTOR") or env.get("USER") or env.get("LOGNAME") or "unknown",
        plain=bool(env.get("NO_COLOR") or env.get("CI")),
        cpu=cpu,
    )


def secret(name: str) -> str | None:
    """The value of a variable that holds a credential. Never logged, never stored."""
    return os.environ.get(name) or None


def share_cores() -> None:
    """Let threads that wait for each other sleep instead of spin, here and in child processes.

    On a machine with other work, spinning at every OpenMP barrier takes the very core that the other
    thread needs: training fell from thousands of tokens a second to hundreds. Works until torch is loaded;
    what the user has set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
