from __future__ import annotations

import pickle
from datetime import datetime

import pytest

pytest.importorskip("pyarrow")
import pyarrow as pa

from tenfold.data import record
from tenfold.data.operator import identity
from tenfold.data.tables.column import infer
from tenfold.data.tables.normalise import ROW, UNREAD, Normalise, normalised, plans


def test_one_cell_decides_for_its_column():
    assert infer("a", ["1,234", "2,500", "1,5"]).mark == ","
    assert infer("a", ["1,234", "2,500", "1,234,567"]).mark == "."
    assert infer("d", ["03/04/2025", "13/04/2025"]).order == "dmy"
    assert infer("d", ["03/04/2025", "04/13/2025"]).order == "mdy"


def test_an_undecided_column_is_reported_and_stays_text():
    for cells in (["1,234", "2,500", "900"], ["03/04/2025", "05/06/2025"]):
        plan = infer("a", cells)
        assert plan.kind == "text"
        assert "two readings" in plan.ambiguous
        table, _ = normalised(pa.table({"a": cells}), (plan,))
        assert table.column("a").to_pylist() == cells


def test_a_mixed_column_reads_what_is_proven_only():
    cells = ["1,5", "2.5", "1.234,5", "3,25", "7,75", "6,5", "4,5", "5,5", "9,5", "1,234"]
    plan = infer("a", cells)
    table, unread = normalised(pa.table({"a": cells}), (plan,))
    assert table.column("a").to_pylist()[:3] == [1.5, 2.5, 1234.5]
    assert unread == {"a": [9]}


def test_kinds_of_columns():
    cases = {
        "number": ["1", "2.5", "n/a", "(3)"], "quantity": ["5 lb", "2 kg", "-"],
        "money": ["€5", "10 USD"], "truth": ["ja", "nein", ""], "text": ["01234", "90210"],
        "empty": ["", None, "NULL"], "date": ["2025-01-02", "2025-02-03"],
    }  # fmt: skip
    assert {kind: infer("x", cells).kind for kind, cells in cases.items()} == {
        kind: kind for kind in cases
    }
    assert infer("created_at", ["1700000000", "1700000300"]).kind == "unix"
    assert infer("Datum", ["45000", "45001.5"]).kind == "serial"
    assert infer("price", ["45000", "45001.5"]).kind == "number"
    assert infer("x", ["5 kg", "3 m", "2 s"]).ambiguous.startswith("unit")
    assert infer("x", ["1", "n/a", "N/A"]).missing == (("N/A", 1), ("n/a", 1))


def test_the_operator_keeps_the_original_and_names_what_it_cannot_read():
    cells = {
        "weight": ["1 kg", "1000 g"] + ["2 lb"] * 17 + ["heavy"],
        "price": ["1.234,50 €"] * 20,
        "day": ["13/04/2025"] * 20,
    }
    table = pa.table(cells)
    operator = Normalise(by=plans(table))
    row = pa.StructArray.from_arrays(
        [column.combine_chunks() for column in table.columns], names=table.column_names
    )
    about = {
        "id": [f"{k:016x}" for k in range(20)], "source": ["s"] * 20, "place": ["p"] * 20,
        "modality": ["row"] * 20, "time": [None] * 20, "licence": ["CC0-1.0"] * 20,
        "authority": [1.0] * 20, "subjects": [None] * 20, "meta": [None] * 20, "drop": [None] * 20,
    }  # fmt: skip
    schema = record.schema("row", row.type)
    batch = pa.record_batch(
        [pa.array(about[f.name], f.type) if f.name in about else row for f in schema], schema
    )
    made = pickle.loads(pickle.dumps(operator))(batch)
    assert made.column("row").equals(row)
    read = made.column(ROW).to_pylist()
    assert read[0]["weight"] == read[1]["weight"] == 1.0
    assert read[0]["price"] == 1234.5
    assert read[0]["price.currency"] == "EUR"
    assert read[0]["day"] == datetime(2025, 4, 13)
    assert read[19]["weight"] is None
    assert made.column(UNREAD).to_pylist() == [[]] * 19 + [["weight"]]
    assert operator(batch.slice(5, 3)).equals(made.slice(5, 3))  # a batch stands for itself
    assert identity(operator)["parameters"]["by"][0]["name"] == "weight"
