"""The labelling page in real Chromium over a real factory: keyboard, payloads, several people, what goes wrong."""

from __future__ import annotations

import http.client
import io
import json
import re
import tarfile
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from PIL import Image

from tenfold import Factory
from tenfold.console.app import make_app
from tenfold.console.views.label import keys_of
from tenfold.core.facts import LabelEvent
from tenfold.data.label.log import from_lines
from tenfold.factory.labelling import Labelling

HOSTILE = "<script>window.broken = 1</script><img src=x onerror='window.broken = 2'> & \"quoted\""
CHOICES = ["spam", "salad <b>bold</b>", 'u"p']


@dataclass
class Desk:
    url: str
    factory: Factory
    labelling: Labelling

    def said(self, queue: str) -> list[LabelEvent]:
        return self.factory.ledger.read(LabelEvent, queue=queue)

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)
        sent = {"origin": f"http://{parts.netloc}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            connection.request(
                "POST", parts.path + path, data, {k: v for k, v in sent.items() if v}
            )
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        return response.status, json.loads(text) if text.startswith("{") else {"error": text}


def picture(number: int) -> bytes:
    image = Image.new("RGB", (80, 80), (20 * number, 90, 200 - 20 * number))
    image.paste((255, 255, 255), (0, 0, 8 + 9 * number, 30))
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def desk(tmp_path_factory, served):
    """Four queues: texts, texts for two, images, rows."""
    folder = tmp_path_factory.mktemp("desk")
    texts = [HOSTILE, *(f"{word} is text {n}" for n, word in enumerate("abcdefghijklmno"))]
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    (folder / "people.csv").write_text(
        f'name,note\nAda,"{HOSTILE.replace(chr(34), chr(39))}"\nBo,\n'
    )
    with tarfile.open(folder / "signs.tar", "w") as archive:
        for number in range(6):
            info = tarfile.TarInfo(f"{number}.png")
            info.size = len(picture(number))
            archive.addfile(info, io.BytesIO(picture(number)))
    factory = Factory("f", store=str(folder / "store"), directory=folder)
    for name, kind, path, overlap in (
        ("texts", "jsonl", "texts.jsonl", 1), ("pairs", "jsonl", "texts.jsonl", 2),
        ("crowd", "jsonl", "texts.jsonl", 1),
        ("signs", "images", "signs.tar", 1), ("rows", "csv", "people.csv", 1),
    ):  # fmt: skip
        source = {"kind": kind, "path": path, "licence": "CC0-1.0"}
        factory.add("data.ingest", name=f"{name}.records", config={"sources": [source]})
        asked = {
            "choices": CHOICES,
            "overlap": overlap,
            "max_similarity": 1.0,
            "question": "What is it?",
        }
        factory.add("data.review", name=name, needs=[f"{name}.records"], config=asked)
    outcome = factory.run()
    assert outcome.ok, outcome
    labelling = factory.labelling
    with served(make_app(factory.queries, labelling=labelling)) as url:
        yield Desk(url, factory, labelling)
    factory.close()


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


@pytest.mark.browser
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
        ("label", CHOICES[1]), ("label", CHOICES[2]), ("skip", ""), ("label", CHOICES[0]),
        ("undo", ""), ("label", CHOICES[0]),
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


@pytest.mark.browser
def test_nothing_in_a_record_a_choice_or_a_name_runs(desk, browse):
    watched = browse()
    page = begin(watched, desk, "pairs", "<b>Mallory</b>")
    seen = []
    for _ in range(16):
        seen.append(page.locator("#desk .shown").inner_text())
        if seen[-1] == HOSTILE:
            break
        after(page, lambda: page.keyboard.press("2"))
    assert seen[-1] == HOSTILE
    page.keyboard.press("2")
    page.locator(".region-progress", has_text="<b>Mallory</b>").wait_for()
    assert page.locator("#me").inner_text() == "<b>Mallory</b>"
    assert CHOICES[1] in page.locator("#desk .choices").inner_text()
    assert page.evaluate("window.broken") is None
    assert (
        page.locator("#desk script, #desk .shown img, #main b b, .region-progress b").count() == 0
    )
    assert watched.complaints == []


@pytest.mark.browser
def test_images_and_rows(desk, browse):
    watched = browse()
    page = begin(watched, desk, "signs", "ann")
    shown = page.locator("#desk img.shown")
    page.wait_for_function("document.querySelector('#desk img.shown').naturalWidth === 80")
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


@pytest.mark.browser
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


@pytest.mark.browser
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


@pytest.mark.browser
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
        "[...document.querySelectorAll('.tile')].some(t => /Equal pairs/.test(t.textContent) && /%/.test(t.textContent))"
    )
    stands = {}
    for event in desk.said("pairs"):
        stands.setdefault(event.record, set()).add(event.annotator)
    assert max(len(who) for who in stands.values()) == 2


@pytest.mark.browser
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


ASK = {"annotator": "eve"}


@pytest.mark.parametrize(
    "headers",
    [{"origin": ""}, {"origin": "http://evil.example"}, {"origin": "null"},
     {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"},
     {"content_type": "text/plain"}, {"content_type": "application/x-www-form-urlencoded"},
     {"content_type": ""}],
)  # fmt: skip
def test_only_a_page_of_ours_may_write(desk, headers):
    before = len(desk.said("texts"))
    record = desk.labelling.queue("texts").order[-1]
    status, _ = desk.post(
        "/label/texts/decide", {**ASK, "record": record, "label": CHOICES[0]}, **headers
    )
    assert status == 403
    assert len(desk.said("texts")) == before


def test_nothing_else_is_written(desk):
    for path in ("/", "/label", "/runs", "/static/label.js"):
        assert desk.post(path, ASK)[0] == 405
    assert desk.post("/label/texts", ASK)[0] == 405
    assert httpx.get(f"{desk.url}/label/texts/decide").status_code in (404, 405)


@pytest.mark.parametrize(
    ("deed", "body", "status"),
    [("next", b"{", 400), ("next", b"[]", 400), ("next", b"[" * 9000, 400), ("next", {}, 422),
     ("next", {"annotator": 7}, 422), ("next", {"annotator": "x" * 41}, 422),
     ("next", {"annotator": "a" * 20_000}, 413),
     ("decide", {**ASK, "record": "nobody", "label": "spam"}, 404),
     ("decide", {**ASK, "record": "nobody", "label": "spam", "seconds": "long"}, 422),
     ("hold", {**ASK, "record": "nobody"}, 404), ("decide", {**ASK, "label": "spam"}, 422)],
)  # fmt: skip
def test_wrong_requests_are_refused_in_words(desk, deed, body, status):
    found, told = desk.post(f"/label/texts/{deed}", body)
    assert found == status, told
    assert told["error"]


def test_a_label_that_is_no_choice_is_refused(desk):
    record = desk.labelling.queue("texts").order[-1]
    status, told = desk.post("/label/texts/decide", {**ASK, "record": record, "label": "eggs"})
    assert (status, told["error"]) == (422, "not one of the choices")
    status, told = desk.post("/label/nowhere/next", ASK)
    assert status == 404


def test_the_log_comes_as_lines_and_images_as_images_only(desk):
    desk.post("/label/rows/next", ASK)
    record = desk.labelling.queue("rows").order[0]
    desk.labelling.decide("rows", record, "ann", CHOICES[0], 1.0)
    response = httpx.get(f"{desk.url}/label/rows/labels.jsonl")
    assert "attachment" in response.headers["content-disposition"]
    assert from_lines(response.text.splitlines(), "log") == desk.said("rows")
    signs = desk.labelling.queue("signs")
    image = httpx.get(f"{desk.url}/label/signs/image/{signs.order[0]}")
    assert image.headers["content-type"] == "image/png"
    assert image.headers["x-content-type-options"] == "nosniff"
    assert Image.open(io.BytesIO(image.content)).size == (80, 80)
    assert httpx.get(f"{desk.url}/label/rows/image/{record}").status_code == 404
    assert httpx.get(f"{desk.url}/label/nowhere").status_code == 404


def test_pages_are_light_and_have_nothing_inline(desk):
    for path in ("/label", "/label/texts", "/label/signs"):
        html = httpx.get(desk.url + path).text
        assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]* src=)", html) == []
        ids = re.findall(r'\sid="([^"]+)"', html)
        assert len(ids) == len(set(ids))
        assert len(html.encode()) < 60_000


def test_keys_are_distinct_and_never_undo():
    assert keys_of(("spam", "salad", "up")) == [("1", "s"), ("2", "a"), ("3", "p")]
    many = keys_of(tuple(f"u{n}" for n in range(12)))
    assert many[9] == ("0",)
    assert many[10] == ()
    flat = [key for keys in keys_of(("yes", "yet", "eye", "unsure", "no")) for key in keys]
    assert len(flat) == len(set(flat))
    assert "u" not in flat
