"""Our curation over a file of JSON lines, in a process of its own, as the peers run in theirs.

    python data_curate_ours.py {fineweb,plain} DOCUMENTS.jsonl

Says as one line of JSON what was kept and the CPU seconds it took, imports and the kernels' first call apart.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from tenfold.data import record
from tenfold.data.operator import Operator
from tenfold.data.text.language import Language
from tenfold.data.text.repair import Repair
from tenfold.data.text.rules import Rules

try:
    from tenfold.data.dedup.ladder import duplicates
except ModuleNotFoundError:  # no deduplication in this checkout: neither side's is counted then
    duplicates = None  # type: ignore[assignment]

PIPELINES: dict[str, Sequence[Operator]] = {
    "fineweb": (Language(), Repair(), Rules()),
    "plain": (Language(), Repair(form="full"), Rules()),
}
"""FineWeb's steps but for language before repair; `plain` also straightens quotes and widths, as
data-juicer's Unicode operator does."""
BATCH = 2048


def curated(table: pa.Table, operators: Sequence[Operator]) -> tuple[dict[str, Any], float]:
    """Ids after the filters and after deduplication, and CPU seconds of both and of the filters."""
    started_s = time.process_time()
    batches = []
    for batch in table.to_batches(max_chunksize=BATCH):
        for operator in operators:
            batch = operator(batch)
        batches.append(batch)
    done = pa.Table.from_batches(batches)
    filtered = done.filter(pc.is_null(done[record.DROP]))
    filtered_s = time.process_time() - started_s
    kept = filtered
    if duplicates is not None:
        found = duplicates(filtered)
        kept = filtered.filter(pc.is_null(found.cause))
    ids = {"filtered": filtered[record.PLACE].to_pylist(), "kept": kept[record.PLACE].to_pylist()}
    return ids, filtered_s


def records(documents: Path) -> pa.Table:
    read = pyarrow.json.read_json(
        documents,
        read_options=pyarrow.json.ReadOptions(use_threads=False, block_size=64 << 20),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=pa.schema([("id", pa.string()), ("text", pa.string())]),
            unexpected_field_behavior="ignore",
        ),
    )
    return about(read["id"], read["text"])


def about(ids: pa.ChunkedArray, texts: pa.ChunkedArray) -> pa.Table:
    """Records of one source around the texts; the document's id is the place."""
    num = len(ids)
    constant = {
        record.SOURCE: "bench", record.MODALITY: "text", record.LICENCE: "mixed", record.AUTHORITY: 1.0,
    }  # fmt: skip
    schema = record.ABOUT.append(pa.field(record.TEXT, pa.string()))
    columns = []
    for column in schema:
        if column.name in (record.ID, record.PLACE):
            columns.append(ids)
        elif column.name == record.TEXT:
            columns.append(texts)
        elif column.name in constant:
            columns.append(pa.repeat(pa.scalar(constant[column.name], column.type), num))
        else:
            columns.append(pa.nulls(num, column.type))
    return pa.table(columns, schema=schema)


def main() -> None:
    operators = PIPELINES[sys.argv[1]]
    words = "The first call of a kernel compiles it or loads what was compiled; nobody’s text is â€œthisâ€ one. "
    warm = pa.chunked_array([["a", "b"]]), pa.chunked_array([[words * 9, words * 8]])
    first_s = time.process_time()
    curated(about(*warm), operators)
    started_s = time.process_time()
    ids, filtered_s = curated(records(Path(sys.argv[2])), operators)
    whole_s = time.process_time() - started_s
    print(
        json.dumps(
            {
                **ids,
                "filter_cpu_s": filtered_s,
                "cpu_s": whole_s,
                "first_s": started_s - first_s,
                "deduplicated": duplicates is not None,
            }
        )
    )


if __name__ == "__main__":
    main()
