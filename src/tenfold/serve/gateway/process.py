"""A gateway on one model in a process of its own, for as long as a context lasts. Implements core's Gateways.

The child reports on its standard output when it is ready, and ends when its standard input does: even a
parent that is killed leaves nothing running. The ledger's address goes the same way, not over the command
line, for it may hold a password.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tenfold.core.ports import GatewayHandle
from tenfold.errors import BackendError

if TYPE_CHECKING:
    from tenfold.observe.cost import Tariff
    from tenfold.observe.energy import MachinePower

MODULE = "tenfold.serve.gateway"


@contextmanager
def launch(
    *,
    folder: Path,
    digest: str,
    name: str,
    tiers: Sequence[str],
    ledger_url: str,
    source: str,
    tariff: Tariff | None = None,
    power: MachinePower | None = None,
    cache_sampled: bool = False,
    start_timeout_s: float = 120.0,
    stop_timeout_s: float = 30.0,
) -> Iterator[GatewayHandle]:
    """Start a gateway on the model in `folder`, wait until it answers, stop it in the end.

    By then every request event is in the ledger at `ledger_url`, marked with `source`. Raises BackendError
    with what the gateway said when it does not start, or when it died while the context lasted.
    """
    command = [sys.executable, "-m", MODULE, "--ledger", "-", "--lifeline", "--make-key"]
    command += ["--folder", str(folder), "--digest", digest, "--name", name, "--source", source]
    for tier in tiers:
        command += ["--tier", tier]
    if cache_sampled:
        command.append("--cache-sampled")
    for flag, value in (("--tariff", tariff), ("--power", power)):
        if value is not None:
            command += [flag, json.dumps(dataclasses.asdict(value))]
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
        try:
            ready = _ready(child, ledger_url, start_timeout_s, errors)
            yield GatewayHandle(
                url=ready["url"], api_key=ready["api_key"], model=ready["model"], source=source
            )
        finally:
            _stop(child, stop_timeout_s)
        if child.returncode != 0:  # a drained one returns 0; only then is every event written
            raise BackendError(
                f"the gateway on {name!r} died or did not stop (status {child.returncode})",
                seen=_tail(errors) or None,
            )


def _ready(
    child: subprocess.Popen[bytes], ledger_url: str, timeout_s: float, errors: IO[bytes]
) -> dict[str, Any]:
    """The child's report. A child that says nothing in time is killed, which ends the waiting."""
    assert child.stdin is not None
    assert child.stdout is not None
    late = threading.Timer(timeout_s, child.kill)
    late.start()
    try:
        with contextlib.suppress(BrokenPipeError):  # it died at once; its report says more
            child.stdin.write(ledger_url.encode() + b"\n")
            child.stdin.flush()
        line = child.stdout.readline()
    finally:
        late.cancel()
    report = json.loads(line) if line.startswith(b"{") else {"error": "it said nothing"}
    if "error" in report:
        raise BackendError(
            f"the gateway did not start: {report['error']}",
            seen=_tail(errors) or None,
            hint=report.get("hint"),
        )
    return report


def _stop(child: subprocess.Popen[bytes], timeout_s: float) -> None:
    child.terminate()
    try:
        child.wait(timeout_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    finally:
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _tail(errors: IO[bytes], num_bytes: int = 2000) -> str:
    end = errors.seek(0, 2)
    errors.seek(max(0, end - num_bytes))
    return errors.read().decode(errors="replace").strip()
