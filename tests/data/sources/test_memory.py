"""Memory while reading what is far larger than memory should be, in processes of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pyarrow as pa
import pyarrow.parquet as pq

MOST_KIB = 160 << 10
"""A line of 16 MiB with its copies, batches of 8 MiB, and what is imported on the way."""


def taken(path, kind: str, **settings) -> tuple[list[str], int, int]:
    """Causes, records, and the KiB by which the peak grew while reading, as the system says."""
    code = f"""
        import resource
        from tenfold.data.sources.connector import Reading
        from tenfold.data.sources.kinds import connector
        source = connector({{"kind": {kind!r}, "path": {str(path)!r}, "licence": "x", **{settings!r}}})
        small = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        causes, records = [], 0
        for item in Reading(source):
            if hasattr(item, "cause"):
                causes.append(item.cause)
            else:
                records += item.num_rows
        print(*causes)
        print(records, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - small)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    causes, numbers = done.stdout.splitlines()
    records, grown = map(int, numbers.split())
    return causes.split(), records, grown


def test_a_line_of_a_gigabyte(tmp_path):
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "before"}\n')
        file.truncate(1 << 30)  # a hole: one line of NULs
        file.seek(0, 2)
        file.write(b'\n{"text": "after"}\n')
    causes, records, grown = taken(path, "jsonl")
    assert (causes, records) == (["too_long"], 2)
    assert grown < MOST_KIB


def test_a_dictionary_that_stands_for_far_more(tmp_path):
    """500 rows of one text of 1.3 MB: 650 MB of text in a file of a few KiB."""
    path = tmp_path / "a.parquet"
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 500), pa.array(["word " * (1 << 18)]))
    pq.write_table(pa.table({"text": text}), path)
    assert path.stat().st_size < 1 << 20
    causes, records, grown = taken(path, "parquet", modality="text")
    assert (causes, records) == ([], 500)
    assert grown < 2 * MOST_KIB
