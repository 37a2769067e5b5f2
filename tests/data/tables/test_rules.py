from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

pytest.importorskip("pyarrow")
import pyarrow as pa
from pyarrow import csv

from tenfold.core.asset import Table
from tenfold.data.tables import arrow, rules
from tenfold.data.tables.check import check
from tenfold.data.tables.draft import draft
from tenfold.data.tables.drift import drift
from tenfold.data.tables.profile import Profile, profile
from tenfold.data.tables.validate import RULES, validate
from tenfold.errors import CheckFailed, InputError


def orders(rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 1000, rows)
    return pa.table({
        "id": np.arange(rows) + 1, "code": [f"AB-{k:04}" for k in rng.integers(0, 9999, rows)],
        "country": rng.choice(["de", "fr", "us"], rows).tolist(), "start": start,
        "end": start + rng.integers(0, 30, rows), "price": np.round(rng.random(rows) * 90, 2),
        "note": pa.array(["x"] * rows, mask=rng.random(rows) < 0.5),
    })  # fmt: skip


def test_a_draft_says_what_the_table_is_and_survives_yaml():
    others = {"countries": pa.table({"country": ["de", "fr", "us", "it"]})}
    made = draft(orders(400, 1), others)
    assert made.key == ("id",)
    assert ("start", "end") in made.orders
    assert made.columns["country"].allowed == ("de", "fr", "us")
    assert made.columns["code"].pattern == r"[A-Z]{2}\-\d{4}"
    assert made.columns["price"].required
    assert not made.columns["note"].required
    assert made.references[0].table == "countries"
    assert rules.from_yaml(made.to_yaml()) == made
    assert rules.from_yaml(json.dumps(made.to_plain())) == made


def test_a_table_keeps_its_own_draft_and_so_do_further_rows():
    made = draft(orders(400, 1))
    assert check(orders(400, 1), made) == []
    assert check(orders(400, 2), made) == []


def test_every_planted_fault_is_found_at_its_place():
    table = orders(300, 2)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    columns["id"][7] = columns["id"][6]
    columns["country"][10] = "xx"
    columns["code"][11] = "AB-12"
    columns["end"][12] = -500
    columns["price"][13] = 9e6
    columns["price"][14] = None
    found = {each.rule: each for each in check(pa.table(columns), draft(orders(400, 1)))}
    places = {rule: [place for place, _ in each.examples] for rule, each in found.items()}
    assert places == {
        "id.unique": [6, 7], "key": [6, 7], "country.allowed": [10], "code.pattern": [11],
        "end.low": [12], "start <= end": [12], "price.high": [13], "price.required": [14],
    }  # fmt: skip


def test_adults_rules_hold_in_its_test_part(shared):
    """Drafted on 32,561 rows by others, checked on the 16,281 they were published with."""
    parts = []
    for part in ("train", "test"):
        data = gzip.decompress((shared / "tabular" / f"adult_{part}.csv.gz").read_bytes())
        lines = [
            line.replace(", ", ",") for line in data.decode().splitlines() if line.count(",") == 14
        ]
        names = [f"c{k}" for k in range(15)]
        parts.append(
            csv.read_csv(
                pa.BufferReader("\n".join(lines).encode()),
                read_options=csv.ReadOptions(column_names=names),
            ).drop_columns(["c14"])
        )
    made = draft(parts[0])
    assert ("c3", "c4") in made.decides
    assert max((each.broken for each in check(parts[1], made)), default=0) <= 3


def test_references_name_the_strangers():
    made = draft(orders(100, 1), {"countries": pa.table({"country": ["de", "fr", "us"]})})
    found = check(orders(100, 1), made, {"countries": pa.table({"country": ["de", "fr"]})})
    assert [each.rule for each in found] == ["country -> countries.country"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("columns: {a: {type: strange}}", "type must be one of"),
        ("columns: {a: {type: text, patern: x}}", "no such rule"),
        ("columns: {a: {type: text, pattern: '('}}", "not a regular expression"),
        ("orders: [[a]]", "two columns"),
        ("columns: [", "not YAML"),
    ],
)
def test_faults_of_a_rules_file_have_their_place(text, message):
    with pytest.raises(InputError, match=message) as raised:
        rules.from_yaml(text, "my.yaml")
    assert raised.value.where.startswith("my.yaml")


def test_drift_sees_a_shift_and_no_chance():
    rng = np.random.default_rng(1)
    for draw in (lambda n: rng.normal(0, 1, n), lambda n: rng.choice(["a", "b", "c"], n).tolist()):
        before = Profile.from_json(
            json.loads(json.dumps(profile("x", pa.chunked_array([draw(500)])).to_json()))
        )
        quiet = [drift(before, pa.chunked_array([draw(200)])).shifted for _ in range(50)]
        assert sum(quiet) == 0
    before = profile("x", pa.chunked_array([rng.normal(0, 1, 500)]))
    assert drift(before, pa.chunked_array([rng.normal(1, 1, 200)])).shifted
    assert drift(before, pa.chunked_array([["a"] * 20])).note == "was number, is text"


def test_the_step_writes_rules_and_fails_only_when_told(run, ctx, commit):
    good = commit(Table.write(arrow.to_rows(orders(200, 1))), "good")
    rows = list(arrow.to_rows(orders(200, 2)))
    rows[3]["country"] = "xx"
    bad = commit(Table.write(rows), "bad")
    report = run(validate, bad, good)
    assert [each["rule"] for each in report.content["broken"]] == ["country.allowed"]
    assert report.content["broken"][0]["examples"] == [[3, "xx"]]
    assert ctx.metrics["rules_broken"] == 1
    assert rules.from_yaml(report.read_bytes(RULES).decode()).key == ("id",)
    with pytest.raises(CheckFailed, match=r"country\.allowed"):
        run(validate, bad, good, on_broken="fail")
