"""What the labelling page may send, and who else may not: raw requests to a served console."""

from __future__ import annotations

import io
import re

import httpx
import pytest
from PIL import Image

from tenfold.console.views.label import keys_of
from tenfold.data.label.log import from_lines

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
        "/label/texts/decide", {**ASK, "record": record, "label": desk.choices[0]}, **headers
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
    desk.labelling.decide("rows", record, "eve", desk.choices[0], 1.0)
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
