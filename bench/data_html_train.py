"""Grow the trees that tell main text from what stands around it, from pages marked by people.

    python bench/data_html_train.py           grow, and write them into the package
    python bench/data_html_train.py --check   grow, and compare with those in the package

A block of a page is main text when the marked text has it. Trees hold which numbers decide, no page's words.
A few minutes on one core; the same pages, packages and machine give the same bytes.
"""

from __future__ import annotations

import argparse
import difflib
import hashlib
import itertools
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

import data_html_pages
from data_html_pages import Page
from tenfold.data.html import features, forest, main_text, scan, second_look

FOLDS = 8
"""Parts of the sites; each is judged by trees that grew on the others."""
INNER_FOLDS = 3
"""The second look learns from odds of first trees that did not grow on the page."""
FIRST = {"max_iter": 80, "max_leaf_nodes": 12, "max_features": 0.2}
SECOND = {"max_iter": 40, "max_leaf_nodes": 12, "max_features": 0.3}
GROWTH = {"learning_rate": 0.08, "min_samples_leaf": 20, "l2_regularization": 5.0, "random_state": 0,
          "early_stopping": False}  # fmt: skip

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Marked:
    """A page in blocks, and which of them are main text."""

    site: str
    truth: str
    lines: list[str]
    rows: Any
    num_words: Any
    near: Any
    is_main: Any
    weight: Any


def marked(page: Page) -> Marked:
    """Blocks are main text when half of their words stand in a stretch that page and truth share: four words
    at least, or all of a shorter block."""
    buffer = np.frombuffer(page.html, np.uint8)
    scanned = scan.scan(buffer)
    rows, num_words, near = features.features(buffer, *scanned)
    text = scanned[0].tobytes()
    lines = [main_text.plain(text[start:end]) for start, end in scanned[1][:, :2].tolist()]
    words = [_WORD.findall(line) for line in lines]
    sizes = np.array([len(of_line) for of_line in words])
    owner = np.repeat(np.arange(len(words)), sizes)
    shared = np.zeros(len(words))
    flat = [word for of_line in words for word in of_line]
    truth = _WORD.findall(page.truth)
    for start, _, size in difflib.SequenceMatcher(None, flat, truth, False).get_matching_blocks():
        for line, count in zip(
            *np.unique(owner[start : start + size], return_counts=True), strict=True
        ):
            if size >= 4 or count == sizes[line]:
                shared[line] += count
    is_main = shared >= 0.5 * np.maximum(1, sizes)
    # A block counts by its words, but a long page little more than a short one: the measure is per page.
    article = max(50, sizes[is_main].sum())
    weight = np.minimum(sizes + 3, 300) / np.sqrt(400 * article)
    return Marked(page.site, page.truth, lines, rows, num_words, near, is_main, weight)


@dataclass(frozen=True, slots=True)
class Trees:
    first: forest.Forest
    second: forest.Forest

    def text(self, page: Marked) -> str:
        odds = self.second(_second_rows(page, self.first(page.rows)))
        return "\n".join(np.array(page.lines, object)[odds > main_text.EVEN])


def grown(pages: Sequence[Marked], seed: int = 0) -> Trees:
    """Both forests; the second from odds that the first gives pages it has not seen."""
    odds: list[Any] = [None] * len(pages)
    for outside in parts(pages, INNER_FOLDS, seed + 1):
        inside = [page for at, page in enumerate(pages) if at not in outside]
        trees = _grow([page.rows for page in inside], inside, features.NAMES, FIRST)
        for at in outside:
            odds[at] = trees(pages[at].rows)
    rows = [_second_rows(page, seen) for page, seen in zip(pages, odds, strict=True)]
    return Trees(
        _grow([page.rows for page in pages], pages, features.NAMES, FIRST),
        _grow(rows, pages, second_look.NAMES, SECOND),
    )


def crossed(
    pages: Sequence[Marked], seed: int = 0, most_parts: int | None = None
) -> list[str | None]:
    """The text of each page, by trees that grew on other sites only. None beyond `most_parts`."""
    texts: list[str | None] = [None] * len(pages)
    for outside in itertools.islice(parts(pages, FOLDS, seed), most_parts):
        trees = grown([page for at, page in enumerate(pages) if at not in outside])
        for at in outside:
            texts[at] = trees.text(pages[at])
    return texts


def parts(pages: Sequence[Marked], count: int, seed: int) -> Iterator[set[int]]:
    """Pages by number in `count` parts; a site is in one of them whole."""
    sites = np.random.default_rng(seed).permutation(sorted({page.site for page in pages}))
    for some in np.array_split(sites, count):
        chosen = set(some.tolist())
        yield {at for at, page in enumerate(pages) if page.site in chosen}


def _second_rows(page: Marked, odds: Any) -> Any:
    return second_look.second_look(page.rows, odds, page.num_words, page.near)


def _grow(
    rows: Sequence[Any], pages: Sequence[Marked], names: tuple[str, ...], size: dict[str, Any]
) -> forest.Forest:
    weight = np.concatenate([page.weight for page in pages])
    model = HistGradientBoostingClassifier(**size, **GROWTH).fit(
        np.concatenate(rows),
        np.concatenate([page.is_main for page in pages]),
        sample_weight=weight / weight.mean(),
    )
    return _plain(model, names)


def _plain(model: Any, names: tuple[str, ...]) -> forest.Forest:
    """scikit-learn's trees as arrays; children are put next to each other."""
    column: list[int] = []
    value: list[float] = []
    left: list[int] = []
    roots = []
    for (tree,) in model._predictors:
        roots.append(len(column))
        todo = [(0, len(column))]
        column.append(-1), value.append(0.0), left.append(0)
        for node, at in todo:
            told = tree.nodes[node]
            if told["is_leaf"]:
                value[at] = told["value"]
                continue
            column[at], value[at], left[at] = (
                told["feature_idx"],
                told["num_threshold"],
                len(column),
            )
            for child in (told["left"], told["right"]):
                todo.append((child, len(column)))
                column.append(-1), value.append(0.0), left.append(0)
    return forest.Forest(
        np.array(column, np.int16), np.array(value, np.float32), np.array(left, np.int32),
        np.array(roots, np.int32), float(model._baseline_prediction.item()), names,
    )  # fmt: skip


def read() -> list[Marked]:
    """All pages, marked. Raises Unavailable where the shared data is not."""
    return [marked(page) for page in data_html_pages.pages()]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="compare with the trees in the package"
    )
    parser.add_argument("--cross", action="store_true", help="only say what cross-validation gives")
    parser.add_argument("--seed", type=int, default=0, help="of the parts, for --cross")
    told = parser.parse_args()
    with threadpool_limits(1):  # sums in one order
        pages = read()
        if told.cross:
            texts = crossed(pages, told.seed)
            counts = [
                data_html_pages.compared(text or "", page.truth)
                for text, page in zip(texts, pages, strict=True)
            ]
            print(data_html_pages.scores(counts), data_html_pages.interval(counts))
            return 0
        trees = grown(pages)
    differs = 0
    for made, path in (
        (trees.first, main_text.FIRST_TREES),
        (trees.second, main_text.SECOND_TREES),
    ):
        if not told.check:
            made.save(path)
            print(f"{path.name}: {path.stat().st_size:,} bytes, {_digest(path)}")
            continue
        with tempfile.TemporaryDirectory() as folder:
            again = Path(folder) / path.name
            made.save(again)
            same = again.read_bytes() == path.read_bytes()
        differs += not same
        print(f"{path.name}: {'the same' if same else 'differs'}")
    return 1 if differs else 0


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


if __name__ == "__main__":
    sys.exit(main())
