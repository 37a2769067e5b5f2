"""What `tenfold demo` does around a run: its folder, the report, the second time. The factory is a small one."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess

import pytest
from rich.console import Console

import tenfold.factory
from tenfold.cli.demo import summary_table
from tenfold.queries.summary import SummaryRow


@pytest.fixture
def demo(tenfold, folder, tmp_path, monkeypatch):
    """`demo()` runs the command with the small factory in the place of the laptop's."""
    monkeypatch.setattr("tenfold.factory.demo_factory_path", lambda: folder / "factory.yaml")
    home = tmp_path / "home"
    home.mkdir()
    for name in ("my_steps.py", "n.txt"):
        (home / name).write_text((folder / name).read_text())

    def run(*words: str):
        return tenfold("demo", str(home), *words)

    run.home = home
    return run


def test_the_first_time_and_the_second(demo):
    first = demo()
    assert first.code == 0, first.err
    for said in ("table@live", "this run", "report", "tenfold serve", "--set"):
        assert said in first.out
    report = demo.home / "report.html"
    page = report.read_text()
    assert "tripled" in page
    assert "http://" not in page.replace("http://www.w3.org/", "")  # self-contained
    before = report.stat().st_mtime_ns
    second = demo()
    assert second.code == 0
    assert "everything unchanged: 3 assets" in second.out
    assert report.stat().st_mtime_ns == before


def test_a_report_of_any_run(demo, tenfold, tmp_path):
    older = demo("--json").json["outcome"]["run"]["id"]
    newest = demo("--json").json["outcome"]["run"]["id"]
    target, home = tmp_path / "one.html", str(demo.home)
    for words, told in (((), newest), ((older,), older)):
        done = tenfold("report", *words, "-f", home, "-o", str(target), "--json")
        assert done.json["path"] == str(target)
        assert f"<code>{told}</code>" in target.read_text()
    assert tenfold("report", "nope", "-f", home, "-o", str(tmp_path / "x")).code == 2
    assert not (tmp_path / "x").exists()


def test_what_it_says_to_try_works_from_this_folder(demo, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.defpath)  # as after `make demo`: no tenfold there
    said = demo().out
    shown = re.search(r"try +(.* show .*)", said)
    assert shown is not None, said
    words = shlex.split(shown[1])
    assert words[-1] == "model@champion"
    done = subprocess.run([*words[:-1], "tripled"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tripled")


def test_the_summary_puts_what_was_compared_side_by_side():
    rows = [
        SummaryRow("data", "documents", 6485.0, "documents"),
        SummaryRow("compression", "size", 14_800_000.0, "B", "before"),
        SummaryRow("compression", "size", 4_400_000.0, "B", "after"),
    ]
    screen = Console(width=100, file=io.StringIO())
    screen.print(summary_table(rows))
    lines = [line.split() for line in screen.file.getvalue().splitlines()]
    assert ["compression", "before", "after", "change"] in lines
    assert ["size", "14.8", "MB", "4.4", "MB", "0.297×"] in lines


def test_a_folder_or_file_that_cannot_be_written_is_said(demo, tenfold, tmp_path):
    in_the_way = tmp_path / "a-file"
    in_the_way.write_text("mine")
    done = tenfold("demo", str(in_the_way))
    assert (done.code, "cannot write" in done.err) == (2, True)
    demo()
    done = tenfold("report", "-f", str(demo.home), "-o", str(in_the_way / "report.html"))
    assert (done.code, "cannot write the report" in done.err) == (2, True)
    assert in_the_way.read_text() == "mine"


def test_a_changed_file_is_kept(demo):
    demo()
    target = demo.home / "factory.yaml"
    target.write_text(target.read_text().replace("by: 3", "by: 4"))
    outcome = demo("--json").json["outcome"]
    assert [step["status"] for step in outcome["steps"]] == ["skipped", "skipped", "ran"]


def test_the_laptop_factory_comes_along():
    assert tenfold.factory.demo_factory_path().read_text().startswith("# yaml-language-server")
