from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tenfold.cli.main import main

STEPS = '''\
import time
from pathlib import Path

import tenfold


def look(config, directory):
    return Path(directory, config["file"]).read_text()


@tenfold.step(version="1", observe=look)
def numbers(ctx: tenfold.Context, *, file: str) -> tenfold.Table:
    """Read whole numbers."""
    text = Path(ctx.scratch["directory"], file).read_text()
    for step in range(20):
        ctx.metric("loss", 5 / (step + 1), step=step, unit="nats")
    rows = [{"n": int(word)} for word in text.split()]
    return tenfold.Table.write(rows, draft=ctx.draft("table"))


@tenfold.step(version="1")
def times(
    table: tenfold.Table, ctx: tenfold.Context, *, by: int = 2, wait_s: float = 0.0, fail: bool = False
) -> tenfold.Table:
    """Multiply."""
    for index in range(20):
        ctx.progress(index, 20, f"part [{index}]")
        time.sleep(wait_s / 20)
    if fail:
        raise RuntimeError("boom [at last]")
    rows = [{"n": row["n"] * by} for row in table.rows()]
    ctx.metric("total", sum(row["n"] for row in rows))
    return tenfold.Table.write(rows, draft=ctx.draft("table"))
'''
FACTORY = """\
factory: numbers
assets:
  numbers: {step: "my_steps:numbers", config: {file: n.txt}}
  doubled:
    step: my_steps:times
    needs: [numbers]
    checks: [{metric: total, min: 4}]
  tripled: {step: "my_steps:times", needs: [doubled], config: {by: 3}}
release:
  - {alias: table@live, asset: tripled, requires: [doubled]}
watch:
  - {new_data_for: numbers, rebuild: [tripled]}
"""


@dataclass
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout: anything before or after it is a failure."""
        return json.loads(self.out)


@pytest.fixture
def tenfold(capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """`tenfold("plan --json")`: the command in this process, as the entry point runs it."""

    def run(line: str, *more: str) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([*line.split(), *more])
        said = capsys.readouterr()
        return Done(ended.value.code or 0, said.out, said.err)

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small factory with steps of its own, as the working directory."""
    (tmp_path / "my_steps.py").write_text(STEPS)
    (tmp_path / "factory.yaml").write_text(FACTORY)
    (tmp_path / "n.txt").write_text("1 2 3")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENFOLD_STORE", raising=False)
    monkeypatch.delenv("TENFOLD_LEDGER", raising=False)
    return tmp_path


@pytest.fixture
def command() -> list[str]:
    """The command in a process of its own."""
    return [sys.executable, "-c", "from tenfold.cli.main import main; main()"]


@pytest.fixture
def start(command: list[str]) -> Callable[..., subprocess.Popen[str]]:
    def popen(*words: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen([*command, *words], text=True, **options)

    return popen
