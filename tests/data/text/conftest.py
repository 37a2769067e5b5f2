"""Real documents for tests: novels, guides in 28 languages, PEPs and raw pages, a few of each."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

Documents = Callable[..., list[str]]

ARCHIVES = (
    "text/classic_books_a.tar.gz", "text/multilingual_guides.tar.gz", "text/peps.tar.gz", "web/article_html.tar.gz",
)  # fmt: skip


@pytest.fixture(scope="session")
def documents(shared: Path) -> Documents:
    """`documents(20)`: the first 20 of every archive, cut to 6,000 characters."""

    def read(each: int, characters: int = 6000) -> list[str]:
        texts = []
        for name in ARCHIVES:
            with tarfile.open(shared / name) as tar:
                files = (member for member in tar if member.isfile())
                for _, member in zip(range(each), files, strict=False):
                    opened = tar.extractfile(member)
                    assert opened is not None
                    raw = opened.read()
                    raw = gzip.decompress(raw) if member.name.endswith(".gz") else raw
                    texts.append(raw.decode("utf-8", "replace")[:characters])
        return texts

    return read
