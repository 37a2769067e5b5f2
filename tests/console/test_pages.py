"""Every page: reachable, light, escaped, and helpful when there is nothing to show."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace
from html.parser import HTMLParser

import httpx
import pytest
from starlette.testclient import TestClient

from tenfold.console.app import make_app
from tenfold.console.guard import LOOPBACK_HOSTS
from tenfold.console.pages import static_files
from tenfold.core.facts import AliasMove, Event, RequestEvent, Run, RunStep, Verdict
from tenfold.ledger.memory import MemoryLedger
from tenfold.queries import Queries

PAGES = ("/", "/factory", "/factory?asset=base", "/runs", "/runs/r-second", "/runs/latest", "/models",
         "/traffic", "/traffic?window=7d&source=r-second/rehearsal", "/assets/small", "/assets/model@champion")  # fmt: skip


class Page(HTMLParser):
    """What a page links, loads and labels."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.ids: list[str] = []
        self.inline: list[str] = []
        self.unlabelled: list[str] = []
        self.headings: list[int] = []
        self.feed(html)

    def handle_starttag(self, tag, pairs):
        attributes = dict(pairs)
        if tag == "a" and attributes.get("href"):
            self.links.add(attributes["href"])
        if tag in ("script", "img") and attributes.get("src"):
            self.loads.add(attributes["src"])
        if tag in ("link", "use"):
            self.loads.add(attributes["href"])
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if "style" in attributes or tag == "style" or (tag == "script" and "src" not in attributes):
            self.inline.append(tag)
        self.inline += [name for name in attributes if name.startswith("on")]
        if tag == "svg" and not (attributes.get("aria-label") or "aria-hidden" in attributes):
            self.unlabelled.append(self.get_starttag_text())
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))


def client(queries, **options):
    return TestClient(
        make_app(queries, **options), base_url="http://localhost", client=("127.0.0.1", 1)
    )


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_light_and_has_nothing_inline(site, path):
    html = httpx.get(site.url + path).text
    page = Page(html)
    assert page.inline == []
    assert len(page.ids) == len(set(page.ids))
    assert page.unlabelled == []
    assert page.headings[0] == 1
    assert all(b - a <= 1 for a, b in zip(page.headings, page.headings[1:], strict=False))
    own = {load.split("?")[0].split("#")[0].rsplit("/", 1)[-1] for load in page.loads}
    weight = len(html.encode()) + sum(len(static_files()[name]) for name in own)
    assert weight < 150_000, f"{path} weighs {weight} bytes"


def test_every_link_leads_somewhere(site):
    seen: set[str] = set()
    waiting = deque([f"{site.url}/"])
    with httpx.Client() as web:
        while waiting:
            url = waiting.popleft()
            path = re.sub(r"/requests/.*", "/requests/", url)
            if path in seen:  # one request page stands for all
                continue
            seen.add(path)
            response = web.get(url)
            assert response.status_code == 200, url
            if response.headers["content-type"].startswith("text/html"):
                waiting += [str(response.url.join(link)) for link in Page(response.text).links]
    assert len(seen) > 30


HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'{{7*7}}"


@pytest.fixture
def hostile(history):
    """A ledger in which every free text is an attack."""
    ledger = MemoryLedger()
    written = history.write(ledger)
    run = Run(id=HOSTILE, factory=HOSTILE, status="failed", started_at_s=history.NOW_S, host=HOSTILE,
              targets=(HOSTILE,), error=HOSTILE)  # fmt: skip
    key = written.keys["r-second"]["small"]
    ledger.put(run)
    ledger.put(
        RunStep(run_id=HOSTILE, asset=HOSTILE, step=HOSTILE, status="failed", reason=HOSTILE,
                error=HOSTILE, started_at_s=history.NOW_S, key=key)
    )  # fmt: skip
    result = ledger.result(key)
    output = replace(
        result.output,
        meta={HOSTILE: HOSTILE},
        files={HOSTILE: next(iter(result.output.files.values()))},
    )
    ledger.commit(
        replace(
            result,
            asset=HOSTILE,
            factory=HOSTILE,
            step=HOSTILE,
            config={HOSTILE: HOSTILE},
            output=output,
        )
    )
    ledger.append([
        Event(run_id=HOSTILE, asset=HOSTILE, event=HOSTILE, fields={HOSTILE: HOSTILE}, level=HOSTILE),
        Verdict(key=key, run_id=HOSTILE, asset=HOSTILE, rule=HOSTILE, metric="m", value=1.0, state="red",
                reason=HOSTILE, at_s=0.0),
        RequestEvent(id=HOSTILE, at_s=history.NOW_S, tenant=HOSTILE, key_name=HOSTILE, endpoint=HOSTILE,
                     model=HOSTILE, model_digest=output.digest, backend=HOSTILE, tier=HOSTILE, status=500,
                     error=HOSTILE, source=HOSTILE, cached_from=written.responses[0]),
    ])  # fmt: skip
    ledger.move_alias(
        AliasMove(alias=HOSTILE, digest=output.digest, previous=None, asset=HOSTILE, key=key,
                  actor=HOSTILE, reason=HOSTILE, at_s=0.0), None,
    )  # fmt: skip
    yield Queries(ledger, now=lambda: history.NOW_S + 1)
    ledger.close()


def test_hostile_names_and_model_output_stay_text(hostile):
    from urllib.parse import quote

    name = quote(HOSTILE, safe="")
    with client(hostile) as web:
        for path in ("/", "/factory", f"/factory?asset={name}", "/runs", f"/runs/{name}", "/models",
                     "/traffic", f"/traffic?source={name}", f"/requests/{name}", f"/assets/{name}",
                     f"/assets/no{name}", f"/runs/no{name}"):  # fmt: skip
            response = web.get("/console" + path)
            assert response.status_code in (200, 404)
            page = Page(response.text)
            assert page.inline == [], path
            assert "<script>alert" not in response.text
            assert "<img" not in response.text
            assert not {load for load in page.loads if not load.startswith("/console/static/")}
            assert "alert(1)" in response.text or path in ("/factory", "/runs"), path


def test_the_report_of_a_hostile_run_stays_text_too(hostile):
    from tenfold.console.report import render

    html = render(hostile, HOSTILE)
    assert html.count("<script>") == 1, "only the report's own"
    assert "<img" not in html
    assert "alert(1)" in html


def test_a_command_stays_one_argument_when_it_is_pasted(hostile):
    import html
    import shlex

    with client(hostile) as web:
        text = web.get("/console/models").text
    commands = [html.unescape(found) for found in re.findall(r'data-copy="([^"]*)"', text)]
    rollback = next(c for c in commands if "rollback" in c)
    assert shlex.split(rollback) == ["tenfold", "rollback", HOSTILE]


def test_an_empty_factory_says_which_command_to_run():
    ledger = MemoryLedger()
    with client(Queries(ledger)) as web:
        for path, verb in (("/", "run"), ("/factory", "run"), ("/runs", "run"), ("/models", "demo"),
                           ("/traffic", "serve")):  # fmt: skip
            response = web.get("/console" + path)
            assert response.status_code == 200
            assert f"tenfold {verb}" in response.text
        assert web.get("/console/runs/latest").status_code == 404
        assert "tenfold run" in web.get("/console/runs/latest").text
    ledger.close()


def test_an_unknown_name_is_answered_with_the_nearest(past):
    with client(past[2]) as web:
        response = web.get("/console/assets/smal")
    assert response.status_code == 404
    assert "did you mean" in response.text
    assert "small" in response.text


def test_the_state_of_a_view_is_in_its_address(past):
    with client(past[2]) as web:
        everything = web.get("/console/traffic?window=7d").text
        rehearsal = web.get("/console/traffic?window=7d&source=r-second/rehearsal").text
        nonsense = web.get("/console/traffic?window=forever&source=nobody&prefix=x&parts=y")
        failed = web.get("/console/runs?status=failed").text
    assert "refused" in everything
    assert "cmpl-rehearsal" in rehearsal
    assert "refused" not in rehearsal
    assert nonsense.status_code == 200
    assert "r-third" in failed
    assert "r-second" not in failed


def test_pages_work_under_another_prefix_and_mounted_in_another_application(past):
    from starlette.applications import Starlette
    from starlette.routing import Mount

    console = make_app(
        past[2], prefix="/ops/console", allowed_hosts=[*LOOPBACK_HOSTS, "box.example"]
    )
    for app in (console, Starlette(routes=[Mount("/ops", app=console)])):
        with TestClient(app, base_url="http://box.example", client=("127.0.0.1", 1)) as web:
            response = web.get("/ops/console")
            assert response.status_code == 200
            links = Page(response.text).links
            assert all(link.startswith(("/ops/console", "#")) for link in links)
            assert web.get("/ops/console/models").status_code == 200


def test_static_files_are_kept_by_their_content(site):
    html = httpx.get(f"{site.url}/").text
    load = next(load for load in Page(html).loads if "console.css" in load)
    root = site.url.removesuffix("/console")
    kept = httpx.get(root + load)
    assert "immutable" in kept.headers["cache-control"]
    assert httpx.get(f"{site.url}/").headers["cache-control"] == "no-store"
