"""A server under test as a tree of processes on a core of its own: its CPU time, its memory, its end.

It knows Linux's `/proc` and nothing about HTTP.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import harness
from harness import Unavailable

USABLE = sorted(os.sched_getaffinity(0))
"""Cores this bench was given, before it pinned itself."""
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_LIBC = ctypes.CDLL(None)
_PDEATHSIG = 1
_CPU_CLOCK = 2
"""CPUCLOCK_SCHED of the kernel's clock ids: nanoseconds that a whole process has run."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where. With two cores, load and upstream share the one that the server does not have."""

    server: int
    load: int
    upstream: int


def cores() -> Cores:
    """Raises Unavailable on a machine with one core: load and server would measure each other."""
    if len(USABLE) < 2:
        raise Unavailable("there is one core; server and load need one each")
    return Cores(USABLE[0], USABLE[1], USABLE[2] if len(USABLE) > 2 else USABLE[1])


@dataclass(slots=True)
class Server:
    """A running server and how to ask it."""

    name: str
    url: str
    """Without a path: `http://127.0.0.1:8000`."""
    model: str
    keys: Sequence[str]
    """Keys that it takes; the first is used where one is enough."""
    process: subprocess.Popen[bytes]
    patience_s: float = 10.0
    """How long it may take to end when it is told to; a peer has nothing to bring home."""
    settle_s: float = 0.0
    """How long after an answer it may still be working for it (events written in batches)."""
    on: str = ""
    """What is switched on, for the figure's method."""
    said: Path | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        return self.keys[0]

    def pids(self) -> list[int]:
        """Of the whole tree, the first process first."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    parent = int(_stat(int(entry.name))[1])
                    children.setdefault(parent, []).append(int(entry.name))
        tree = [self.process.pid]
        for pid in tree:
            tree += children.get(pid, ())
        return tree

    def cpu_s(self) -> float:
        """CPU seconds of the tree so far, of children that have ended too."""
        total = 0.0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += time.clock_gettime((~pid << 3) | _CPU_CLOCK)
                total += sum(map(int, _stat(pid)[13:15])) * _TICK_S
        return total

    def memory_mb(self) -> tuple[float, float]:
        """Resident and anonymous megabytes (10^6 bytes) of the largest process of the tree."""
        found = []
        for pid in self.pids():
            with contextlib.suppress(OSError):
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                kb = {
                    name: value.split()[0]
                    for name, _, value in (x.partition(":") for x in lines)
                    if value.split()
                }
                if "VmRSS" in kb:
                    found.append((int(kb["VmRSS"]) * 1024 / 1e6, int(kb["RssAnon"]) * 1024 / 1e6))
        return max(found)

    def rest(self, limit_s: float = 10.0) -> None:
        """Wait until it does nothing any more: requests whose client has left may still be under way."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            before_s = self.cpu_s()
            time.sleep(0.1)
            if self.cpu_s() - before_s < 0.01:
                return

    def alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: int) -> None:
        """To every process of the tree: stopped ones leave the core to whoever is measured."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self) -> None:
        """End the tree; what has not ended after its time is killed."""
        if self.alive():
            self.signal(signal.SIGCONT)
            tree = self.pids()
            self.process.terminate()
            try:
                self.process.wait(self.patience_s)
            except subprocess.TimeoutExpired:
                for pid in tree:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def last_words(self) -> str:
        """The end of what it wrote to its log."""
        if self.said is None or not self.said.exists():
            return ""
        return " ".join(self.said.read_text(errors="replace").split())[-600:]


def launch(
    command: Sequence[str | Path],
    folder: Path,
    *,
    core: int | None,
    environment: Mapping[str, str] | None = None,
    talks: bool = False,
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a program on one core, its output in a log in `folder`; with `talks`, stdin and stdout are pipes.

    Raises Unavailable when it cannot be started at all.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{Path(command[0]).name}.log"
    allowed = set(USABLE) if core is None else {core}
    with log.open("ab") as said:
        try:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talks else said,
                stderr=said,
                cwd=folder,
                env={**harness.environment(), **(environment or {})},
                preexec_fn=lambda: _begin(allowed),
            )
        except OSError as error:
            raise Unavailable(f"{command[0]} cannot be started: {error}") from None
    return process, log


def _begin(allowed: set[int]) -> None:
    """In the child: its cores, and SIGTERM when the bench is gone, even one that was killed."""
    os.sched_setaffinity(0, allowed)
    _LIBC.prctl(_PDEATHSIG, signal.SIGTERM)


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the name, state first."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
