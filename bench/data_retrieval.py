"""Retrieval over the Python Enhancement Proposals: do superseded ones rank above what took their place?

    python bench/data_retrieval.py [--quick] [--json]

Questions are titles and abstracts of superseded proposals and of their successors. That the order does not cost quality is
shown on others: a sentence out of a proposal that nothing superseded, asked for the proposal. Beside it: the
same index with BM25 alone. The shared data: TENFOLD_SHARED, or `shared` beside the checkout.
"""

from __future__ import annotations

import itertools
import json
import random
import re
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from data_images import shared
from harness import Figure, Figures, child, main, spread
from tenfold.data.retrieval.entry import Entry
from tenfold.data.retrieval.index import Index
from tenfold.data.retrieval.ranking import Ranking

K = 10
PLAIN = Ranking(vectors=0, authority=0, freshness=0, superseded="keep")
AUTHORITY = {
    "Final": 1.0, "Active": 1.0, "Accepted": 0.9, "Provisional": 0.8, "Draft": 0.6, "Deferred": 0.4,
    "Withdrawn": 0.3, "Rejected": 0.3, "Superseded": 0.3,
}  # fmt: skip
"""By status, as an editor of proposals would set it; other statuses are jokes: 0.1."""

_COLD = """
import sys, time
began = time.perf_counter()
from tenfold.data.retrieval.index import Index
imported = time.perf_counter()
Index.open(sys.argv[1]).search("metadata of packages")
print(imported - began, time.perf_counter() - imported)
"""


@dataclass(frozen=True)
class Proposal:
    number: int
    headers: dict[str, str]
    body: str

    def named(self, header: str) -> list[int]:
        return [int(one) for one in re.findall(r"\d+", self.headers.get(header, ""))]

    @property
    def abstract(self) -> str:
        """The first section, without its heading."""
        sections = re.split(r"\n(?=[^\n]+\n[=\-~]{3,}\n)", "\n" + self.body.strip())
        first = next((one for one in sections if len(one.split()) > 20), self.body)
        return " ".join(re.sub(r"^\s*[^\n]+\n[=\-~]{3,}\n", "", first).split()[:80])

    def entry(self) -> Entry:
        created = re.search(r"\d{1,2}-[A-Z][a-z]{2}-\d{4}", self.headers.get("Created", ""))
        moment = created and datetime.strptime(created.group(), "%d-%b-%Y").replace(tzinfo=UTC)
        meta = {
            "title": self.headers.get("Title", ""),
            "status": self.headers.get("Status", ""),
            "key": f"pep-{self.number}",
            "supersedes": [f"pep-{one}" for one in self.named("Replaces")],
            "superseded_by": [f"pep-{one}" for one in self.named("Superseded-By")],
        }
        return Entry.of(
            f"{self.number:04}",
            self.body,
            meta,
            source="peps",
            place=f"pep-{self.number:04}.rst",
            licence="CC0-1.0",
            authority=AUTHORITY.get(meta["status"], 0.1),
            time_us=int(moment.timestamp() * 1e6) if moment else None,
        )


def proposals() -> Iterator[Proposal]:
    """In the order of their numbers."""
    with tarfile.open(shared() / "text" / "peps.tar.gz") as archive:
        for member in sorted(archive, key=lambda one: one.name):
            found = re.search(r"pep-(\d+)\.(?:rst|txt)$", member.name)
            if not found or not member.isfile():
                continue
            text = archive.extractfile(member).read().decode("utf-8", "replace")
            head, _, body = text.replace("\r\n", "\n").partition("\n\n")
            unfolded = re.sub(r"\n\s+", " ", head)
            headers = {
                name.strip(): value.strip()
                for name, value in (
                    line.split(":", 1) for line in unfolded.split("\n") if ":" in line
                )
            }
            yield Proposal(int(found.group(1)), headers, body)


def edges(every: dict[int, Proposal]) -> set[tuple[int, int]]:
    """(old, new), as either of them says; without those that say it of each other."""
    said = {(one.number, new) for one in every.values() for new in one.named("Superseded-By")}
    said |= {(old, one.number) for one in every.values() for old in one.named("Replaces")}
    return {(a, b) for a, b in said if a in every and b in every and a != b and (b, a) not in said}


def superseded(quick: bool) -> Figures:
    """How often a superseded proposal ranks above its successor, and what else the order costs."""
    every = {one.number: one for one in proposals()}
    pairs = sorted(edges(every))
    chosen = pairs[::4] if quick else pairs
    with tempfile.TemporaryDirectory() as folder:
        began_s = time.process_time()
        index = Index.build(
            Path(folder) / "index", (p.entry() for p in every.values()), snapshot="peps"
        )
        build_s = time.process_time() - began_s
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        for key, ranking, peer in (
            ("superseded_above_pct", Ranking(), None),
            ("superseded_above_pct.bm25", PLAIN, "BM25 alone, the same index"),
        ):
            asked = above = absent = 0
            for old, new in chosen:
                questions = itertools.chain.from_iterable(
                    (every[one].headers.get("Title", ""), every[one].abstract) for one in (old, new)
                )
                for question in questions:
                    order = [int(hit.id) for hit in index.search(question, K, ranking=ranking)]
                    if old not in order:
                        absent += new not in order
                        asked += 1
                        continue
                    asked += 1
                    above += new not in order or order.index(old) < order.index(new)
            yield key, Figure(
                value=100 * above / asked, unit="%", n=asked, peer=peer,
                method=f"titles and abstracts of {len(chosen)} superseded proposals and their successors: share of "
                f"questions with the old one among the first {K} and its successor below it or not there; "
                f"neither was found for {absent}",
            )  # fmt: skip
        yield from _quality(index, every, {old for old, _ in pairs}, 60 if quick else 400)
        yield "index_build_mb_per_cpu_s", Figure(
            value=sum(len(p.body) for p in every.values()) / 1e6 / build_s, unit="MB/CPU s",
            n=len(every), method="characters of text indexed by words and vectors",
        )  # fmt: skip
        yield "index_bytes_per_text_byte", Figure(
            value=size / sum(len(p.body.encode()) for p in every.values()), unit="", n=len(every),
            method="the folder, which holds the texts too",
        )  # fmt: skip
        yield from _speed(index, every, 20 if quick else 100)
        runs = [json.loads("[" + ",".join(child("-c", _COLD, index.folder).stdout.split()) + "]")
                for _ in range(3 if quick else 7)]  # fmt: skip
        yield (
            "index_cold_ms",
            spread(
                [1000 * opened for _, opened in runs],
                "ms",
                "open and first search in a fresh process, wall",
            ),
        )
        yield (
            "index_import_ms",
            spread(
                [1000 * imported for imported, _ in runs],
                "ms",
                "importing search, numpy and usearch, wall",
            ),
        )


def _quality(index: Index, every: dict[int, Proposal], old: set[int], number: int) -> Figures:
    """Is a proposal found by a sentence of its own? Those that nothing superseded."""
    draw = random.Random(7)
    questions = []
    for one in draw.sample(sorted(set(every) - old), min(number, len(every) - len(old))):
        sentences = [
            sentence
            for sentence in re.split(r"(?<=[.?!])\s+", " ".join(every[one].body.split()))
            if 8 <= len(sentence.split()) <= 30
        ]
        if sentences:
            # Half its words, as people remember it.
            words = draw.choice(sentences).split()
            questions.append((one, " ".join(words[:: 2 if len(words) > 12 else 1])))
    for key, ranking, peer in (
        ("retrieval_recall_10", Ranking(), None),
        ("retrieval_recall_10.bm25", PLAIN, "BM25 alone, the same index"),
        ("retrieval_recall_10.vectors", Ranking(words=0, authority=0, freshness=0, superseded="keep"),
         "letter vectors alone"),
    ):  # fmt: skip
        found = [
            one in [int(hit.id) for hit in index.search(question, K, ranking=ranking)]
            for one, question in questions
        ]
        yield key, Figure(
            value=sum(found) / len(found), unit="", n=len(found), peer=peer,
            method=f"known item among the first {K} by half the words of one of its sentences, "
            "proposals that nothing superseded",
        )  # fmt: skip


def _speed(index: Index, every: dict[int, Proposal], number: int) -> Figures:
    titles = [one.headers.get("Title", "") for one in every.values()][:number]
    for title in titles[:3]:
        index.search(title)
    began_s = time.process_time()
    for title in titles:
        index.search(title)
    yield "index_ms_per_search", Figure(
        value=1000 * (time.process_time() - began_s) / len(titles), unit="CPU ms", n=len(titles),
        method="ten hits with passages for a title",
    )  # fmt: skip


MEASURES = {"superseded": superseded}


def measure(quick: bool) -> dict[str, Figure]:
    """Every figure by name; see `harness.Figure`. Raises Unavailable where the data is missing."""
    return {name: figure for part in MEASURES.values() for name, figure in part(quick)}


if __name__ == "__main__":
    sys.exit(main("data_retrieval", (__doc__ or "").partition("\n")[0], MEASURES))
