"""The factory floor: the demo by stage, the second run, skipping, crashes, the command line, the gateway.

`--quick` trains the demo for a few steps only and asks less of every measurement; each method says so.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from harness import (
    ROOT,
    Figure,
    bench,
    children_cpu_s,
    environment,
    of,
    process_cpu_s,
    python,
    say,
    stopwatch,
)
from tenfold import Context, Factory, step
from tenfold.core.facts import StepResult

_QUICK_DEMO = {
    "base": {"steps": 8, "depth": 2, "context": 64},
    "quality": {"max_tokens": 2000, "ngram_tokens": 50_000, "samples": 1},
    "compression": {"max_tokens": 1000, "prompts": 2, "rounds": 1},
    "leaks": {"samples": 8},
    "rehearsal": {"requests": 40, "distinct": 16},
}


def measure(quick: bool) -> dict[str, Figure]:
    with tempfile.TemporaryDirectory(prefix="tenfold-floor-") as name:
        folder = Path(name)
        return {
            **command_line(),
            "base_install_mb": installed_size() if quick else fresh_install(folder),
            **skipping(folder / "skip"),
            **crashing(folder / "crash"),
            **gateway(folder, rounds=5 if quick else 11, requests=200 if quick else 1000),
            **demo(folder / "demo", quick),
        }


# --- the command line ------------------------------------------------------------------------------------


def command_line() -> dict[str, Figure]:
    say("command line ...")
    spent_ms = []
    for _ in range(7):
        before_s = children_cpu_s()
        python("-m", "tenfold", "--help")
        spent_ms.append(1000 * (children_cpu_s() - before_s))
    bare_ms = []
    for _ in range(7):
        before_s = children_cpu_s()
        python("-c", "")
        bare_ms.append(1000 * (children_cpu_s() - before_s))

    def peak_mb(imports: str) -> float:
        # VmHWM, not getrusage: that one begins with what the parent had when it forked.
        code = f"{imports}; print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
        return int(python("-c", code).stdout) * 1024 / 1e6

    return {
        "help_cpu_ms": of(
            spent_ms,
            "ms",
            "user and system time of `tenfold --help`, interpreter included",
            take="min",
            peer={"name": "bare interpreter", "value": min(bare_ms)},
        ),
        "import_rss_mb": Figure(
            value=peak_mb("import tenfold.cli.main"),
            unit="MB",
            method="peak resident memory of a process that imports the command line",
            peer={"name": "bare interpreter", "value": peak_mb("pass")},
        ),
    }


# --- installation ----------------------------------------------------------------------------------------


def _base_requirements() -> list[str]:
    import tomllib

    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


def _own_mb() -> float:
    package = ROOT / "src" / "tenfold"
    return _size_mb(p for p in package.rglob("*") if "__pycache__" not in p.parts)


def _size_mb(paths: Iterator[Path]) -> float:
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


def fresh_install(folder: Path) -> Figure:
    """What `pip install tenfold` puts on a disk, without pip itself and without compiled bytecode."""
    say("a fresh installation ...")
    home = folder / "venv"
    venv.create(home, with_pip=True)
    pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile"]
    done = subprocess.run([*pip, *_base_requirements()], capture_output=True, text=True)
    if done.returncode != 0:
        return Figure(value=None, unit="MB", method="pip could not reach a package index")
    [packages] = home.glob("lib/python*/site-packages")
    own = ("pip", "setuptools", "_distutils_hack", "distutils-precedence.pth", "pkg_resources")
    mine = (
        path
        for top in packages.iterdir()
        if not top.name.startswith(own) and top.name != "__pycache__"
        for path in (top, *top.rglob("*"))
        if "__pycache__" not in path.parts
    )
    return Figure(
        value=_size_mb(mine) + _own_mb(),
        unit="MB",
        method="files that pip puts into a fresh environment for the base, and the package's own",
    )


def installed_size() -> Figure:
    """The same from what is installed here: every distribution the base needs, by its own file list."""
    from packaging.requirements import Requirement

    seen: dict[str, metadata.Distribution] = {}
    front = list(_base_requirements())
    while front:
        wanted = Requirement(front.pop())
        extras = wanted.extras or {""}
        if wanted.marker and not any(wanted.marker.evaluate({"extra": e}) for e in extras):
            continue
        if wanted.name.lower() in seen:
            continue
        found = metadata.distribution(wanted.name)
        seen[wanted.name.lower()] = found
        front += [
            need
            for need in found.requires or []
            if (marker := Requirement(need).marker) is None
            or any(marker.evaluate({"extra": extra}) for extra in extras)
        ]
    files = (
        Path(str(file.locate()))
        for distribution in seen.values()
        for file in distribution.files or []
        if "__pycache__" not in file.parts
    )
    return Figure(
        value=_size_mb(files) + _own_mb(),
        unit="MB",
        method=f"files of the {len(seen)} installed distributions the base needs, and the package's own"
        " (quick: not a fresh installation)",
    )


# --- skipping --------------------------------------------------------------------------------------------

_NUM_STEPS = 1000


def _thousand(folder: Path) -> Any:
    @step(version="1", name="bench.small")
    def small(*inputs: Any, ctx: Context, n: int = 0) -> dict[str, Any]:
        return {"n": n}

    factory = Factory("thousand", directory=folder)
    for n in range(_NUM_STEPS):  # chains of ten: a shape between a line and a fan
        needs = [f"a{n - 1}"] if n % 10 else []
        factory.add(small, name=f"a{n}", needs=needs, config={"n": n})
    return factory


def skipping(folder: Path) -> dict[str, Figure]:
    say("a thousand unchanged steps ...")
    folder.mkdir()
    with _thousand(folder) as factory, stopwatch() as built:
        assert factory.run().ok
    spent_ms = []
    for _ in range(9):
        with _thousand(folder) as factory:
            factory.graph, factory.ledger, factory.blobs  # noqa: B018  opening is not skipping
            with stopwatch() as run:
                outcome = factory.run()
            assert outcome.unchanged
            spent_ms.append(1000 * run())
    return {
        "skip_1000_ms": of(
            spent_ms,
            "ms",
            "plan and run of 1,000 unchanged steps in chains of ten, every file looked for, the run on"
            " record; SQLite and a local store, opened before",
        ),
        "build_1000_s": Figure(
            value=built(), unit="s", method="the same 1,000 steps made for the first time"
        ),
    }


# --- crashes ---------------------------------------------------------------------------------------------


def crashing(folder: Path, kills: int = 20) -> dict[str, Figure]:
    """Kill a working factory again and again; count what was started and not kept, past every ledger."""
    say(f"{kills} kills ...")
    folder.mkdir()
    log = folder / "side.log"
    log.touch()
    draw = random.Random(7)

    @step(version="1", name="bench.work")
    def work(*inputs: Any, ctx: Context, n: int = 0) -> dict[str, Any]:
        with log.open("a") as stream:
            stream.write(f"{ctx.asset} {n}\n")
        time.sleep(0.01)
        return {"n": n}

    def factory(n: int) -> Factory:
        made = Factory("crash", directory=folder)
        for position in range(8):
            needs = [f"a{position - 1}"] if position else []
            made.add(work, name=f"a{position}", needs=needs, config={"n": n})
        return made

    def forever() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one step at a time
        for n in itertools.count():
            with factory(n) as made:
                made.run()

    redone, kept = [], set()
    for _ in range(kills):
        before = len(log.read_text().splitlines())
        child = os.fork()
        if child == 0:
            try:
                forever()
            finally:
                os._exit(1)
        while len(log.read_text().splitlines()) == before:
            time.sleep(0.002)
        time.sleep(draw.uniform(0.0, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with factory(0) as made:
            results = made.ledger.read(StepResult)
        started = log.read_text().splitlines()[before:]
        again = sum(line in kept for line in started)
        kept = {f"{result.asset} {result.config['n']}" for result in results}
        redone.append(float(again + sum(line not in kept for line in started)))
    return {
        "crash_steps_redone": of(
            redone,
            "steps",
            f"steps to be made again after kill -9 at a random moment of a chain on one core, by the"
            f" steps' own log; {len(kept)} steps were kept",
            take="max",
        )
    }


# --- the gateway -----------------------------------------------------------------------------------------

_BODY = {
    "model": "instant",
    "messages": [{"role": "user", "content": "What is a generator in Python?"}],
    "temperature": 0,
    "max_tokens": 16,
}


class _Client:
    """One keep-alive connection that does as little as possible, so that the servers are what is timed."""

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, body: dict[str, Any]) -> float:
        """Seconds until the whole answer is there."""
        data = json.dumps(body).encode()
        request = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(data), data)
        )
        start_s = time.perf_counter()
        self._socket.sendall(request)
        answer = b""
        while (end := answer.find(b"\r\n\r\n")) < 0:
            answer += self._received()
        head = answer[:end].lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        while len(answer) < end + 4 + length:
            answer += self._received()
        spent_s = time.perf_counter() - start_s
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(answer.decode(errors="replace"))
        return spent_s

    def _received(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise RuntimeError("the server closed the connection")
        return data

    def close(self) -> None:
        self._socket.close()


@contextmanager
def _server(*arguments: str) -> Iterator[tuple[str, int]]:
    """URL and process id of a server from instant_server.py."""
    child = subprocess.Popen(
        [sys.executable, ROOT / "bench" / "instant_server.py", *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        url = child.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"{arguments} did not start")
        yield url, child.pid
    finally:
        child.terminate()
        child.wait(30)


def gateway(folder: Path, rounds: int, requests: int) -> dict[str, Figure]:
    say("gateway ...")
    number = itertools.count()

    def fresh() -> dict[str, Any]:
        content = f"{_BODY['messages'][0]['content']} {next(number)}"
        return {**_BODY, "messages": [{"role": "user", "content": content}]}

    def median_us(client: _Client) -> float:
        return 1e6 * statistics.median(client.ask(fresh()) for _ in range(requests))

    ledger = str(folder / "gateway.db")
    with (
        _server("backend") as (behind, _),
        _server("gateway", behind, ledger, "exact") as (url, pid),
    ):
        direct, through = _Client(behind), _Client(url)
        for client in (direct, through):
            for _ in range(200):
                client.ask(fresh())
        alone_us, overhead_us = [], []
        for _ in range(rounds):  # alternating, so that a noisy minute hits both
            alone_us.append(median_us(direct))
            overhead_us.append(median_us(through) - alone_us[-1])
        hits = requests * rounds
        through.ask(_BODY)
        before_s = process_cpu_s(pid)
        hit_us = [1e6 * through.ask(_BODY) for _ in range(hits)]
        cpu_us = 1e6 * (process_cpu_s(pid) - before_s) / hits
        for client in (direct, through):
            client.close()
    return {
        "gateway_overhead_us": of(
            overhead_us,
            "us",
            f"rounds of {requests} requests on one connection: median latency through the gateway (no"
            " answer from the cache, every request recorded) minus the median of the same backend asked"
            " directly",
            peer={"name": "backend alone", "value": statistics.median(alone_us)},
        ),
        "gateway_hit_us": Figure(
            value=statistics.median(hit_us),
            unit="us",
            n=hits,
            low=min(hit_us),
            high=max(hit_us),
            method=f"median latency of {hits} answers from the exact tier, one connection",
        ),
        "gateway_hit_cpu_us": Figure(
            value=cpu_us,
            unit="us",
            n=hits,
            method="CPU time of the gateway's process per answer from the exact tier, recording included",
        ),
    }


# --- the demo --------------------------------------------------------------------------------------------


def demo(folder: Path, quick: bool) -> dict[str, Figure]:
    say("the demo ...")
    sets = [
        f"assets.{asset}.config.{setting}={value}"
        for asset, settings in (_QUICK_DEMO if quick else {}).items()
        for setting, value in settings.items()
    ]
    options = [option for item in sets for option in ("--set", item)]
    shorter = (
        " (quick: a smaller model, trained for 8 steps, and shorter measurements)" if quick else ""
    )

    def run() -> tuple[float, dict[str, Any]]:
        with stopwatch() as watch:
            done = python("-m", "tenfold", "demo", str(folder), "--json", *options, check=False)
        lines = done.stdout.strip().splitlines()
        if not lines:
            raise RuntimeError(done.stderr)
        return watch(), json.loads(lines[-1])

    first_s, found = run()
    outcome = found.get("outcome")
    if outcome is None:
        raise RuntimeError(json.dumps(found))
    failed = [step["asset"] for step in outcome["steps"] if step["status"] != "ran"]
    refused = bool(outcome["refused"])
    what = "`tenfold demo` in an empty folder, the whole process" + shorter
    if failed:
        what += f"; NOT COMPLETE: {', '.join(failed)} did not run"
    elif refused:
        what += "; the release was refused" + (" (too little training)" if quick else "")
    figures = {"demo_s": Figure(value=None if failed else first_s, unit="s", method=what)}
    for row in outcome["steps"]:
        if row["status"] == "ran":
            figures[f"demo_s.{row['asset']}"] = Figure(
                value=row["finished_at_s"] - row["started_at_s"],
                unit="s",
                method="of it, this asset" + shorter,
            )
    seconds = []
    unchanged = True
    for _ in range(1 if quick else 5):
        second_s, again = run()
        unchanged = unchanged and again["outcome"]["unchanged"]
        seconds.append(second_s)
    note = "" if unchanged else "; NOT COMPLETE: something ran again"
    figures["second_run_s"] = of(
        seconds, "s", "`tenfold demo` again: everything unchanged, the whole process" + note
    )
    return figures


if __name__ == "__main__":
    bench("floor", __doc__ or "", measure)
