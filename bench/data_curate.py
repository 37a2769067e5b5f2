"""Curation of text beside datatrove and data-juicer: documents per CPU second, and whether the same ones stay.

    python bench/data_curate.py [--quick] [--json]

All three read the same JSON lines in processes of their own, in turns; start-up and first calls are not
counted. Where this checkout has no deduplication, neither side's is counted. Knows what is compared; how each runs is
in `data_curate_ours.py` and `data_curate_peer.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness
import peers
from data_curate_corpus import corpus
from harness import Figure, Figures, Unavailable
from tenfold.data.text.language import model_path

BENCH = Path(__file__).parent
SIZE, ROUNDS = 4200, 2
QUICK_SIZE = 300
KEPT_AT_LEAST = 20
"""Fewer documents on both sides make no agreement worth a figure."""


def measure(quick: bool) -> dict[str, Figure]:
    """`curate_vs_datatrove`, `filter_jaccard`, `curate_vs_datajuicer`. Raises Unavailable without the shared
    data; a peer that is not installed makes its own figures null."""
    figures: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory(prefix="tenfold-curate-") as folder:
        documents = Path(folder) / "documents.jsonl"
        wanted = corpus(_shared(), QUICK_SIZE if quick else SIZE)
        documents.write_text("".join(json.dumps(one) + "\n" for one in wanted))
        rounds = 1 if quick else ROUNDS
        for part in (_datatrove, _data_juicer):
            try:
                figures |= part(documents, wanted, rounds, Path(folder))
            except Unavailable as reason:
                missing = (
                    ("curate_vs_datatrove", "filter_jaccard")
                    if part is _datatrove
                    else ("curate_vs_datajuicer",)
                )
                for name in missing:
                    figures[name] = Figure(value=None, unit="", method=f"not measured: {reason}")
    return figures


def _datatrove(
    documents: Path, wanted: Sequence[dict[str, Any]], rounds: int, folder: Path
) -> dict[str, Figure]:
    ours, theirs = _in_turns("datatrove", "fineweb", documents, rounds, folder)
    whole = ours[0]["deduplicated"]
    key = "cpu_s" if whole else "filter_cpu_s"
    ratios = [b[key] / a[key] for a, b in zip(ours, theirs, strict=True)]
    steps = "repair, language, Gopher repetition and quality" + (", MinHash 14 x 8" * whole)
    size = f"{len(wanted)} documents, {sum(len(one['text']) for one in wanted) / 1e6:.0f} million characters"
    rate = len(wanted) / min(one[key] for one in ours)
    title = peers.title("datatrove")
    figures = {
        "curate_vs_datatrove": harness.spread(
            ratios, "x", f"{steps}; {size}; ours {rate:,.0f} documents per CPU second; "
            f"first calls cost {ours[-1]['first_s']:.1f} s of CPU, not counted", peer=title,
        ),
    }  # fmt: skip
    mine, other = set(ours[0]["filtered"]), set(theirs[0]["filtered"])
    if len(mine | other) < KEPT_AT_LEAST:
        raise Unavailable(f"only {len(mine | other)} documents stay after the filters")
    figures["filter_jaccard"] = Figure(
        value=len(mine & other) / len(mine | other),
        unit="",
        method=f"documents that stay after the filters, counted as datatrove counts: ours {len(mine)}, its {len(other)}",
        n=len(wanted),
        peer=title,
    )
    if whole:
        of = {one["id"]: one["of"] for one in wanted}
        a, b = ({of[one] for one in side[0]["kept"]} for side in (ours, theirs))
        figures["curate_kept_jaccard"] = Figure(
            value=len(a & b) / len(a | b), unit="", n=len(wanted), peer=title,
            method="the same after deduplication, by source document: which twin stays is free",
        )  # fmt: skip
    return figures


def _data_juicer(
    documents: Path, wanted: Sequence[dict[str, Any]], rounds: int, folder: Path
) -> dict[str, Figure]:
    ours, theirs = _in_turns("data-juicer", "plain", documents, rounds, folder)
    ratios = [b["cpu_s"] / a["cpu_s"] for a, b in zip(ours, theirs, strict=True)]
    return {
        "curate_vs_datajuicer": harness.spread(
            ratios, "x", f"its Unicode repair, alphanumeric share, character and word repetition, stop words and "
            f"MinHash on {len(wanted)} documents, against our repair in full form, language, Gopher's rules"
            + (" and MinHash" if ours[0]["deduplicated"] else "; we do not deduplicate in this checkout"),
            peer=peers.title("data-juicer"),
        )
    }  # fmt: skip


def _in_turns(
    peer: str, pipeline: str, documents: Path, rounds: int, folder: Path
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What both said, one after the other, as often as there are rounds."""
    python = peers.python(peer)
    ours, theirs = [], []
    for number in range(rounds):
        ours.append(_said([sys.executable, BENCH / "data_curate_ours.py", pipeline, documents]))
        place = folder / f"{peer}-{number}"
        theirs.append(
            _said([python, BENCH / "data_curate_peer.py", peer, documents, model_path(), place])
        )
    return ours, theirs


def _said(command: Sequence[str | Path]) -> dict[str, Any]:
    # Offline: a peer that would fetch a model or a package fails instead. One thread each: CPU is what counts.
    environment = harness.environment() | {
        "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "PIP_NO_INDEX": "1", "OMP_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, env=environment
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[1]} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    said: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return said


def _shared() -> Path:
    for place in (os.environ.get("TENFOLD_SHARED"), harness.ROOT.parent / "shared"):
        if place and (Path(place) / "data").is_dir():
            return Path(place)
    raise Unavailable("the shared data is not here; point TENFOLD_SHARED at its folder")


def figures(quick: bool) -> Figures:
    yield from measure(quick).items()


if __name__ == "__main__":
    sys.exit(harness.main("data_curate", __doc__.partition("\n")[0], {"curate": figures}))
