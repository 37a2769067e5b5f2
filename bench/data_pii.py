"""Structured personal data: recall, precision and speed on labelled sentences, beside presidio.

    python bench/data_pii.py [--quick] [--json]

The sentences are presidio-research's (shared data, 1,500). A span is caught when a find of its kind covers it; a
find is right when it overlaps a span of its kind. Knows formats of finds, not how they are found.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import peers
from harness import ROOT, Figure, Figures, Unavailable, main, spread
from tenfold.core import pii

KINDS = {
    "EMAIL_ADDRESS": "email", "IBAN_CODE": "iban", "CREDIT_CARD": "card", "IP_ADDRESS": "ip",
    "US_SSN": "ssn", "PHONE_NUMBER": "phone", "DOMAIN_NAME": "url", "URL": "url",
}  # fmt: skip
"""Labels of the data set and of presidio -> kinds."""
WANTED = ("email", "iban", "card", "ip", "ssn", "phone", "url")
Gold = list[tuple[int, int, str]]


def shared() -> Path:
    """The folder of shared data. Raises Unavailable."""
    place = os.environ.get("TENFOLD_SHARED")
    folder = Path(place) if place else ROOT.parent / "shared"
    if not (folder / "data" / "pii").is_dir():
        raise Unavailable("the shared data are not here (TENFOLD_SHARED)")
    return folder / "data"


def labelled() -> tuple[list[str], list[Gold]]:
    rows = json.loads(gzip.decompress((shared() / "pii" / "synth_dataset_v2.json.gz").read_bytes()))
    golds = [
        [
            (s["start_position"], s["end_position"], KINDS[s["entity_type"]])
            for s in row["spans"]
            if s["entity_type"] in KINDS
        ]
        for row in rows
    ]
    return [row["full_text"] for row in rows], golds


class Score:
    """Of finds against labels, by kind."""

    def __init__(self, golds: list[Gold], found: list[Gold]) -> None:
        self.labelled, self.caught = Counter[str](), Counter[str]()
        self.hits, self.right = Counter[str](), Counter[str]()
        for gold, finds in zip(golds, found, strict=True):
            for start, end, kind in gold:
                self.labelled[kind] += 1
                self.caught[kind] += any(k == kind and a <= start and end <= b for a, b, k in finds)
            for a, b, kind in finds:
                self.hits[kind] += 1
                self.right[kind] += any(
                    k == kind and a < end and start < b for start, end, k in gold
                )

    def recall(self, *kinds: str) -> float:
        return sum(self.caught[k] for k in kinds) / sum(self.labelled[k] for k in kinds)

    def precision(self, *kinds: str) -> float:
        return sum(self.right[k] for k in kinds) / max(1, sum(self.hits[k] for k in kinds))


class Presidio:
    """The peer, warm, in a process of its own environment."""

    def __init__(self) -> None:
        python = peers.python("presidio")
        script = Path(__file__).with_name("data_pii_peer.py")
        self._child = subprocess.Popen(
            [python, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._say({"entities": [e for e in KINDS if e != "DOMAIN_NAME"]})

    def __enter__(self) -> Presidio:
        return self

    def __exit__(self, *exc: object) -> None:
        self._child.communicate()

    def find(self, texts: list[str]) -> tuple[float, list[Gold]]:
        """CPU seconds, finds."""
        self._say(texts)
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise Unavailable("presidio ended without an answer")
        told = json.loads(line)
        return told["cpu_s"], [[(a, b, KINDS[e]) for a, b, e in finds] for finds in told["found"]]

    def _say(self, value: Any) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(value) + "\n")
        self._child.stdin.flush()


def ours(texts: list[str]) -> tuple[float, list[Gold]]:
    started_s = time.process_time()
    found = pii.find_many(texts, WANTED)
    cpu_s = time.process_time() - started_s
    return cpu_s, [[(s.start, s.end, s.kind) for s in spans] for spans in found]


def measure(quick: bool) -> dict[str, Figure]:
    """Raises Unavailable without the sentences or the peer."""
    texts, golds = labelled()
    score = Score(golds, ours(texts)[1])
    n = sum(score.labelled.values())
    figures = {
        "pii_structured_recall": Figure(
            value=score.recall(*WANTED), unit="", n=n, method="share of labelled spans covered by a find of their kind"
        ),
        "pii_phone_recall": Figure(
            value=score.recall("phone"), unit="", n=score.labelled["phone"], method="the same, phone numbers alone"
        ),
        "pii_structured_precision": Figure(
            value=score.precision(*WANTED), unit="", n=sum(score.hits.values()),
            method="share of finds that overlap a label of their kind",
        ),
    }  # fmt: skip
    rounds = 2 if quick else 5
    some = texts[:300] if quick else texts
    with Presidio() as peer:
        peer.find(some[:50])
        ratios, theirs = [], []
        for _ in range(rounds):
            peer_s, theirs = peer.find(some)
            our_s, _ = ours(some)
            ratios.append(peer_s / our_s)
    other = Score(golds[: len(some)], theirs)
    present = [kind for kind in WANTED if other.labelled[kind]]
    name = peers.title("presidio")
    figures["pii_speed_vs_presidio"] = spread(
        ratios,
        "x",
        "its CPU seconds over ours for the same sentences and entities, alternating rounds",
        peer=name,
    )
    figures["pii_peer_recall"] = Figure(
        value=other.recall(*present),
        unit="",
        n=sum(other.labelled.values()),
        method="the peer's, counted alike",
        peer=name,
    )
    figures["pii_peer_precision"] = Figure(
        value=other.precision(*present),
        unit="",
        n=sum(other.hits.values()),
        method="the peer's, counted alike",
        peer=name,
    )
    return figures


def _figures(quick: bool) -> Figures:
    yield from measure(quick).items()


if __name__ == "__main__":
    sys.exit(main("data_pii", (__doc__ or "").partition("\n")[0], {"pii": _figures}))
