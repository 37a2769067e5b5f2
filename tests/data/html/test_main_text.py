"""What is taken from a page, and what is left."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from resiliparse.parse.html import HTMLTree

from tenfold.data import record
from tenfold.data.html import scan
from tenfold.data.html.batches import HtmlMainText
from tenfold.data.html.main_text import MainText, main_text, plain

STORY = [
    "The harbour of the small town was closed on Monday, after a storm had torn two ferries from their moorings.",
    "Nobody was hurt, the mayor said, but it will take the divers at least a week to lift the wrecks from the ground.",
    "“We have seen worse winters,” said the harbour master, who has watched the sea from the same window since 1987.",
    "Until the work is done, mail and groceries are going to reach the islands by helicopter, twice a day, if the wind allows.",
]
NAV = "".join(
    f'<li><a href="/{word}">{word}</a></li>' for word in ("Politics", "Sports", "Culture", "Travel")
)
REPLY = "I was on that ferry last summer and I can tell you that nothing about it looked safe to me, nothing at all."
PAGE = f"""<!doctype html><html lang="en-GB"><head><title>Storm closes harbour | The Gull</title>
<meta charset="utf-8"><meta property="og:title" content="Storm closes harbour &amp; islands wait">
<meta property="article:published_time" content="2021-02-03T06:30:00+01:00">
<script>var text = "<p>This is no paragraph of the story, it only looks like one to a careless reader.</p>";</script></head>
<body><header><nav class="main-menu"><ul>{NAV}</ul></nav></header>
<main><article class="story"><h1>Storm closes harbour</h1><div class="byline">By Ada Smith</div>
<div class="article-body">{"".join(f"<p>{line}</p>" for line in STORY)}</div></article>
<section id="comments"><h3>2 Comments</h3><div class="comment"><p>{REPLY}</p></div></section></main>
<footer class="site-footer"><p>Copyright 2021 The Gull. All rights reserved.</p><ul>{NAV}</ul></footer></body></html>"""


def pages_of(shared) -> dict[str, bytes]:
    with tarfile.open(shared / "web" / "article_html.tar.gz") as archive:
        return {
            member.name: gzip.decompress(archive.extractfile(member).read())
            for member in archive
            if member.isfile()
        }


def scanned(html: str) -> list[str]:
    text, blocks, *_ = scan.scan(np.frombuffer(html.encode(), np.uint8))
    said = text.tobytes()
    return [plain(said[start:end]) for start, end in blocks[:, :2].tolist()]


def test_the_story_is_taken_and_what_stands_around_it_is_left():
    found = main_text(PAGE.encode())
    assert found.cause is None
    for line in STORY:
        assert line in found.text.split("\n")
    for line in (REPLY, "Politics", "All rights reserved", "careless reader", "2 Comments"):
        assert line not in found.text


def test_a_page_says_when_and_what_it_is():
    found = main_text(PAGE.encode())
    assert found.title == "Storm closes harbour & islands wait"
    assert found.date == datetime(2021, 2, 3, 5, 30, tzinfo=UTC)
    assert found.language == "en-GB"


@pytest.mark.parametrize(
    "date",
    ["2021-13-40", "yesterday", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", ""],
)
def test_a_date_that_is_none_is_not_made_up(date):
    assert main_text(PAGE.replace("2021-02-03T06:30:00+01:00", date).encode()).date is None


def test_words_are_those_that_a_browser_engine_s_tree_holds(shared):
    """lexbor builds the tree that browsers build; the words of its body are ours, nearly all."""
    shares = []
    for html in list(pages_of(shared).values())[::6]:
        page = html.decode("utf-8", "replace")
        ours = " ".join(scanned(page))
        tree = HTMLTree.parse(page)
        for unseen in tree.document.query_selector_all(
            "script,style,noscript,template,svg,math,select,object,canvas,audio,video,map,datalist,"
            "iframe,textarea,head,noembed,noframes,xmp"
        ):
            unseen.decompose()
        theirs = tree.body.text if tree.body else ""
        ours, theirs = (re.sub(r"\W+", "", text.replace("\u00ad", "")) for text in (ours, theirs))
        shares.append(min(len(ours), len(theirs)) / max(1, len(ours), len(theirs)))
    assert np.median(shares) == 1
    assert np.mean(shares) > 0.99


def test_what_people_marked_is_found(shared):
    """The trees grew on these pages; that they work on others is shown by cross-validation in the bench."""
    truth = json.loads(gzip.decompress((shared / "web" / "ground_truth.json.gz").read_bytes()))
    shares = []
    for name, html in list(pages_of(shared).items())[::4]:
        words = set(
            re.findall(
                r"\w+", truth[name.rpartition("/")[2].removesuffix(".html.gz")]["articleBody"]
            )
        )
        found = set(re.findall(r"\w+", main_text(html).text))
        shares.append(len(words & found) / len(words | found))
    assert np.mean(shares) > 0.95


@pytest.mark.parametrize(
    ("html", "blocks"),
    [
        ("<p>one<p>two", ["one", "two"]),
        ("<ul><li>one<li>two<ul><li>three</ul></ul>four", ["one", "two", "three", "four"]),
        ("<b>one</b> <i>t</i>wo", ["one two"]),
        ("one<br>two<br><br>three", ["one two", "three"]),
        ("<table><tr><td>a<td>b<tr><td>c<td>d</table>", ["a\tb", "c\td"]),
        ("<pre>def f():\n    return 1</pre>", ["def f():\n    return 1"]),
        ("a < b &amp;lt; c &#38;gt; d &eacute; &#x1F600;", ["a < b &lt; c &gt; d é 😀"]),
        ("a<!-- > b <p> -->c<![CDATA[x]]>d", ["acd"]),
        ("<style>p{}</style><p title='a>b' data-x=\"</p>\">text</P >", ["text"]),
        ("<title>no</title><svg><text>no</text></svg><select><option>no</select>yes", ["yes"]),
        ("soft\u00adhyphen zero\u200bwidth no\u00a0break", ["softhyphen zerowidth no break"]),
        ("<svg>never closed <p>text", ["never closed", "text"]),
        ("</div></p>text</b></unknown>", ["text"]),
        ("<p>cut in the middle of <a href='x", ["cut in the middle of"]),
    ],
)
def test_markup_becomes_blocks_as_browsers_read_it(html, blocks):
    assert scanned(html) == blocks


def test_a_batch_keeps_its_rows_and_names_what_it_loses():
    texts = [PAGE, "No markup: 1 < 2.", "<html><body></body></html>", PAGE]
    about = {
        record.ID: [f"{n:016x}" for n in range(4)], record.SOURCE: ["s"] * 4, record.PLACE: ["p"] * 4,
        record.MODALITY: ["text"] * 4, record.TIME: [None] * 4, record.LICENCE: ["CC0-1.0"] * 4,
        record.AUTHORITY: [0.5] * 4, record.SUBJECTS: [None] * 4, record.META: [None] * 4,
        record.DROP: [None, None, None, "other.rule"], record.TEXT: texts,
    }  # fmt: skip
    batch = pa.RecordBatch.from_pydict(
        about, schema=record.ABOUT.append(pa.field(record.TEXT, pa.string()))
    )
    made = HtmlMainText()(batch)
    assert made.column(record.TEXT).to_pylist() == [main_text(PAGE.encode()).text, *texts[1:]]
    assert made.column(record.DROP).to_pylist() == [None, None, "html.no_text", "other.rule"]
    assert made.column("html.language").to_pylist() == ["en-GB", None, None, None]
    assert set(made.schema.names) == set(about) | set(HtmlMainText.writes)
    assert made.equals(HtmlMainText()(batch))
    assert HtmlMainText()(batch.slice(0, 0)).num_rows == 0


def test_no_bytes_are_an_empty_text_with_a_cause():
    assert main_text(b" \n") == MainText(text="", cause="empty")
