"""Tables of four kinds, drawn from known laws, and the Adult table where the machine has it."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
pytest.importorskip("sklearn")

import numpy as np
import pyarrow as pa
from pyarrow import csv

ADULT = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education_num",
    "marital",
    "occupation",
    "relationship",
    "race",
    "sex",
    "gain",
    "loss",
    "hours",
    "country",
    "income",
]
Make = Callable[[int, int], pa.Table]


def numeric(rows: int, seed: int) -> pa.Table:
    """Measured numbers that follow each other closely: lines, a parabola, a sum, a heavy tail."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((rows, 4))
    law = np.random.default_rng(99).standard_normal((4, 6))  # the same for every draw of rows
    mixed = base @ law * 0.7
    noise = np.random.default_rng(seed + 1).standard_normal((rows, 6))
    columns = {f"x{k}": np.round(mixed[:, k] + 0.3 * noise[:, k], 4) for k in range(6)}
    columns["square"] = np.round(mixed[:, 0] ** 2 + 0.1 * noise[:, 1], 4)
    columns["tail"] = np.round(np.exp(1.5 * base[:, 0] + 0.2 * noise[:, 2]), 3)
    columns["count"] = np.random.default_rng(seed + 2).poisson(np.exp(0.5 * base[:, 1]))
    return pa.table(columns)


def wide(rows: int, seed: int) -> pa.Table:
    """Categories, some of many values: shop, city in it, product by a power law, channel."""
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, 801)
    product = rng.choice(800, rows, p=weights / weights.sum())
    city = rng.choice(120, rows, p=np.full(120, 1 / 120))
    kind = (product * 7 + rng.choice(3, rows, p=[0.8, 0.1, 0.1])) % 11
    channel = np.where(rng.random(rows) < 0.7, city % 3, rng.integers(0, 3, rows))
    return pa.table({
        "product": [f"p{each:03}" for each in product],
        "city": [f"c{each}" for each in city],
        "country": [f"l{each % 9}" for each in city],
        "kind": [f"k{each}" for each in kind],
        "channel": [("web", "shop", "phone")[each] for each in channel],
        "gift": (rng.random(rows) < 0.1 + 0.3 * (kind == 4)).tolist(),
    })  # fmt: skip


def dated(rows: int, seed: int) -> pa.Table:
    """Orders: placed, paid soon after or never, sent later; amount by weekday."""
    rng = np.random.default_rng(seed)
    placed = np.datetime64("2023-01-01") + rng.integers(0, 730, rows).astype("timedelta64[D]")
    due = placed + rng.integers(7, 31, rows).astype("timedelta64[D]")
    seconds = (rng.exponential(40_000, rows)).astype("timedelta64[s]")
    paid = placed.astype("datetime64[us]") + seconds
    never = rng.random(rows) < 0.15
    amount = np.round(np.exp(3 + rng.standard_normal(rows) * 0.6), 2)
    return pa.table({
        "placed": pa.array(placed), "due": pa.array(due), "paid": pa.array(paid, mask=never),
        "amount": amount, "state": np.where(never, "open", "paid").tolist(),
    })  # fmt: skip


def missing(rows: int, seed: int) -> pa.Table:
    """Missing values by three laws: at random, by another column, by the value itself."""
    rng = np.random.default_rng(seed)
    group = rng.choice(5, rows, p=[0.4, 0.3, 0.2, 0.07, 0.03])
    income = np.round(np.exp(7 + 0.3 * group + 0.5 * rng.standard_normal(rows)))
    age = rng.integers(18, 80, rows).astype(float)
    score = np.round(rng.normal(50 + 5 * group, 10), 1)
    return pa.table({
        "group": pa.array([f"g{each}" for each in group], mask=rng.random(rows) < 0.05),
        "age": pa.array(age, pa.int32(), mask=(group == 2) & (rng.random(rows) < 0.6)),
        "income": pa.array(income, mask=rng.random(rows) < np.clip(income / 8000, 0, 0.7)),
        "score": pa.array(score, mask=rng.random(rows) < 0.2),
        "nothing": pa.nulls(rows, pa.float64()),
        "member": pa.array((score > 55).tolist(), mask=rng.random(rows) < 0.1),
    })  # fmt: skip


KINDS: dict[str, Make] = {"numeric": numeric, "wide": wide, "dated": dated, "missing": missing}


def read_adult(folder: Path) -> pa.Table:
    """32,561 rows, `?` as missing."""
    text = gzip.decompress((folder / "tabular" / "adult_train.csv.gz").read_bytes()).decode()
    lines = [line.replace(", ", ",") for line in text.splitlines() if line.strip()]
    return csv.read_csv(
        io.BytesIO("\n".join(lines).encode()),
        read_options=csv.ReadOptions(column_names=ADULT),
        convert_options=csv.ConvertOptions(null_values=["?"], strings_can_be_null=True),
    )


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Make:
    return KINDS[request.param]


@pytest.fixture(scope="session")
def adult(shared: Path) -> pa.Table:
    """Shuffled once, so that slices are random parts."""
    table = read_adult(shared)
    return table.take(np.random.default_rng(0).permutation(table.num_rows))
