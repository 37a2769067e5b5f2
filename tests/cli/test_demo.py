"""What `tenfold demo` does around a run: its folder, the report, the second time. The factory is a small one."""

from __future__ import annotations

import pytest

import tenfold.factory


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


def test_a_changed_file_is_kept(demo):
    demo()
    target = demo.home / "factory.yaml"
    target.write_text(target.read_text().replace("by: 3", "by: 4"))
    outcome = demo("--json").json["outcome"]
    assert [step["status"] for step in outcome["steps"]] == ["skipped", "skipped", "ran"]


def test_the_laptop_factory_comes_along():
    assert tenfold.factory.demo_factory_path().read_text().startswith("# yaml-language-server")
