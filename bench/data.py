"""The data hub in figures: curation, main text, duplicates, personal data, synthesis, images, retrieval, erasure.

    python bench/data.py [--quick] [--json] [--only PART,...]

Peers are made once with `python bench/peers.py`; the real data lies in `shared` beside the checkout. Each part is
a bench of its own (`bench/data_<part>.py`). A full run writes bench/results/data.json and data.md. docs/benches.md
says what each figure means.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial

import harness
from harness import Figure, Figures

PARTS = {
    "cold_start_s": "data_hub",
    "curate_vs_datatrove": "data_curate",
    "html_f1": "data_html",
    "neardup_recall_90": "data_dedup",
    "pii_structured_recall": "data_pii",
    "synth_judge_auc": "data_synth",
    "image_neardup_recall": "data_images",
    "superseded_above_pct": "data_retrieval",
    "erasure_bytes_left": "data_erase",
}
"""A main figure of each part -> its module. Their `measure(quick)` gives all their figures."""


def measure(module: str, quick: bool) -> Figures:
    part: Callable[[bool], Figures | dict[str, Figure]] = importlib.import_module(module).measure
    yield from dict(part(quick)).items()


def main() -> int:
    about = (__doc__ or "").partition("\n")[0]
    parts = {name: partial(measure, module) for name, module in PARTS.items()}
    return harness.main("data", about, parts)


if __name__ == "__main__":
    sys.exit(main())
