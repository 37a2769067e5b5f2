"""The shape every bench has: `--quick`, `--json`, figures with their method, results beside the script.

    figures = bench("floor", __doc__, measure)      # measure(quick) -> {key: Figure}

With `--json` the last line on standard output is one object; everything said on the way goes to standard
error. A full run writes `bench/results/NAME.json` and `.md`; a quick one writes nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
if importlib.util.find_spec("tenfold") is None:
    sys.path.insert(0, str(ROOT / "src"))  # from a checkout
_PACKAGES = (
    "tenfold",
    "torch",
    "tokenizers",
    "safetensors",
    "uvicorn",
    "uvloop",
    "pydantic",
    "typer",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number and how it came about."""

    value: float | None
    """None: it could not be measured here, and `method` says why."""
    unit: str
    n: int = 1
    """Measurements behind it."""
    low: float | None = None
    high: float | None = None
    """The smallest and the largest of them."""
    peer: Mapping[str, Any] | None = None
    """What it stands beside: `{"name", "value"}` in the same unit, from the same run."""
    method: str = ""


Measure = Callable[[bool], Mapping[str, Figure]]


def bench(name: str, about: str, measure: Measure) -> None:
    """Parse the arguments, measure, show, and keep what a full run found."""
    parser = argparse.ArgumentParser(description=about.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="under 50 s; says what it leaves out")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    told = parser.parse_args()
    figures = measure(told.quick)
    record = {
        "name": name,
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(),
        "versions": versions(),
        "quick": told.quick,
        "figures": {key: asdict(figure) for key, figure in figures.items()},
    }
    text = _table(record)
    say(text)
    if not told.quick:
        RESULTS.mkdir(parents=True, exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
        (RESULTS / f"{name}.md").write_text(f"# {about.partition(chr(10))[0]}\n\n{text}\n")
    if told.json:
        print(json.dumps(record), flush=True)


def of(
    values: Sequence[float], unit: str, method: str, *, take: str = "median", **more: Any
) -> Figure:
    """The figure of several measurements; `take` is `median`, `min` or `max`."""
    value = {"median": statistics.median, "min": min, "max": max}[take](values)
    return Figure(
        value=value,
        unit=unit,
        n=len(values),
        low=min(values),
        high=max(values),
        method=f"{take} of {len(values)}: {method}" if len(values) > 1 else method,
        **more,
    )


def say(*words: object) -> None:
    """To whoever watches; never to standard output, whose last line belongs to `--json`."""
    print(*words, file=sys.stderr, flush=True)


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run this interpreter with the package on its path; raises when it fails."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        **{"check": True, **options},
    )


def environment() -> dict[str, str]:
    """The environment of a child: ours, with the sources in front when the package is not installed."""
    paths = [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Seconds of the wall clock; asked after the block, it has stopped."""
    start_s = time.perf_counter()
    end_s: list[float] = []
    yield lambda: (end_s[0] if end_s else time.perf_counter()) - start_s
    end_s.append(time.perf_counter())


def children_cpu_s() -> float:
    """User and system time of every child that has ended so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def process_cpu_s(pid: int) -> float:
    """User and system time of a living process (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = named[0] if named else model
    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "cpu": model or platform.machine(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {platform.release()}",
        "load_1m": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    if "tenfold" not in found:  # from the sources
        import tenfold

        found["tenfold"] = tenfold.__version__
    return found


def _table(record: Mapping[str, Any]) -> str:
    place = record["machine"]
    lines = [
        f"{record['date']}, {place['cores']} cores of {place['cpu']}"
        f" (load {place['load_1m']} when it ended), Python {record['versions']['python']}"
        + (", quick" if record["quick"] else ""),
        "",
        "| figure | value | unit | n | low | high | method |",
        "|---|---:|---|---:|---:|---:|---|",
    ]
    for key, figure in record["figures"].items():
        numbers = [_number(figure[name]) for name in ("value", "low", "high")]
        peer = figure["peer"]
        beside = f"; {peer['name']}: {_number(peer['value'])}" if peer else ""
        lines.append(
            f"| `{key}` | {numbers[0]} | {figure['unit']} | {figure['n']} | {numbers[1]} |"
            f" {numbers[2]} | {figure['method']}{beside} |"
        )
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
