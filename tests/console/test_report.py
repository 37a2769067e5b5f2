"""The report: one file, everything in it, nothing invented."""

from __future__ import annotations

import re

import pytest

from tenfold.console.report import render, write_report
from tenfold.errors import UnknownName
from tenfold.ledger.memory import MemoryLedger
from tenfold.queries import Queries


@pytest.fixture
def report(past, tmp_path):
    return write_report(past[2], "r-second", tmp_path / "made" / "report.html")


def test_it_stands_alone(report):
    html = report.read_text(encoding="utf-8")
    outside = re.findall(r'(?:src|href)="(?!#|data:)([^"]*)"|url\(([^)]*)\)|@import', html)
    assert outside == []
    assert "http" not in re.sub(r"http://www\.w3\.org/\S+", "", html)
    assert report.stat().st_size < 150_000


def test_it_tells_the_run_in_figures(past, report):
    html = report.read_text(encoding="utf-8")
    for row in past[2].summary("r-second"):
        assert row.label in html
    for text in ("10.8×", "48.6", "6.9 MB", "1.95 MB", "121 requests/s", "190 mJ", "± 40 %"):
        assert text in html, text
    for title in ("Bits per byte on held-out text", "Latency", "Where answers came from", "Checks",
                  "Energy of each step", "Loss while base learned", "Data", "Requests of rehearsal", "How the figures came about"):  # fmt: skip
        assert title in html, title
    assert "near_duplicate" in html
    assert "PSF-2.0" in html
    assert "cpu-time-model" in html


def test_what_was_not_recorded_is_left_out(past):
    html = render(past[2], "r-third")
    assert "Requests per second" not in html, "its rehearsal failed"
    assert "Bits per byte on held-out text" in html, (
        "the facts of skipped steps are those of their keys"
    )
    assert "BackendError" not in html or "failed" in html
    assert "were not repeated" in html


def test_the_same_ledger_gives_the_same_bytes(past):
    assert render(past[2], "r-second") == render(past[2], "r-second")


def test_the_newest_run_is_taken_when_none_is_named(past):
    assert "r-third" in render(past[2])
    with pytest.raises(UnknownName, match="r-secnd"):
        render(past[2], "r-secnd")
    with pytest.raises(UnknownName, match="tenfold run"):
        render(Queries(MemoryLedger()))


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_from_a_disk_in_a_browser(report, browse, scheme):
    watched = browse(scheme, 1100)
    watched.page.goto(report.as_uri())
    assert watched.page.locator(".chart").count() > 10
    watched.page.locator(".line-chart").first.hover()
    assert "loss" in watched.page.locator(".tip").inner_text()
    assert watched.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert watched.complaints == []
    assert watched.outside(report.as_uri()) == []
