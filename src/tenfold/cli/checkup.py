"""What a machine must have and may have, asked one by one. Each answer says what to do about it.

Imports none of the packages it asks about: their metadata is enough.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tenfold.cli.output import size

TORCH = "2.13.0"
EXTRAS = {
    "train": ("torch", "numpy", "safetensors", "tokenizers"),
    "postgres": ("psycopg",),
}
PLENTY_BYTES = 5_000_000_000
LITTLE_BYTES = 500_000_000
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    state: str
    """`ok`, `warning` (something optional is not there) or `fault` (nothing will work)."""
    seen: str
    fix: str = ""


def checkup(store: Path, host: str, port: int) -> Iterator[Finding]:
    """Every question, in the order in which answers matter."""
    yield python()
    yield from extras()
    yield torch()
    yield from writable(store)
    yield sqlite()
    yield free_port(host, port)
    yield energy()
    yield browser()


def python() -> Finding:
    """An older one cannot have installed this package: nothing to judge, but the first thing to know."""
    return Finding("python", "ok", f"{platform.python_version()} at {sys.executable}")


def version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def extras() -> Iterator[Finding]:
    for extra, packages in EXTRAS.items():
        missing = [package for package in packages if version(package) is None]
        if missing:
            fix = f"pip install 'tenfold[{extra}]'"
            if extra == "train":
                fix = f"pip install torch=={TORCH} first, then {fix}"
            yield Finding(f"extra {extra}", "warning", f"missing: {', '.join(missing)}", fix)
        else:
            found = ", ".join(f"{package} {version(package)}" for package in packages)
            yield Finding(f"extra {extra}", "ok", found)


def torch() -> Finding:
    seen = version("torch")
    if seen is None:
        return Finding(
            "torch", "warning", "not installed", "needed to train and to serve models here"
        )
    if seen.partition("+")[0] == TORCH:
        return Finding("torch", "ok", seen)
    fix = f"pip install torch=={TORCH}: weights are the same bytes only with the same version"
    return Finding("torch", "warning", seen, fix)


def writable(store: Path) -> Iterator[Finding]:
    """Can files be made, kept and renamed where the store is or would be, and is there room?"""
    folder = next(path for path in (store, *store.parents) if path.exists())
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".tenfold-doctor-") as scratch:
            probe = Path(scratch, "probe")
            with probe.open("wb") as stream:
                stream.write(b"x")
                stream.flush()
                os.fsync(stream.fileno())
            probe.rename(Path(scratch, "renamed"))
            mode = _journal_mode(Path(scratch, "probe.db"))
    except (OSError, sqlite3.Error) as error:
        yield Finding(
            "store",
            "fault",
            f"{store}: {error}",
            "choose another folder with store: or TENFOLD_STORE",
        )
        return
    yield Finding("store", "ok", str(store))
    if mode == "wal":
        yield Finding("ledger", "ok", "SQLite in WAL mode")
    else:
        fix = "keep the store on a local disk, or give ledger: a postgresql:// URL"
        yield Finding("ledger", "fault", f"WAL mode is refused here (it stays {mode})", fix)
    free = shutil.disk_usage(folder).free
    state = "ok" if free >= PLENTY_BYTES else "warning" if free >= LITTLE_BYTES else "fault"
    fix = "" if state == "ok" else "tenfold gc, or a store on a larger disk"
    yield Finding("disk", state, f"{size(free)} free", fix)


def _journal_mode(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0])
    finally:
        connection.close()


def sqlite() -> Finding:
    seen = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info >= (3, 35):
        return Finding("sqlite", "ok", seen)
    return Finding("sqlite", "fault", seen, "needs 3.35 or newer: it comes with newer Pythons")


def free_port(host: str, port: int) -> Finding:
    what = f"port {port}"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            fix = "tenfold serve --port 0 takes any free one"
            return Finding(what, "warning", f"{host}: {error.strerror}", fix)
    return Finding(what, "ok", f"free on {host}")


def energy(powercap: Path = POWERCAP) -> Finding:
    """Measured where the counters of the processor may be read, else modelled from CPU time."""
    counters = sorted(powercap.glob("intel-rapl:*/energy_uj"))
    if any(os.access(counter, os.R_OK) for counter in counters):
        return Finding("energy", "ok", "measured (RAPL)")
    if counters:
        fix = f"to measure instead: sudo chmod a+r {counters[0]}"
        return Finding(
            "energy", "ok", "modelled from CPU time; RAPL is there but may not be read", fix
        )
    return Finding("energy", "ok", "modelled from CPU time (no RAPL on this machine)")


def browser() -> Finding:
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found:
        return Finding("browser", "ok", found)
    return Finding("browser", "ok", "no Chromium: only the console's own tests want it")
