"""A real factory in a process of its own, to be killed: python refinery.py STORE CORES

Records -> refined -> final. marking.Says notes every segment that is worked on.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from tenfold.core.asset import Draft, Snapshot
from tenfold.core.segment import Segment
from tenfold.core.step import Context, step
from tenfold.data import record
from tenfold.data.hub.executor import Serial
from tenfold.data.hub.job import make
from tenfold.data.hub.reading import ReadingJob, read_source
from tenfold.data.hub.snapshot import Origin, write_snapshot
from tenfold.factory import Factory

RECORDS, CHARACTERS = 1_200, 4_000
SEGMENT_BYTES = 250_000


class Texts:
    """Hardly compressible, the same every time."""

    name, licence, authority, half_life_days = "texts", "CC0-1.0", 0.5, None

    def observe(self) -> Any:
        return None

    def read(self, cursor: str | None) -> Iterator[Any]:
        for start in range(0, RECORDS, 100):
            texts = [
                hashlib.shake_128(str(n).encode()).hexdigest(CHARACTERS // 2 - n % 50)
                for n in range(start, start + 100)
            ]
            yield pa.RecordBatch.from_pylist(
                [
                    {
                        "id": record.record_id("texts", text.encode()), "source": "texts",
                        "place": f"texts:{start + at}", "modality": "text", "licence": "CC0-1.0",
                        "authority": 0.5, "text": text,
                    }
                    for at, text in enumerate(texts)
                ],
                record.schema("text"),
            )  # fmt: skip


@step(version="1", name="test.records", produces=Snapshot)
def records(ctx: Context) -> Draft:
    [piece] = make(
        ctx, read_source, [ReadingJob(Texts(), {}, None, SEGMENT_BYTES)], Serial(), "read"
    )
    segments = [Segment.from_json(plain) for plain in piece.meta["segments"]]
    pairs = [(each, piece.files[f"{each.sha256}.parquet"]) for each in segments]
    return write_snapshot(ctx, ctx.draft("snapshot"), pairs, Origin(modality="text", recipe=[]))


def refinery(store: Path, cores: int) -> Factory:
    factory = Factory("refinery", store=str(store), directory=store.parent)
    factory._settings = dataclasses.replace(factory._settings, cpu=cores)
    operators = [{"marking:Length": {"least": 3_930}}, "marking:Says"]
    factory.add(records, name="records")
    factory.add("data.refine", name="refined", needs=["records"], config={"operators": operators})
    return factory.add("data.cut", name="final", needs=["refined"])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    with refinery(Path(sys.argv[1]), int(sys.argv[2])) as made:
        outcome = made.run()
        print(made.asset("final").digest if outcome.ok else outcome)
