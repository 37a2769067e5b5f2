"""Whatever fact is recorded comes back equal, from every database."""

from __future__ import annotations

import dataclasses
import math
import types
import uuid
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.core import facts
from tenfold.core.asset import FileRef, Manifest
from tenfold.ledger.sql import SqlLedger
from tenfold.ledger.tables import TABLES

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
whole = st.integers(-(2**53), 2**53)
real = st.floats(allow_nan=False)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_text = st.text(
    st.characters(exclude_categories=["Cs"]), max_size=20
)  # NUL is fine inside JSON
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | finite.map(lambda f: f + 0.0) | json_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(json_text, inner, max_size=3),
    max_leaves=6,
)
manifests = st.builds(
    Manifest,
    text,
    st.dictionaries(json_text, st.builds(FileRef, json_text, st.integers(0, 2**53)), max_size=3),
    st.dictionaries(json_text, json_value, max_size=3),
)


def strategy(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotated type, as the facts use them."""
    if get_origin(hint) in (Union, types.UnionType):
        return st.one_of(*(strategy(choice) for choice in get_args(hint)))
    if get_origin(hint) is tuple:
        items = get_args(hint)
        if items[-1] is Ellipsis:
            return st.lists(strategy(items[0]), max_size=3).map(tuple)
        return st.tuples(*(strategy(item) for item in items))
    if get_origin(hint) is Mapping:
        return st.dictionaries(json_text, json_value, max_size=3)
    if dataclasses.is_dataclass(hint) and hint is not Manifest:
        return instances(hint, finite)  # inside JSON: finite only
    simple = {
        str: text,
        int: whole,
        float: real,
        bool: st.booleans(),
        type(None): st.none(),
        Any: json_value,
        Manifest: manifests,
    }
    return simple[hint]


def instances(kind: Any, number: st.SearchStrategy[float] = real) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind)
    return st.builds(
        kind,
        **{
            field.name: number.map(lambda f: f + 0.0)
            if hints[field.name] is float
            else strategy(hints[field.name])
            for field in dataclasses.fields(kind)
            if field.name != "seq"
        },
    )


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_fact_comes_back(ledger: SqlLedger, kind: type, data: st.DataObject) -> None:
    fact = data.draw(instances(kind, finite if kind is facts.AuditEntry else real))
    if kind is facts.AuditEntry:
        ledger.audit(fact.actor, fact.action, fact.subject, fact.detail, fact.at_s)
        found = ledger.read(kind)[-1]
        found, fact = (dataclasses.replace(e, previous="", hash="", seq=0) for e in (found, fact))
        assert found == fact
        return
    # What names a record must be new: examples share a ledger.
    new = {name: f"{uuid.uuid4()} {getattr(fact, name)}" for name in _NAMES.get(kind, ())}
    fact = dataclasses.replace(fact, **new)
    if kind is facts.StepResult:
        ledger.commit(fact)
    elif TABLES[kind].identity:
        ledger.put(fact)
    else:
        ledger.append([fact])
    [found] = ledger.read(kind, **new) if new else ledger.read(kind)[-1:]
    if hasattr(found, "seq"):
        assert found.seq > 0
        found = dataclasses.replace(found, seq=0)
    assert found == fact


_NAMES: dict[type, tuple[str, ...]] = {
    facts.StepResult: ("key",),
    facts.Partial: ("key",),
    facts.Run: ("id",),
    facts.RunStep: ("run_id",),
    facts.VirtualKey: ("name", "sha256"),
    facts.Metric: ("key",),
    facts.RequestEvent: ("id",),
}


def test_numbers_that_are_none_and_infinite(ledger: SqlLedger) -> None:
    def metric(name: str, value: float) -> facts.Metric:
        return facts.Metric(key="k", run_id="r", asset="a", name=name, value=value)

    ledger.append([metric("nan", math.nan), metric("inf", math.inf), metric("-inf", -math.inf)])
    found = {m.name: m.value for m in ledger.read(facts.Metric, key="k")}
    assert math.isnan(found["nan"])
    assert found["inf"] == math.inf
    assert found["-inf"] == -math.inf


def test_text_no_database_can_hold_is_recorded_readably(ledger: SqlLedger) -> None:
    """A file name that is not UTF-8 in an error message, a NUL a client sent as a model name."""
    row = facts.RunStep(run_id="r", asset="a", step="s", status="failed", error="no \udcff file\0!")
    ledger.put(row)
    [found] = ledger.read(facts.RunStep, run_id="r")
    assert found.error is not None
    assert found.error.startswith("no ")
    assert found.error.endswith(" file\ufffd!")
