"""The labelling page in real Chromium over a real factory: keyboard, payloads, several people, what goes wrong."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser


def begin(watched, desk, queue, name):
    page = watched.page
    page.goto(f"{desk.url}/label/{queue}")
    page.fill("#name", name)
    page.keyboard.press("Enter")
    page.wait_for_selector("#desk .choices")
    return page


def rank(page):
    return page.locator("#desk h2").inner_text()


def after(page, act):
    """What `act` leads to, once it is there."""
    before = rank(page)
    act()
    page.wait_for_function(
        "was => document.querySelector('#desk h2').textContent !== was", arg=before
    )
    return rank(page)


def test_everything_by_keyboard(desk, browse):
    watched = browse()
    page = begin(watched, desk, "texts", "Ann Müller")
    page.wait_for_selector('#live[data-state="live"]')
    assert rank(page) == "Record 1"
    assert after(page, lambda: page.keyboard.press("2")) == "Record 2"
    assert after(page, lambda: page.keyboard.press("p")) == "Record 3"
    assert after(page, lambda: page.keyboard.press("Space")) == "Record 4"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert after(page, lambda: page.keyboard.press("Enter")) == "Record 5"
    assert after(page, lambda: page.keyboard.press("u")) == "Record 4"
    assert after(page, lambda: page.keyboard.press("S")) == "Record 5"
    said = desk.said("texts")
    assert [(e.action, e.label) for e in said] == [
        ("label", desk.choices[1]), ("label", desk.choices[2]), ("skip", ""), ("label", desk.choices[0]),
        ("undo", ""), ("label", desk.choices[0]),
    ]  # fmt: skip
    queue = desk.labelling.queue("texts")
    assert [e.record for e in said] == [queue.order[n] for n in (0, 1, 2, 3, 3, 3)]
    assert {e.annotator for e in said} == {"Ann Müller"}
    assert all(0 < e.seconds < 60 for e in said if e.action == "label")
    page.locator(".region-progress", has_text="of 16 wanted").wait_for()
    page.locator(".region-progress .tile", has_text="Labels").get_by_text(
        "3", exact=True
    ).wait_for()
    assert watched.complaints == []
    assert watched.outside(desk.url.removesuffix("/console")) == []
    assert not [url for url in watched.requests if "Ann" in url or "ller" in url]
    page.reload()
    page.wait_for_selector("#desk .choices")
    assert rank(page) == "Record 5", "the name is kept, and so is the place"


def test_nothing_in_a_record_a_choice_or_a_name_runs(desk, browse):
    watched = browse()
    page = begin(watched, desk, "pairs", "<b>Mallory</b>")
    seen = []
    for _ in range(16):
        seen.append(page.locator("#desk .shown").inner_text())
        if seen[-1] == desk.hostile:
            break
        after(page, lambda: page.keyboard.press("2"))
    assert seen[-1] == desk.hostile
    page.keyboard.press("2")
    page.locator(".region-progress", has_text="<b>Mallory</b>").wait_for()
    assert page.locator("#me").inner_text() == "<b>Mallory</b>"
    assert desk.choices[1] in page.locator("#desk .choices").inner_text()
    assert page.evaluate("window.broken") is None
    assert (
        page.locator("#desk script, #desk .shown img, #main b b, .region-progress b").count() == 0
    )
    assert watched.complaints == []


def test_images_and_rows(desk, browse):
    watched = browse()
    page = begin(watched, desk, "signs", "ann")
    shown = page.locator("#desk img.shown")
    page.wait_for_function("() => document.querySelector('#desk img.shown').naturalWidth === 80")
    assert shown.get_attribute("alt")
    page = begin(watched, desk, "rows", "ann") if page.locator("#who").is_visible() else page
    page.goto(f"{desk.url}/label/rows")
    page.wait_for_selector("#desk .choices")
    both = page.locator("#desk dl").inner_text()
    after(page, lambda: page.keyboard.press("1"))
    both += page.locator("#desk dl").inner_text()
    assert "Ada" in both
    assert "window.broken" in both
    after(page, lambda: page.keyboard.press("1"))
    assert rank(page) == "Nothing left for you"
    assert after(page, lambda: page.keyboard.press("u")).startswith("Record")
    assert page.evaluate("window.broken") is None
    assert watched.complaints == []


def test_a_killed_browser_loses_the_record_at_hand_at_most(desk, browse):
    page = begin(browse(), desk, "crowd", "killed")
    for _ in range(3):
        after(page, lambda: page.keyboard.press("1"))
    at_hand = rank(page)
    with pytest.raises(Exception, match="crash"):
        page.goto("chrome://crash")  # the process of the page dies, with no farewell
    assert len(desk.said("crowd")) == 3
    other = begin(browse(), desk, "crowd", "quick")
    assert rank(other) != at_hand, "it is still hers for a while"
    again = begin(browse(), desk, "crowd", "killed")
    assert rank(again) == at_hand


def test_what_cannot_be_saved_stays_until_it_can(desk, browse):
    watched = browse()
    page = begin(watched, desk, "crowd", "offline")
    shown, said = rank(page), len(desk.said("crowd"))
    page.context.set_offline(True)
    page.keyboard.press("1")
    page.locator("#fault", has_text="Not saved").wait_for()
    assert rank(page) == shown
    page.context.set_offline(False)
    after(page, lambda: page.keyboard.press("1"))
    assert page.locator("#fault").is_hidden()
    assert len(desk.said("crowd")) == said + 1


def test_several_at_once_and_their_agreement(desk, browse):
    one, two, three = (begin(browse(), desk, "pairs", who) for who in ("ann", "bo", "cy"))
    # Records that <b>Mallory</b> labelled want one more, the others two.
    shown = [rank(one), rank(two), rank(three)]
    assert len(set(shown)) >= 2
    for _ in range(4):
        for page in (one, two):
            if "left" not in rank(page):
                after(page, lambda page=page: page.keyboard.press("2"))
    one.locator(".region-progress", has_text="Equal pairs").wait_for()
    one.wait_for_function(
        "() => [...document.querySelectorAll('.tile')].some(t => /Equal pairs/.test(t.textContent) && /%/.test(t.textContent))"
    )
    stands = {}
    for event in desk.said("pairs"):
        stands.setdefault(event.record, set()).add(event.annotator)
    assert max(len(who) for who in stands.values()) == 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
def test_it_is_readable_and_fits(desk, browse, looks, scheme, width):
    unlabelled, contrast, overflow = looks
    watched = browse(scheme, width)
    for path in ("/label", "/label/signs"):
        watched.page.goto(desk.url + path)
        if path != "/label":
            begin(watched, desk, "signs", f"{scheme}{width}")
        watched.page.wait_for_selector('#live[data-state="live"]')
        for script in (unlabelled, contrast):
            assert watched.page.evaluate(script) == []
        assert watched.page.evaluate(overflow) <= 0
    assert watched.complaints == []


def test_who_comes_too_late_is_told_and_goes_on(desk, browse, monkeypatch):
    page = begin(browse(), desk, "crowd", "slow")
    shown = rank(page)
    record = desk.labelling.queue("crowd").order[int(shown.split()[1]) - 1]
    away = desk.labelling._now
    monkeypatch.setattr(desk.labelling, "_now", lambda: away() + 600)
    while (item := desk.labelling.next("crowd", "fast")).record != record:
        desk.labelling.decide("crowd", item.record, "fast", None, 1.0)
    desk.labelling.decide("crowd", record, "fast", desk.choices[0], 1.0)
    after(page, lambda: page.keyboard.press("1"))
    assert "somebody else" in page.locator("#fault").inner_text()
    stands = [e for e in desk.said("crowd") if e.record == record and e.action == "label"]
    assert [e.annotator for e in stands] == ["fast"]
