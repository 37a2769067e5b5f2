"""The corpus that curation is measured on: real texts of five kinds, with planted mojibake and duplicates.

The same documents for the same size on every machine. 70 % are chunks of novels; the rest are reference
pages of PowerShell, Python Enhancement Proposals, web pages as their makers' text and as raw HTML, and guides
in 28 languages. Then 13 % duplicates (exact, 1 % and 3 % of words edited, boilerplate around) and 2 %
mojibake. Knows the shared data, not who is measured.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import Unavailable

SHARES = {"book": 0.70, "powershell": 0.10, "pep": 0.08, "web": 0.06, "guide": 0.06}
FILES = {
    "book": "text/classic_books_a.tar.gz",
    "powershell": "neardup/powershell_docs.tar.gz",
    "pep": "text/peps.tar.gz",
    "guide": "text/multilingual_guides.tar.gz",
}
BOOK_CHARS = 4000
BOILERPLATE = "Home | About | Contact\nSubscribe to our newsletter today.\n\n{}\n\nShare this page. All rights reserved.\n"


def corpus(shared: Path, size: int) -> list[dict[str, Any]]:
    """About `size` documents: id, text, kind, and the id of what it is a copy of (its own when of none).

    Raises Unavailable without the shared data.
    """
    draw = random.Random(4)
    fresh = int(size / 1.13)
    documents: list[dict[str, Any]] = []
    for kind, share in SHARES.items():
        texts = list(_texts(shared, kind))
        draw.shuffle(texts)
        for number, text in enumerate(texts[: round(share * fresh)]):
            documents.append({"id": f"{kind}-{number}", "text": text, "kind": kind})
    for document in documents:
        document["of"] = document["id"]
    for number, document in enumerate(draw.sample(documents, round(0.13 * len(documents)))):
        how = ("exact", "edit1", "edit3", "boilerplate")[number % 4]
        text = _copy(document["text"], how, draw)
        documents.append({"id": f"{how}-{number}", "text": text, "kind": how, "of": document["id"]})
    for document in draw.sample(documents, round(0.02 * len(documents))):
        document["text"] = _mojibake(document["text"])
        document["kind"] += "+mojibake"
    draw.shuffle(documents)
    return documents


def _texts(shared: Path, kind: str) -> Iterator[str]:
    if kind == "web":
        yield from _pages(shared)
        return
    for text in _members(shared / "data" / FILES[kind]):
        if kind != "book":
            yield text
            continue
        part, size = [], 0
        for paragraph in re.split(r"\r?\n\r?\n", text):
            part.append(paragraph)
            size += len(paragraph)
            if size >= BOOK_CHARS:
                yield "\n\n".join(part)
                part, size = [], 0


def _pages(shared: Path) -> Iterator[str]:
    truth = shared / "data" / "web" / "ground_truth.json.gz"
    if truth.exists():
        for page in json.loads(gzip.decompress(truth.read_bytes())).values():
            yield page["articleBody"]
    for page in _members(shared / "data" / "web" / "article_html.tar.gz"):
        # What a poor extractor leaves: all text, scripts too.
        yield re.sub(r"\n\s*\n+", "\n\n", re.sub(r"<[^>]{0,2000}>", " ", page))[:60_000]


def _members(archive: Path) -> Iterator[str]:
    if not archive.exists():
        raise Unavailable(f"{archive.name} is not among the shared data")
    with tarfile.open(archive) as tar:
        for member in sorted((one for one in tar if one.isfile()), key=lambda one: one.name):
            opened = tar.extractfile(member)
            assert opened is not None
            raw = opened.read()
            raw = gzip.decompress(raw) if member.name.endswith(".gz") else raw
            text = raw.decode("utf-8", "replace")
            if text.strip():
                yield text


def _copy(text: str, how: str, draw: random.Random) -> str:
    if how == "exact":
        return text
    if how == "boilerplate":
        return BOILERPLATE.format(text)
    words = text.split(" ")
    for place in draw.sample(
        range(len(words)), int(len(words) * (0.01 if how == "edit1" else 0.03))
    ):
        words[place] = draw.choice(("however", "seven", "blue", "perhaps", "lantern"))
    return " ".join(words)


def _mojibake(text: str) -> str:
    """Its UTF-8 read as Windows-1252, with an apostrophe and a dash so that there is something to mend."""
    text = text.replace("'", "’").replace("--", "—")
    return text.encode().decode("cp1252", "replace").replace("\ufffd", "\x9d")
