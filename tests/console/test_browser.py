"""The console in real headless Chromium, in both schemes: no complaint, no outside request, alive."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tenfold.core.facts import Event, Metric, RunStep

pytestmark = pytest.mark.browser

PAGES = (
    "/",
    "/factory?asset=base",
    "/runs",
    "/runs/r-second",
    "/models",
    "/traffic",
    "/assets/small",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_in_both_schemes(site, browse, looks, scheme):
    unlabelled, contrast, overflow = looks
    wide, narrow = browse(scheme, 1440), browse(scheme, 800)
    origin = site.url.removesuffix("/console")
    paths = [*PAGES, f"/requests/{site.past.responses[-1]}"]
    for path in paths:
        wide.page.goto(site.url + path)
        wide.page.wait_for_selector('#live[data-state="live"]')
        assert wide.page.evaluate(unlabelled) == [], path
        assert wide.page.evaluate(contrast) == [], path
        narrow.page.goto(site.url + path)
        for watched in (wide, narrow):
            assert watched.page.evaluate(overflow) <= 0, f"{path} scrolls sideways"
    ground = wide.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(246, 246, 243)" if scheme == "light" else "rgb(15, 17, 21)")
    for watched in (wide, narrow):
        assert watched.complaints == []
        assert watched.outside(origin) == []


def test_a_training_run_draws_itself_without_reload(site, browse):
    watched = browse()
    page = watched.page
    page.goto(f"{site.url}/runs/r-live")
    page.wait_for_selector('#live[data-state="live"]')
    page.evaluate("window.stayed = true")
    before = page.locator(".region-curves .line").first.get_attribute("d")
    site.ledger.append(
        [
            Metric(key="k-live", run_id="r-live", asset="base", name="loss", value=2.345,
                   unit="nats/token", step=600 + extra)
            for extra in range(10)
        ]
    )  # fmt: skip
    site.ledger.append(
        [Event(run_id="r-live", asset="base", event="half-way <b>there</b>", at_s=site.now_s)]
    )
    page.locator(".log li", has_text="half-way <b>there</b>").wait_for()
    page.locator(".region-curves", has_text="2.345").wait_for()
    assert page.locator(".region-curves .line").first.get_attribute("d") != before
    step = site.ledger.read(RunStep, run_id="r-live", asset="base")[0]
    site.ledger.put(replace(step, done=0.87))
    page.locator(".region-steps", has_text="87 %").wait_for()
    assert page.evaluate("window.stayed") is True, "the page was not loaded again"
    loads = [url for url in watched.requests if "/runs/r-live" in url]
    assert len(loads) == 1
    assert watched.complaints == []


def test_focus_and_scroll_survive_an_update(site, browse):
    page = browse().page
    page.goto(f"{site.url}/runs/r-live")
    page.wait_for_selector('#live[data-state="live"]')
    page.locator(".region-steps a").first.focus()
    page.evaluate("scrollTo(0, 200)")
    step = site.ledger.read(RunStep, run_id="r-live", asset="base")[0]
    site.ledger.put(replace(step, done=0.93))
    page.locator(".region-steps", has_text="93 %").wait_for()
    assert page.evaluate("document.activeElement.closest('.region-steps') !== null")
    assert page.evaluate("scrollY") == 200


def test_the_keyboard_reaches_everything(site, browse):
    watched = browse()
    page = watched.page
    page.goto(f"{site.url}/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id || location.hash") in ("main", "#main")
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(e => e.getAttribute('aria-label') || e.textContent.trim())(document.activeElement)"
            )
        )
    assert {"small, fresh", "base, running", "All runs", "Copy: tenfold plan"} <= reached
    page.goto(f"{site.url}/factory")
    page.locator('.dag a[aria-label^="quality"]').focus()
    assert page.locator(".dag .edge.lit").count() == 2, "its two inputs light up"
    page.keyboard.press("Enter")
    page.wait_for_selector(".panel")
    assert "asset=quality" in page.url
    assert watched.complaints == []


def test_values_show_under_the_pointer_and_by_arrow_keys(site, browse):
    page = browse().page
    page.goto(f"{site.url}/runs/r-second")
    chart = page.locator(".line-chart").first
    chart.scroll_into_view_if_needed()
    chart.hover()
    tip = page.locator(".tip")
    assert "loss" in tip.inner_text()
    assert "step" in tip.inner_text()
    page.mouse.move(2, 2)
    tip.wait_for(state="hidden")
    chart.focus()
    page.keyboard.press("Home")
    assert "step 0" in tip.inner_text()
    page.keyboard.press("ArrowRight")
    assert "step 2" in tip.inner_text()
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_the_reader_chooses_the_scheme_and_it_is_kept(site, browse):
    page = browse("light").page
    page.goto(f"{site.url}/")
    button = page.locator("#theme")
    button.click()
    button.click()
    assert button.inner_text() == "Theme: dark"
    page.goto(f"{site.url}/runs")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 17, 21)"
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(246, 246, 243)"


def test_a_command_can_be_copied(site, browse):
    page = browse().page
    page.goto(f"{site.url}/")
    button = page.locator('[data-copy="tenfold plan"]')
    button.click()
    page.wait_for_selector('button:text-is("Copied"), button:text-is("Selected")')
