"""A small snapshot as it comes from files: two sources, one text dropped, one line that could not be read."""

from __future__ import annotations

import json
import re
from pydoc_data.topics import topics

import pytest

from tenfold.data.cut import cut
from tenfold.data.ingest import ingest
from tenfold.data.refine import refine
from tenfold.data.tokenizer import tokenizer as learn


def prose(count: int) -> list[str]:
    """Paragraphs of the language reference."""
    found = [
        re.sub(r"[ \t]+", " ", part)
        for name in sorted(topics)
        for part in topics[name].split("\n\n")
        if len(part) > 200
    ]
    assert len(set(found)) >= count
    return list(dict.fromkeys(found))[:count]


@pytest.fixture
def ingested(run, tmp_path):
    rows = [json.dumps({"text": text, "kind": "a"}) for text in prose(300)]
    (tmp_path / "a.jsonl").write_text("\n".join([*rows[:200], "{"]) + "\n")
    (tmp_path / "b.jsonl").write_text("\n".join(rows[200:]) + "\n")
    sources = [
        {"kind": "jsonl", "path": "a.jsonl", "licence": "PSF-2.0", "name": "a", "authority": 0.9},
        {"kind": "jsonl", "path": "b.jsonl", "licence": "CC0-1.0", "name": "b"},
    ]
    return run(ingest, sources=sources)


@pytest.fixture
def curated(run, ingested):
    refined = run(refine, ingested, operators=["repair", {"rules": {"quality": {"min_words": 40}}}])
    return run(cut, refined)


@pytest.fixture
def vocabulary(run, corpus_of):
    return run(learn, corpus_of(prose(300)), vocabulary=512)
