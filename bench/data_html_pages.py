"""The 181 pages with text marked by people, and the measure of the article extraction benchmark on them.

Knows pages, truth and how two texts are compared; neither our extraction nor a peer's. The pages belong to
their publishers: they stay in the shared data, and only figures leave it.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import tarfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from harness import ROOT, Unavailable

Counts = tuple[float, float, float]
"""Shares of 4-word shingles: in both texts, only in ours, only in the truth."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Page:
    key: str
    html: bytes
    truth: str
    site: str
    """The last two labels of the host (three where the second is `co` or the like): pages of a site look alike."""


def pages() -> list[Page]:
    """All pages, by key. Raises Unavailable where the shared data is not."""
    for place in (os.environ.get("TENFOLD_SHARED"), ROOT.parent / "shared"):
        if place and (found := Path(place) / "data" / "web" / "article_html.tar.gz").is_file():
            break
    else:
        raise Unavailable(
            "data/web/article_html.tar.gz: point TENFOLD_SHARED at the folder that has it"
        )
    with gzip.open(found.with_name("ground_truth.json.gz")) as file:
        truth = json.load(file)
    made = []
    with tarfile.open(found) as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".html.gz"):
                key = Path(member.name).name.removesuffix(".html.gz")
                file = archive.extractfile(member)
                assert file is not None
                told = truth[key]
                made.append(
                    Page(key, gzip.decompress(file.read()), told["articleBody"], _site(told["url"]))
                )
    return sorted(made, key=lambda page: page.key)


def _site(url: str) -> str:
    labels = urlsplit(url).netloc.lower().split(".")
    return ".".join(labels[-3 if len(labels) > 2 and len(labels[-2]) <= 3 else -2 :])


def compared(ours: str, truth: str) -> Counts:
    """As article-extraction-benchmark's evaluate.py: shingles as multisets, shares of their union."""
    a, b = _shingles(ours), _shingles(truth)
    both, only_a, only_b = (a & b).total(), (a - b).total(), (b - a).total()
    total = both + only_a + only_b
    return (both / total, only_a / total, only_b / total) if total else (0.0, 0.0, 0.0)


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text)
    if not words:
        return Counter()
    return Counter(tuple(words[i : i + 4]) for i in range(max(1, len(words) - 3)))


def scores(counts: Sequence[Counts]) -> tuple[float, float, float]:
    """(F1, precision, recall): precision and recall are means over pages, F1 is theirs, as published."""
    precisions, recalls = [], []
    for both, ours, truth in counts:
        if both + ours > 0:
            precisions.append(both / (both + ours))
        if both + truth > 0:
            recalls.append(both / (both + truth))
    precision, recall = float(np.mean(precisions)), float(np.mean(recalls))
    return 2 * precision * recall / (precision + recall), precision, recall


def interval(counts: Sequence[Counts], rounds: int = 1000) -> tuple[float, float]:
    """95 % of the F1 of pages drawn again with replacement."""
    random = np.random.default_rng(0)
    drawn = [
        scores([counts[i] for i in random.integers(0, len(counts), len(counts))])[0]
        for _ in range(rounds)
    ]
    return float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))
