"""Main text of web pages: how much of what people marked is found, and how fast, beside trafilatura.

    python bench/data_html.py [--quick] [--json]

The F1 is cross-validated: each page is judged by trees that grew on pages of other sites (data_html_train.py).
Quick: one part of eight. Peer: `python bench/peers.py trafilatura`. Pages: the shared data.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

import data_html_pages
import data_html_train
import peers
from data_html_pages import Page
from harness import Figure, Figures, Unavailable, main, spread
from tenfold.data.html.main_text import main_text

ROUNDS = 5


class Trafilatura:
    """The peer, warm, in a process of its own environment; the pages as files."""

    def __init__(self, pages: Sequence[Page]) -> None:
        python = peers.program("trafilatura").with_name("python")
        self._folder = tempfile.TemporaryDirectory()
        self._paths = []
        for page in pages:
            path = Path(self._folder.name) / f"{page.key}.page"
            path.write_bytes(page.html)
            self._paths.append(str(path))
        self._child = subprocess.Popen(
            [python, Path(__file__).with_name("data_html_peer.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def __enter__(self) -> Trafilatura:
        return self

    def __exit__(self, *exc: object) -> None:
        self._child.communicate()
        self._folder.cleanup()

    def texts(self, most: int | None = None) -> tuple[float, list[str]]:
        """CPU seconds, texts."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(self._paths[:most]) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        if not line:
            raise Unavailable("trafilatura ended without an answer")
        told: dict[str, Any] = json.loads(line)
        return told["cpu_s"], told["texts"]


def measure(quick: bool) -> dict[str, Figure]:
    """Raises Unavailable without the pages or the peer."""
    pages = data_html_pages.pages()
    with Trafilatura(pages) as peer:
        figures = _speed(pages, peer, 2 if quick else ROUNDS)
        _, theirs = peer.texts()
    with threadpool_limits(1):
        marked = [data_html_train.marked(page) for page in pages]
        texts = data_html_train.crossed(marked, most_parts=1 if quick else None)
    chosen = [at for at, text in enumerate(texts) if text is not None]
    counts = [data_html_pages.compared(texts[at] or "", pages[at].truth) for at in chosen]
    beside = [data_html_pages.compared(theirs[at], pages[at].truth) for at in chosen]
    f1, precision, recall = data_html_pages.scores(counts)
    low, high = data_html_pages.interval(counts)
    peer_f1 = data_html_pages.scores(beside)[0]
    peer_low, peer_high = data_html_pages.interval(beside)
    name, n = peers.title("trafilatura"), len(chosen)
    sites = len({page.site for page in pages})
    how = f"4-word shingles, precision and recall averaged over pages, as article-extraction-benchmark; each page by trees grown on other sites ({data_html_train.FOLDS} parts of {sites} sites)"
    return figures | {
        "html_f1": Figure(
            value=f1, unit="", n=n, low=low, high=high, peer=name,
            method=f"{how}; lowest to highest is the bootstrap's 95 % over pages",
        ),
        "html_precision": Figure(value=precision, unit="", n=n, method="the same run"),
        "html_recall": Figure(value=recall, unit="", n=n, method="the same run"),
        "html_f1_peer": Figure(
            value=peer_f1, unit="", n=n, low=peer_low, high=peer_high, peer=name,
            method="the peer's on the same pages, its defaults without comments",
        ),
    }  # fmt: skip


def _speed(pages: Sequence[Page], peer: Trafilatura, rounds: int) -> dict[str, Figure]:
    """From bytes to text on both sides, warm, pages in memory, alternating."""
    peer.texts(10)
    main_text(pages[0].html)
    ratios, ours = [], []
    for _ in range(rounds):
        peer_s, _ = peer.texts()
        started_s = time.process_time()
        for page in pages:
            main_text(page.html)
        our_s = time.process_time() - started_s
        ratios.append(peer_s / our_s)
        ours.append(len(pages) / our_s)
    return {
        "html_speed_vs_trafilatura": spread(
            ratios, "x", "its CPU seconds over ours for the same pages, bytes to text, alternating rounds",
            peer=peers.title("trafilatura"),
        ),
        "html_pages_per_cpu_s": spread(ours, "pages/CPU s", "the same rounds; pages of 174 kB on average"),
    }  # fmt: skip


def _figures(quick: bool) -> Figures:
    yield from measure(quick).items()


if __name__ == "__main__":
    sys.exit(main("data_html", (__doc__ or "").partition("\n")[0], {"html": _figures}))
