"""Erasing one person from a store of 100 MB and more: bytes left, and seconds per 100 MB.

    python bench/data_erase.py [--quick] [--json]

A person of Febrl-3 (shared data) stands in her rows, and is planted by mail address, phone number, name and id
into texts, a Parquet segment, packed JSON Lines and the ledger. What is left is counted by reading every byte
of the store again by means of this script's own, in spellings of its own. Knows nothing of how it is erased.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from data_pii import shared
from harness import Figure, Figures, main, spread
from tenfold.core.asset import Asset, Corpus, Document, Draft, Table
from tenfold.core.facts import Event
from tenfold.core.step import Context, step
from tenfold.factory import Factory, erasing

Row = dict[str, Any]
PARTS = 8
"""Corpora in the store, each with a Parquet segment and packed lines made of it."""


def persons() -> list[Row]:
    text = gzip.decompress((shared() / "tabular" / "febrl_dataset3.csv.gz").read_bytes()).decode()
    rows = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    return [{k.strip(): (v or "").strip() for k, v in row.items()} for row in rows]


def paragraphs(num_bytes: int) -> list[str]:
    """Of the PEPs, over and over until there are enough."""
    with tarfile.open(shared() / "text" / "peps.tar.gz") as archive:
        whole = [
            archive.extractfile(m).read().decode(errors="replace")  # type: ignore[union-attr]
            for m in archive
            if m.isfile()
        ]
    parts = [p for text in whole for p in text.split("\n\n") if len(p) > 80]
    made: list[str] = []
    size = 0
    while size < num_bytes:
        for number, part in enumerate(parts):
            made.append(f"{part}\n({len(made)}.{number})")
            size += len(part) + 12
            if size >= num_bytes:
                break
    return made


@step(version="1", name="bench.rows", produces=Table)
def rows(*, ctx: Context) -> Draft:
    return Table.write(persons(), draft=ctx.draft(Table.kind))


@step(version="1", name="bench.texts", produces=Corpus)
def texts(*, ctx: Context, planted: list[str], num_bytes: int, part: int) -> Draft:
    given = [f"{part}: {text}" for text in paragraphs(num_bytes)]
    draw = random.Random(0)
    for text in planted:
        given[draw.randrange(len(given))] += "\n" + text
    made = (Document(id=str(n), text=t, source="peps", licence="CC0") for n, t in enumerate(given))
    return Corpus.write(ctx.draft(Corpus.kind), made)


@step(version="1", name="bench.segments", produces=Asset)
def segments(documents: Corpus, *, ctx: Context) -> Draft:
    draft = ctx.draft("snapshot")
    given = [d.text for d in documents.documents()]
    table = pa.table({"text": given})
    pq.write_table(table, draft.path("0.parquet"), compression="zstd", row_group_size=20_000)
    packed = "".join(json.dumps({"text": text}) + "\n" for text in given[: len(given) // 4])
    draft.write_bytes("0.jsonl.gz", gzip.compress(packed.encode(), 1, mtime=0))
    return draft


def spellings(person: Row) -> list[str]:
    first, last = person["given_name"].title(), person["surname"].title()
    mail = f"{first}.{last}@cuvox.de".lower()
    return [
        f"Write to {mail}.", f"WRITE TO {mail.upper()}", f"{first} {last} said so.", f"({last}, {first})",
        "Phone: +61 2 5550 7391", "call 02/55 50 73 91", f"soc. {person['soc_sec_id']}",
        json.dumps({"who": f"{first}  {last}"}),
    ]  # fmt: skip


def once(num_bytes: int, seed: int, touched: int) -> tuple[int, float, int]:
    """Bytes left, CPU seconds of the erasure, bytes of the store. `touched`: parts of PARTS that she is in."""
    known = persons()
    draw = random.Random(seed)
    person = draw.choice(
        [p for p in known if p["given_name"] and len(p["soc_sec_id"]) == 7 and p["surname"]]
    )
    first, last = person["given_name"], person["surname"]
    who = [
        f"{first} {last}",
        f"{first}.{last}@cuvox.de",
        "+61 2 5550 7391",
        f"id: {person['soc_sec_id']}",
    ]
    with tempfile.TemporaryDirectory() as folder:
        factory = Factory("bench", directory=folder).add(rows)
        for part in range(PARTS):
            config = {
                "planted": spellings(person) if part < touched else [],
                "num_bytes": num_bytes // PARTS,
                "part": part,
            }
            factory.add(texts, name=f"texts{part}", config=config)
            factory.add(segments, name=f"segments{part}", needs=[f"texts{part}"])
        assert factory.run().ok
        factory.ledger.append([Event(run_id="r", asset="a", event="e", fields={"seen": who[1]})])
        store = Path(folder) / ".tenfold"
        size = sum(p.stat().st_size for p in store.rglob("*") if p.is_file())
        assert remains(store, person)
        started_s = time.process_time()
        erasing.erase(factory, erasing.read_person(who))
        cpu_s = time.process_time() - started_s
        factory.close()
        return remains(store, person), cpu_s, size


def remains(store: Path, person: Row) -> int:
    """Bytes of the planted spellings, and of her row, in every file, unpacked where it is packed."""
    first, last = person["given_name"].lower(), person["surname"].lower()
    needles = [f"{first}.{last}@", f"{first} {last}", f"{last}, {first}", "5550 7391", "55 50 73 91",
               f'"{person["soc_sec_id"]}"', f"soc. {person['soc_sec_id']}"]  # fmt: skip
    total = 0
    for path in store.rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        piles = [data]
        if data[:2] == b"\x1f\x8b":
            piles.append(gzip.decompress(data))
        if data[:4] == b"PAR1":
            piles.append("\n".join(pq.read_table(path).column("text").to_pylist()).encode())
        for pile in piles:
            low = pile.lower()
            total += sum(len(n) * low.count(n.encode()) for n in needles)
    return total


def measure(quick: bool) -> dict[str, Figure]:
    """Raises Unavailable without the shared data."""
    num_bytes = 8_000_000 if quick else 80_000_000
    once(800_000, 0, 1)  # imports are no part of it
    usual = [once(num_bytes, seed, 2) for seed in range(1 if quick else 3)]
    worst = [once(num_bytes, seed, PARTS) for seed in range(1 if quick else 3)]
    size = max(size for _, _, size in usual) / 1e6
    return {
        "erasure_bytes_left": Figure(
            value=max(left for left, _, _ in usual + worst), unit="bytes", n=len(usual + worst),
            method="of a person of Febrl-3, planted into texts, counted in every byte of the store (packed "
            "files unpacked, SQLite file included) by this script's own search",
        ),
        "erasure_s_per_100mb": spread(
            [cpu_s / (size / 1e8) for _, cpu_s, size in usual], "s",
            f"CPU seconds of searches, rewriting and ledger per 100 MB on disk; {size:.0f} MB, the person in 2 of {PARTS} parts",
        ),
        "erasure_worst_s_per_100mb": spread(
            [cpu_s / (size / 1e8) for _, cpu_s, size in worst], "s", "the same with the person in every part",
        ),
    }  # fmt: skip


def _figures(quick: bool) -> Figures:
    yield from measure(quick).items()


if __name__ == "__main__":
    sys.exit(main("data_erase", (__doc__ or "").partition("\n")[0], {"erase": _figures}))
