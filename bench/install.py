"""How much disk the base of tenfold takes: the package and what it cannot do without, no model maths.

A full run installs it, as a user would, into an environment made for it. A quick one adds up the files of
what is already installed here.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import harness
from harness import Figure, Figures

TOOLS = ("pip", "setuptools", "wheel", "_distutils_hack", "distutils-precedence.pth")
"""What an empty environment may bring; not ours."""
_LIST = (
    "import importlib.metadata as m, json, sysconfig;"
    "print(sysconfig.get_path('purelib')); print(sum(1 for _ in m.distributions()))"
)


def measure(quick: bool) -> Figures:
    num_bytes, num_distributions, how = _closure() if quick else _installed()
    yield "base_install_mb", Figure(value=num_bytes / 1e6, unit="MB", method=how)
    yield "base_install_distributions", Figure(
        value=num_distributions, unit="distributions", method="tenfold itself among them"
    )  # fmt: skip


def _installed() -> tuple[int, int, str]:
    environment = {k: v for k, v in harness.environment().items() if k != "PYTHONPATH"}

    def run(*command: str | Path) -> str:
        done = subprocess.run(
            list(map(str, command)), env=environment, cwd=folder, capture_output=True, text=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.stdout[-1000:]}{done.stderr[-3000:]}")
        return done.stdout

    with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as folder:
        home = Path(folder) / "venv"
        run(sys.executable, "-m", "venv", home)
        python = home / "bin" / "python"
        tools = int(run(python, "-c", _LIST).split()[-1])
        run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", harness.ROOT)
        site, found = run(python, "-c", _LIST).split()
        num_bytes = sum(
            _bytes_below(entry)
            for entry in Path(site).iterdir()
            if entry.name.partition("-")[0] not in TOOLS
        )
        how = (
            "site-packages after `pip install` of this repository's wheel with its base dependencies "
            "into a fresh environment, bytecode included, pip and setuptools not; MB of 10^6 bytes"
        )
        return num_bytes, int(found) - tools, how


def _bytes_below(path: Path) -> int:
    if not path.is_dir():
        return path.stat().st_size
    return sum(
        os.lstat(os.path.join(folder, file)).st_size
        for folder, _, files in os.walk(path)
        for file in files
    )


def _closure() -> tuple[int, int, str]:
    project = tomllib.loads((harness.ROOT / "pyproject.toml").read_text())["project"]
    found = _distributions(map(Requirement, project["dependencies"]))
    num_bytes = _bytes_below(harness.ROOT / "src" / "tenfold")
    for distribution in found:
        files = {Path(str(distribution.locate_file(file))) for file in distribution.files or ()}
        num_bytes += sum(path.stat().st_size for path in files if path.is_file())
    how = (
        "NOT a fresh install: files of the base requirements as they are installed here, bytecode "
        "where the installer wrote it, plus src/tenfold; MB of 10^6 bytes"
    )
    return num_bytes, len(found) + 1, how


def _distributions(wanted: Iterable[Requirement]) -> list[importlib.metadata.Distribution]:
    """What the requirements come down to in this environment, each distribution once."""
    found: dict[str, importlib.metadata.Distribution] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(requirement, "") for requirement in wanted]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for of in ("", *sorted(requirement.extras)):
            if (name, of) in seen:
                continue
            seen.add((name, of))
            distribution = found.setdefault(name, importlib.metadata.distribution(name))
            waiting += [(Requirement(text), of) for text in distribution.requires or ()]
    return list(found.values())
