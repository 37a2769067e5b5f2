"""Pages that are broken, cut, or made to break who reads them: an answer always, and bounded work."""

from __future__ import annotations

import gzip
import tarfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.data.html import decode, scan
from tenfold.data.html.main_text import MOST_BYTES, main_text

TEXT = "Grüße aus Köln: das Café am Fluß öffnet täglich um neun, außer an Feiertagen. " * 5
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 5


def page(text: str, declared: str = "") -> str:
    return f"<html><head>{declared}</head><body><article><p>{text}</p></article></body></html>"


@pytest.mark.parametrize(
    "html",
    [
        pytest.param(b"<div>" * 1_000_000 + b"text", id="deep"),
        pytest.param(b"</p></div>" * 500_000, id="ends-without-begin"),
        pytest.param(b"<p><table>" * 300_000, id="implied-ends"),
        pytest.param(b"<a>" * 1_000_000 + b"text", id="links"),
        pytest.param(b"<i><p>" * 500_000 + b"</i>" * 500_000, id="crossed"),
        pytest.param(b"<svg>" * 500_000, id="open-skip"),
        pytest.param(b"<!--" * 500_000, id="open-comments"),
        pytest.param(b"<title>" * 500_000, id="open-titles"),
        pytest.param(b"<x-" + b"y" * 5_000_000 + b">text", id="long-name"),
        pytest.param(b"<p title='" + b"x" * 50_000_000 + b"'>text</p>", id="long-attribute"),
        pytest.param(b"<p " + b"a=1 " * 3_000_000 + b">text</p>", id="many-attributes"),
        pytest.param(b"&amp;" * 1_000_000, id="references"),
        pytest.param(b"&#" + b"9" * 1_000_000 + b";", id="long-number"),
        pytest.param(b"&#<b>" + b"9" * 5_000 + b"</b>;", id="number-in-pieces"),
        pytest.param(b"<p>a" * 1_000_000, id="many-blocks"),
        pytest.param(b"<" * 1_000_000, id="open-brackets"),
        pytest.param(b"<frameset><frame src=a><frame src=b></frameset>", id="frames"),
        pytest.param(b"\x00" * 1_000_000 + b"<p>text", id="zeros"),
        pytest.param(b"%PDF-1.7 <p>text</p>", id="pdf"),
        pytest.param(bytes(range(256)) * 100, id="all-bytes"),
        pytest.param(gzip.compress(b"<p>text</p>" * 100), id="gzip"),
        pytest.param(b"<meta charset=utf-7><p>+ADw-script+AD4-</p>", id="utf-7"),
        pytest.param(b"<meta charset=base64><p>text \xff</p>", id="codec-of-no-text"),
        pytest.param(b"<meta charset=utf-16><p>text \xff\xfe</p>", id="untrue-utf-16"),
    ],
)  # fmt: skip
def test_bombs_end_with_a_text_or_a_cause(html):
    found = main_text(html)
    assert bool(found.text) != bool(found.cause)
    assert len(found.text.encode()) <= 2 * len(html)
    _, blocks, elements, *_ = scan.scan(np.frombuffer(html, np.uint8))
    assert len(blocks) <= scan.MOST_BLOCKS
    assert len(elements) <= scan.MOST_ELEMENTS
    assert elements[:, scan.LEVEL].max() < scan.DEPTH


def test_what_is_too_large_is_not_read():
    assert main_text(b"x" * (MOST_BYTES + 1)).cause == "too_large"


@pytest.mark.parametrize(
    ("declared", "codec", "said", "text"),
    [
        ("", "utf-8", None, TEXT),
        ("<meta charset=latin1>", "utf-8", "iso-8859-1", TEXT),  # both lie
        ("<meta charset=utf-8>", "utf-8-sig", "cp1252", TEXT),
        ("<meta charset=iso-8859-1>", "cp1252", None, TEXT),
        ("", "cp1252", "windows-1252", TEXT),
        ("<meta charset=utf-8>", "cp1252", None, TEXT),
        ("", "cp1252", None, TEXT),
        ('<meta http-equiv="Content-Type" content="text/html; charset=Shift_JIS">', "shift_jis", None, JAPANESE),
        ("", "euc-jp", "euc-jp", JAPANESE),
        ("<meta charset=iso-2022-jp>", "iso-2022-jp", None, JAPANESE),
        ("", "utf-16", None, TEXT),
        ("", "utf-16-le", None, TEXT),
        ("<meta charset=utf-8>", "utf-16-be", None, TEXT),
        ("<meta charset=no-such>", "utf-8", "nonsense\0", TEXT),
    ],
)  # fmt: skip
def test_text_is_read_whatever_the_page_says_it_is(declared, codec, said, text):
    html = page(text, declared)
    made, _ = decode.utf8(html.encode(codec), said)
    assert made.decode() == html


@pytest.mark.parametrize("cut", range(1, 4))
def test_utf_8_cut_within_a_letter_is_still_utf_8(cut):
    whole = page(JAPANESE).partition("</p>")[0].encode()
    made, name = decode.utf8(whole[:-cut], "shift_jis")
    assert name == "utf-8"
    assert JAPANESE[:-2] in made.decode()


@pytest.fixture(scope="module")
def real(shared) -> list[bytes]:
    """Twelve real pages of at most 150 kB."""
    pages = []
    with tarfile.open(shared / "web" / "article_html.tar.gz") as archive:
        for member in archive:
            if member.isfile() and len(pages) < 12:
                html = gzip.decompress(archive.extractfile(member).read())
                pages += [html] if len(html) < 150_000 else []
    return pages


PIECES = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [b"<", b">", b"<!--", b"-->", b"<script>", b"</", b"&#", b"&#x", b'"', b"<p", b"</p>", b"<td>", b"<svg>", b"\0",
         b"\xe2\x80", b"</body>", b"<title>", b"<br>", b"<pre>", b"=", b"<table>", b"\xff\xfe", b"<a "]
    ),
)  # fmt: skip
PLACES = st.floats(0, 1, allow_nan=False)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    which=st.integers(0, 11),
    cuts=st.lists(st.tuples(PLACES, PLACES), max_size=3),
    insertions=st.lists(st.tuples(PLACES, PIECES, st.integers(1, 30)), max_size=8),
)
def test_a_real_page_may_be_cut_and_littered_anywhere(real, which, cuts, insertions):
    html = real[which % len(real)]
    for place, length in cuts:
        start = int(place * len(html))
        html = html[:start] + html[start + int(length * 0.3 * len(html)) :]
    for place, piece, times in insertions:
        start = int(place * len(html))
        html = html[:start] + piece * times + html[start:]
    found = main_text(html)
    assert bool(found.text) != bool(found.cause)
    assert found == main_text(html)


@given(st.binary(max_size=400))
def test_any_bytes_are_a_page(html):
    found = main_text(html)
    assert bool(found.text) != bool(found.cause)


@given(st.lists(st.sampled_from(["<div>", "</div>", "<p>", "</p>", "<span class=x>", "</span>", "<li>", "<td>",
                                 "<b>", "</b>", "<br>", "one ", "two", "<table>", "</table>", "&lt;", "<a href=x>", "</a>",
                                 "<pre>", "</pre>", "\n"]), max_size=60))  # fmt: skip
def test_blocks_are_the_text_in_order_and_elements_hold_them(pieces):
    html = "".join(pieces).encode()
    text, blocks, elements, *_ = scan.scan(np.frombuffer(html, np.uint8))
    visible = "".join(piece for piece in pieces if not piece.startswith("<")).split()
    assert "".join(text.tobytes().decode().split()) == "".join(visible)
    starts, ends = blocks[:, scan.START], blocks[:, scan.END]
    assert (starts < ends).all()
    assert (ends[:-1] <= starts[1:]).all()
    inner, outer = elements[1:], elements[elements[1:, scan.PARENT]]
    assert (inner[:, scan.FIRST] >= outer[:, scan.FIRST]).all()
    assert (inner[:, scan.LAST] <= outer[:, scan.LAST]).all()
    owners = elements[blocks[:, scan.OWNER]]
    number = np.arange(len(blocks))
    assert ((owners[:, scan.FIRST] <= number) & (number < owners[:, scan.LAST])).all()
