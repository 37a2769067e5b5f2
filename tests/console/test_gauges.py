"""Gauges in a factory file: checks judge them, the page shows them, the console has the main ones on a snapshot."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from tenfold.console.app import make_app
from tenfold.console.report.examples import shown
from tenfold.console.report.gauges import render_gauges, write_gauges
from tenfold.errors import ConfigError, UsageError
from tenfold.factory.factory import Factory

FACTORY = """
factory: gauged
assets:
  records:
    step: data.ingest
    config:
      sources:
        - {kind: csv, path: people.csv, licence: CC0-1.0, name: "<b>people</b>", half_life_days: 30}
        - {kind: csv, path: more.csv, licence: MIT, name: more}
  target:
    step: data.ingest
    config: {sources: [{kind: csv, path: more.csv, licence: MIT, name: more}]}
  measured:
    step: data.measure
    needs: [records, target]
    config: {as_of: 2026-11-21, block: 20, classes: {row.kind: [a, b, never]}}
    checks:
      - {metric: diversity.source_entropy, min: 0.5}
      - {metric: pii.record_share.high, max: 0.005}
      - {metric: coverage.row.kind.missing, max: 0}
      - {metric: no.such.gauge, min: 0}
  changed:
    step: data.diff
    needs: [target, records]
    config: {as_of: 2026-11-21, block: 20}
    checks: [{metric: beyond_noise, max: 0}]
"""


@pytest.fixture(scope="module")
def factory(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gauged")
    (folder / "factory.yaml").write_text(FACTORY)
    rows = [f'{n},{"ab"[n % 2]},"<script>alert({n})</script>"' for n in range(200)]
    rows[7] = '7,a,"mail anna.example@example.com, please"'
    (folder / "people.csv").write_text("number,kind,note\n" + "\n".join(rows) + "\n1,2,3,4,5\n")
    more = [f"{n},a,quiet words" for n in range(100)]
    (folder / "more.csv").write_text("number,kind,note\n" + "\n".join(more) + "\n")
    with Factory.load(folder) as made:
        made.run()
        yield made


def page(factory, name):
    return render_gauges(factory.queries, factory.asset, name)


def test_checks_judge_gauges_and_their_bounds(factory):
    states = {v.rule: v.state for v in factory.queries.asset("measured").verdicts}
    assert states["diversity.source_entropy >= 0.5"] == "green"
    assert states["pii.record_share.high <= 0.005"] == "red", "one of 300 may well be two of them"
    assert states["coverage.row.kind.missing <= 0"] == "red"
    assert states["no.such.gauge >= 0"] == "unknown"
    [verdict] = factory.queries.asset("changed").verdicts
    assert verdict.state == "red"


def test_a_page_stands_alone_and_escapes_what_records_say(factory, tmp_path):
    path = write_gauges(factory.queries, factory.asset, "measured", tmp_path / "deep" / "g.html")
    html = path.read_text(encoding="utf-8")
    outside = re.findall(r'(?:src|href)="(?!#|data:)([^"]*)"|url\(([^)]*)\)|@import', html)
    assert outside == []
    assert "http" not in re.sub(r"http://www\.w3\.org/\S+", "", html)
    assert "<b>people" not in html
    assert "&lt;b&gt;people" in html
    assert "<script>alert" not in html
    assert "anna.example" not in html
    for words in ("From what was met to what is kept", "Sources", "Relevance", "Classes of row.kind",
                  "Personal data", "Integration", "Some that were kept", "Some that were lost",
                  "How the figures came about", "What could not be gauged"):  # fmt: skip
        assert words in html, words
    assert "missing among the records looked at: never" in html
    assert "people.csv:" in html, "a kept example has its place"
    assert page(factory, "measured") == page(factory, "measured")


def test_a_page_of_two_says_what_is_beyond_noise(factory):
    html = page(factory, "changed")
    content = factory.asset("changed").content
    beyond = [each["name"] for each in content["figures"] if each["beyond_noise"]]
    assert "diversity.source_entropy" in beyond
    assert html.count("◇</span> yes") == len(beyond)
    assert "Shares of each source, before and after" in html


def test_a_report_holds_no_record(factory):
    for name in ("measured", "changed"):
        text = json.dumps(factory.asset(name).content)
        assert "alert" not in text
        assert "anna" not in text


def test_an_asset_of_another_kind_is_refused(factory):
    with pytest.raises(UsageError, match="no report of gauges"):
        page(factory, "records")


def test_the_console_has_the_main_gauges_on_the_snapshot(factory):
    client = TestClient(
        make_app(factory.queries), base_url="http://127.0.0.1", client=("127.0.0.1", 1)
    )
    html = client.get("/console/assets/records").text
    tiles = html[html.index('aria-label="Gauges"') :]
    assert "Source entropy" in tiles
    assert "Records with personal data" in tiles
    assert 'aria-label="Gauges"' not in client.get("/console/assets/measured").text


def test_examples_are_cut_after_redaction_not_before():
    text = "x " * 130 + "anna.example@example.com " + "y" * 400
    assert "anna" not in shown(text)
    assert "[EMAIL]" in shown(text)
    assert len(shown(text)) <= 280


def test_faulty_settings_and_the_days_that_make_a_report_stale():
    from tenfold.data.measure import measure, observe

    for wrong in ({"as_of": "someday"}, {"records": 3}, {"block": 1}, {"half_life_days": {"a": 0}},
                  {"threshold": 2}, {"by": "row"}):  # fmt: skip
        with pytest.raises(ConfigError):
            measure.configure(wrong)
    assert observe({}, ".") == {"today": datetime.now(UTC).date().isoformat()}
    assert observe({"as_of": "newest"}, ".") == {}
