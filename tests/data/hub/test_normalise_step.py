"""Rows in one form as a step: a column is read by one plan, wherever its rows lie."""

from __future__ import annotations

import datetime

from tenfold import Factory

# Only the last day is above twelve: it alone proves which order the dates of the whole column have.
DAYS = [(day % 12 + 1, month % 12 + 1) for day in range(40) for month in range(100)] + [(25, 3)]


def test_the_last_row_decides_how_the_first_segment_is_read(tmp_path):
    lines = [
        f"{day}/{month}/2024;{n},5;{'n/a' if n % 7 else 'x' * 4000}"
        for n, (day, month) in enumerate(DAYS)
    ]
    (tmp_path / "table.csv").write_text("when;size;note\n" + "\n".join(lines) + "\n")
    with Factory("rows", directory=tmp_path) as factory:
        source = {"kind": "csv", "path": "table.csv", "licence": "CC0-1.0"}
        factory.add(
            "data.ingest", name="rows", config={"sources": [source], "segment_megabytes": 1}
        )
        factory.add("data.normalise", name="read", needs=["rows"])
        assert factory.run().ok
        read = factory.asset("read")
        assert len(read.segments()) > 1
        rows = [
            row
            for batch in read.batches(["tables.normalise.row", "row"])
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        ]
        assert len(rows) == len(DAYS)
        for (made, given), (day, month) in zip(rows, DAYS, strict=True):
            assert made["when"] == datetime.datetime(2024, month, day)
            assert made["size"] == float(given["size"].replace(",", "."))
        assert given["when"] == "25/3/2024"
