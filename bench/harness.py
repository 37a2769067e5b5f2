"""The one shape of every bench: figures, arguments, the machine beside them, and where results are kept.

Knows how figures are written down and how a child process is measured, not what any bench measures.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tenfold.observe.machine import describe

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
PACKAGES = (
    "torch", "numpy", "tokenizers", "safetensors", "pydantic", "starlette", "uvicorn", "uvloop",
    "httptools", "msgspec", "orjson", "typer", "rich",
)  # fmt: skip
"""Whose versions stand beside the figures: what runs inside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number, and enough about it to be doubted."""

    value: float | None
    """None: it could not be measured here; `method` says why."""
    unit: str
    method: str
    """How it came about, in a sentence."""
    n: int = 1
    """How many measurements are behind it."""
    low: float | None = None
    """The smallest of them."""
    high: float | None = None
    """The largest of them."""
    peer: str | None = None
    """Who was measured beside it in the same run, where it compares."""


class Unavailable(Exception):
    """What a part needs is not here (a peer, a program, a feature). Its figure becomes null with this reason."""


def spread(
    values: Sequence[float],
    unit: str,
    method: str,
    *,
    take: Callable[[Sequence[float]], float] = statistics.median,
    peer: str | None = None,
) -> Figure:
    """A figure of repeated measurements: their median (or what `take` makes of them) with both extremes."""
    return Figure(
        value=take(values), unit=unit, method=method, n=len(values),
        low=min(values), high=max(values), peer=peer,
    )  # fmt: skip


Figures = Iterator[tuple[str, Figure]]
Measure = Callable[[bool], Figures]
"""Takes whether to be quick, gives named figures as they are ready."""


def main(
    name: str,
    about: str,
    measures: Mapping[str, Measure],
    *,
    appendix: Callable[[Mapping[str, Figure]], str] | None = None,
) -> int:
    """Measure, print, and keep the result of a full run. Returns an exit code.

    A part that breaks is reported and the others go on, but then nothing is written under results: what
    is there is always one whole run on one machine. A part that raises Unavailable gives a figure of its
    own name without a value. `appendix` makes more Markdown of the figures, for tables that read better.
    """
    told = _arguments(about, measures)
    machine = {**describe().to_json(), "load_1m": _load()}
    started_s = time.perf_counter()
    figures: dict[str, Figure] = {}
    broken = []
    for part in told.only or measures:
        _say(f"{part} ...")
        try:
            for key, figure in measures[part](told.quick):
                figures[key] = figure
                _say(f"  {key:32} {line(figure)}")
        except Unavailable as reason:
            figures[part] = Figure(value=None, unit="", method=f"not measured: {reason}")
            _say(f"  {part:32} not measured: {reason}")
        except Exception:
            broken.append(part)
            traceback.print_exc()
    _say(f"{time.perf_counter() - started_s:.0f} s" + f", broken: {broken}" * bool(broken))
    result = {
        "name": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "versions": versions(),
        "figures": {key: asdict(figure) for key, figure in figures.items()},
    }
    if not (told.quick or told.only or broken):
        write(result, more=appendix(figures) if appendix else "")
    if told.json:
        print(json.dumps(result), flush=True)
    return 1 if broken else 0


def write(result: Mapping[str, Any], folder: Path = RESULTS, more: str = "") -> None:
    """`NAME.json` as it was measured, and `NAME.md` for reading, which ends with `more`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{result['name']}.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / f"{result['name']}.md").write_text(table(result) + more)


def table(result: Mapping[str, Any]) -> str:
    """The result as Markdown: when and where, each figure, then how each came about."""
    machine = result["machine"]
    figures = {key: Figure(**plain) for key, plain in result["figures"].items()}
    lines = [
        f"# {result['name']}",
        "",
        f"{result['date']}, commit {result['versions']['tenfold']}. {machine['cpu']}, "
        f"{machine['num_cores']} cores, {machine['memory_bytes'] / 2**30:.0f} GiB, {machine['os']}, "
        f"Python {machine['python']}; load before the start: {machine['load_1m']}.",
        "",
        "| figure | value | lowest to highest | n | beside |",
        "|---|--:|--:|--:|---|",
    ]
    for key, figure in figures.items():
        lines.append(
            f"| `{key}` | {_worth(figure)} | {_range(figure)} | {figure.n} | {figure.peer or ''} |"
        )
    lines += ["", "How each was measured:", ""]
    lines += [f"- `{key}`: {figure.method}." for key, figure in figures.items()]
    others = [f"{name} {version}" for name, version in result["versions"].items()]
    return "\n".join([*lines, "", ", ".join(others) + ".", ""])


def line(figure: Figure) -> str:
    """A figure on one line of a terminal."""
    found = f" ({_range(figure)}, n={figure.n})" if figure.low is not None else ""
    return f"{_worth(figure)}{found}"


def number(value: float) -> str:
    """Four significant digits at most, and no exponents where one can do without."""
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def versions() -> dict[str, str]:
    """Of tenfold (its commit), Python and the packages inside the figures; absent ones are left out."""
    found = {"tenfold": _commit(), "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, str]:
    """For child processes: this one's, without the settings that would send them to another store."""
    return {key: value for key, value in os.environ.items() if not key.startswith("TENFOLD_")}


@dataclass(frozen=True, slots=True)
class Ended:
    """A child process that has ended well."""

    stdout: str
    wall_s: float
    cpu_s: float
    """User and system, of the child and of those it waited for."""


def child(*arguments: str | Path, good: Sequence[int] = (0,)) -> Ended:
    """Run this interpreter with `arguments` to its end. Raises RuntimeError with what it said."""
    command = [sys.executable, *map(str, arguments)]
    started_s = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=environment(), text=True,
    )  # fmt: skip
    # Read to the end of both pipes first, then reap by hand: only wait4 tells this child's own usage.
    stdout, stderr = _drain(process)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started_s
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in good:
        raise RuntimeError(
            f"{' '.join(command)} ended with {process.returncode}:\n{stdout[-2000:]}{stderr[-4000:]}"
        )
    return Ended(stdout, wall_s, usage.ru_utime + usage.ru_stime)


def _drain(process: subprocess.Popen[str]) -> tuple[str, str]:
    said: list[str] = []
    assert process.stdout is not None
    assert process.stderr is not None
    errors = process.stderr
    reader = threading.Thread(target=lambda: said.append(errors.read()))
    reader.start()
    stdout = process.stdout.read()
    reader.join()
    process.stdout.close()
    process.stderr.close()
    return stdout, said[0] if said else ""


def _arguments(about: str, measures: Mapping[str, Measure]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="under 50 s; nothing is written")
    parser.add_argument("--json", action="store_true", help="one object as the last line of stdout")
    parser.add_argument(
        "--only", action="append", metavar="PART,...", default=[],
        help=f"some of {', '.join(measures)}; nothing is written",
    )  # fmt: skip
    told = parser.parse_args()
    told.only = [part for parts in told.only for part in parts.split(",")]
    for part in told.only:
        if part not in measures:
            parser.error(f"no part {part!r}: there are {', '.join(measures)}")
    return told


def _worth(figure: Figure) -> str:
    return "none" if figure.value is None else f"{number(figure.value)} {figure.unit}".rstrip()


def _range(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return ""
    return f"{number(figure.low)} to {number(figure.high)}"


def _commit() -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "bench", "examples")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if changed else "")


def _load() -> float:
    return round(os.getloadavg()[0], 2)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
