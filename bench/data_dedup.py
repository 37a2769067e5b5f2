"""Duplicates: what is found of natural near-duplicates, what is removed wrongly, and what it costs.

    python bench/data_dedup.py [--quick] [--json]

Truth is counted by Python sets of 5-word tuples over every pair of versions of the same page, apart from the
code that is measured. Nothing was fitted to the pages: bands and threshold follow from the formula.
Quick: a tenth of the pages, a small corpus. Peer: `python bench/peers.py datasketch`. The shared data:
TENFOLD_SHARED, or `shared` beside the checkout.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
import re
import subprocess
import sys
import tarfile
import time
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.stats import spearmanr

from harness import ROOT, Figure, Figures, Unavailable, child, main, spread
from peers import python, title
from tenfold.data.dedup.bands import bands, candidates
from tenfold.data.dedup.ladder import Findings, duplicates
from tenfold.data.dedup.linkage import Linkage, link
from tenfold.data.dedup.near import Near, near_pairs
from tenfold.data.dedup.signatures import signatures
from tenfold.data.dedup.similarity import Similar, character_counts, tfidf
from tenfold.data.dedup.texts import texts_of

WORD = re.compile(r"\w+")
ROUNDS = 5
GROWTH_BASE = 2_000
"""Different documents of the growing corpus."""
FEBRL_FIELDS = (
    "given_name", "surname", "street_number", "address_1", "address_2", "suburb", "postcode",
    "state", "date_of_birth", "soc_sec_id",
)  # fmt: skip
PROVIDER_FIELDS = ("Site name", "Address", "Zip", "Phone")

_PEER = """
import json, re, sys, time
from datasketch import MinHash
texts = json.load(sys.stdin)
began = time.process_time()
for text in texts:
    words = re.findall(r"\\w+", text.lower())
    grams = {" ".join(words[at : at + 5]).encode() for at in range(max(1, len(words) - 4))}
    MinHash(num_perm=112).update_batch(grams)
print(time.process_time() - began)
"""


def shared() -> Path:
    for place in (os.environ.get("TENFOLD_SHARED"), ROOT.parent / "shared"):
        if place and (Path(place) / "data" / "neardup").is_dir():
            return Path(place) / "data"
    raise Unavailable("the shared data is not here; point TENFOLD_SHARED at it")


def pages(quick: bool) -> tuple[list[str], list[str]]:
    """Texts, and the name of each one's page: the path without the version."""
    texts, names = [], []
    with tarfile.open(shared() / "neardup" / "powershell_docs.tar.gz") as archive:
        for member in sorted(archive, key=lambda each: each.name):
            name = member.name.removeprefix("./").partition("/")[2]
            file = archive.extractfile(member) if member.isfile() else None
            # One page in ten, by a property that versions share.
            if file is None or (quick and sum(name.encode()) % 10):
                continue
            texts.append(file.read().decode())
            names.append(name)
    return texts, names


def table(texts: list[str]) -> pa.Table:
    num = len(texts)
    return pa.table(
        {
            "id": [f"{at:016x}" for at in range(num)],
            "authority": pa.array(np.full(num, 0.5), pa.float32()),
            "time": pa.nulls(num, pa.timestamp("us", tz="UTC")),
            "text": texts,
        }
    )


class Truth:
    """Exact similarities of 5-word tuples in plain Python."""

    def __init__(self, texts: list[str], names: list[str]) -> None:
        self._sets = []
        for text in texts:
            words = WORD.findall(text.lower())
            width = min(5, len(words))
            self._sets.append(
                {tuple(words[at : at + width]) for at in range(len(words) - width + 1)}
            )
        rows = defaultdict(list)
        for row, name in enumerate(names):
            rows[name].append(row)
        self.pairs = {
            pair: self.similarity(*pair) for same in rows.values() for pair in combinations(same, 2)
        }

    def similarity(self, left: int, right: int) -> float:
        a, b = self._sets[left], self._sets[right]
        return len(a & b) / len(a | b) if a | b else 1.0

    def between(self, low: float, high: float) -> list[tuple[int, int]]:
        return [pair for pair, alike in self.pairs.items() if low <= alike < high]


def found(quick: bool) -> Figures:
    """Recall and precision on natural versions, beside bands alone."""
    texts, names = pages(quick)
    truth = Truth(texts, names)
    findings: Findings = duplicates(table(texts))
    goes = findings.twin != np.arange(len(texts))
    removed = [(row, int(findings.twin[row])) for row in np.flatnonzero(goes).tolist()]
    near, close = truth.between(0.9, 1.01), truth.between(0.8, 0.9)
    how = "of pairs of versions of a page with a true Jaccard similarity {}, the share of which one goes"
    for figure, pairs, said in (
        ("neardup_recall_90", near, "of .9 or more"),
        ("neardup_recall_80", close, "of .8 to .9"),
    ):
        caught = sum(bool(goes[a] or goes[b]) for a, b in pairs)
        yield figure, Figure(value=caught / len(pairs), unit="", method=how.format(said), n=len(pairs))  # fmt: skip
    right = sum(truth.similarity(*pair) >= 0.8 for pair in removed)
    yield "neardup_precision", Figure(
        value=right / len(removed), unit="", n=len(removed),
        method="of removed pages, those truly at .8 or more to the page kept for them",
    )  # fmt: skip

    signed = signatures(texts_of(pa.array(texts)))
    pairs = candidates(bands(signed, np.arange(len(texts)), num_bands=14, rows=8), small=10**6)
    met = set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    beside = "14 bands of 8, not verified"
    for figure, wanted in (("neardup_recall_90.lsh", near), ("neardup_recall_80.lsh", close)):
        caught = sum(pair in met for pair in wanted)
        yield figure, Figure(
            value=caught / len(wanted), unit="", n=len(wanted), peer=beside,
            method="share of the same pairs that meet in a band of datatrove's and FineWeb's numbers",
        )  # fmt: skip
    yield "neardup_precision.lsh", Figure(
        value=sum(truth.similarity(*pair) >= 0.8 for pair in met) / len(met), unit="", n=len(met),
        method="of pairs that meet in a band, those truly at .8 or more", peer=beside,
    )  # fmt: skip


def speed(quick: bool) -> Figures:
    """Signatures, bands and verification."""
    texts, _ = pages(quick)
    column, ranks = texts_of(pa.array(texts)), np.arange(len(texts))
    near_pairs(column, ranks, Near())  # compiled and warm
    whole, alone = [], []
    for _ in range(2 if quick else ROUNDS):
        began_s = time.process_time()
        near_pairs(column, ranks, Near())
        whole.append(len(texts) / (time.process_time() - began_s))
        began_s = time.process_time()
        signatures(column)
        alone.append(len(texts) / (time.process_time() - began_s))
    yield "dedup_docs_per_cpu_s", spread(
        whole, "docs/CPU s",
        f"signatures of 112 permutations, bands and verification of {len(texts)} pages of 12 kB",
    )  # fmt: skip
    yield "minhash_docs_per_cpu_s", spread(alone, "docs/CPU s", "of it, the signatures alone")


def beside(quick: bool) -> Figures:
    """Signatures beside datasketch, alternating."""
    texts, _ = pages(quick)
    some = texts[:: max(1, len(texts) // 100)]
    part = texts_of(pa.array(some))
    signatures(part)  # compiled
    ratios = []
    for _ in range(2 if quick else ROUNDS):
        peer_s = _peer_s(some)
        began_s = time.process_time()
        for _ in range(10):
            signatures(part)
        ratios.append(peer_s / ((time.process_time() - began_s) / 10))
    yield "minhash_vs_datasketch", spread(
        ratios, "x", f"its CPU seconds over ours, text to signature, {len(some)} of the pages",
        peer=title("datasketch"),
    )  # fmt: skip


def _peer_s(texts: list[str]) -> float:
    done = subprocess.run(
        [python("datasketch"), "-c", _PEER], input=json.dumps(texts), capture_output=True, text=True
    )
    if done.returncode:
        raise Unavailable(f"datasketch: {done.stderr[-300:]}")
    return float(done.stdout)


def growth(quick: bool) -> Figures:
    """The same documents in more and more edited copies: cost of each, and memory."""
    for copies in (1, 10) if quick else (1, 10, 100):
        told = json.loads(
            child(__file__, "grow", f"{300 if quick else GROWTH_BASE}", f"{copies}").stdout
        )
        how = (
            f"{told['documents']:,} documents of 200 words, {copies} of each, every copy with another "
            "two words changed; in memory, one process"
        )
        yield (
            f"dedup_growth_{copies}x",
            Figure(value=told["documents_per_s"], unit="docs/CPU s", method=how),
        )
        yield (
            f"dedup_growth_{copies}x.memory",
            Figure(
                value=told["peak_mb"],
                unit="MB",
                method="above what the texts and the program take; " + how,
            ),
        )
        yield f"dedup_growth_{copies}x.left", Figure(
            value=told["left"], unit="documents", n=told["documents"],
            method="documents left; so many are different; " + how,
        )  # fmt: skip


def grow(num: int, copies: int) -> None:
    """In a process of its own, whose memory is its own."""
    chance = random.Random(1)
    vocabulary = [f"{chance.getrandbits(20):x}" for _ in range(30_000)]
    duplicates(table(["to compile everything " * 9] * 2 + ["some other words for once " * 9]))
    texts = []
    for _ in range(num):
        words = chance.choices(vocabulary, k=200)
        for _ in range(copies):
            edited = list(words)
            for _ in range(2 if copies > 1 else 0):
                edited[chance.randrange(200)] = chance.choice(vocabulary)
            texts.append(" ".join(edited))
    records = table(texts)
    texts.clear()
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
    before = _status_kb("VmRSS")
    began_s = time.process_time()
    findings = duplicates(records)
    spent_s = time.process_time() - began_s
    print(
        json.dumps(
            {
                "documents": len(records),
                "documents_per_s": len(records) / spent_s,
                "peak_mb": (_status_kb("VmHWM") - before) / 1024,
                "left": findings.cause.null_count,
            }
        )
    )


def _status_kb(name: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0])


def similar(quick: bool) -> Figures:
    """Character TF-IDF against people's judgement of sentences."""
    with (shared() / "neardup" / "stsb-en-test.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    texts = texts_of(pa.array([row[0] for row in rows] + [row[1] for row in rows]))
    weighted = tfidf(character_counts(texts, Similar()))
    cosine = np.asarray(weighted[: len(rows)].multiply(weighted[len(rows) :]).sum(1)).ravel()
    yield "similar_spearman", Figure(
        value=float(spearmanr(cosine, [float(row[2]) for row in rows])[0]), unit="", n=len(rows),
        method="rank correlation of cosines with people's scores, STS-B test; no model, nothing fitted",
    )  # fmt: skip


def linked(quick: bool) -> Figures:
    """Rows that are one thing, without labels."""
    for name, file, fields, key in (
        ("linkage_f1_persons", "febrl_dataset3.csv.gz", FEBRL_FIELDS, "rec_id"),
        ("linkage_f1_providers", "messy_providers_with_ids.csv.gz", PROVIDER_FIELDS, "True Id"),
    ):
        with gzip.open(shared() / "tabular" / file) as raw:
            text = io.TextIOWrapper(raw, encoding="utf-8", errors="replace", newline="")
            rows = list(csv.DictReader(text, skipinitialspace=True))
        truth = [row[key].split("-")[1] if key == "rec_id" else row[key] for row in rows]
        columns = pa.table({each: [row[each].strip() or None for row in rows] for each in fields})
        began_s = time.process_time()
        entity = link(columns, Linkage(fields=fields)).entity.tolist()
        spent_s = time.process_time() - began_s
        both = _pairs(zip(entity, truth, strict=True))
        precision, recall = both / _pairs(entity), both / _pairs(truth)
        yield name, Figure(
            value=2 * precision * recall / (precision + recall), unit="", n=len(rows),
            method=f"pairwise F1 of clusters; precision {precision:.4f}, recall {recall:.4f}, "
            f"{spent_s:.1f} CPU s; no labels, defaults",
        )  # fmt: skip


def _pairs(names: object) -> int:
    counts = Counter(names)  # type: ignore[call-overload]
    return sum(size * (size - 1) // 2 for size in counts.values())


PARTS = {
    "found": found, "speed": speed, "minhash_vs_datasketch": beside, "growth": growth,
    "similar": similar, "linked": linked,
}  # fmt: skip


def measure(quick: bool) -> dict[str, Figure]:
    """Raises Unavailable without the shared data or datasketch."""
    return {name: figure for part in PARTS.values() for name, figure in part(quick)}


if __name__ == "__main__":
    if sys.argv[1:2] == ["grow"]:
        grow(int(sys.argv[2]), int(sys.argv[3]))
    else:
        sys.exit(main("data_dedup", (__doc__ or "").partition("\n")[0], PARTS))
