"""Steps: what the decorator reads off a function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

import tenfold
from tenfold.core.asset import Corpus, Model, Report, Table
from tenfold.core.step import Context, Step, step
from tenfold.errors import ConfigError


def test_a_function_with_keyword_settings() -> None:
    @tenfold.step(version="2", resources=tenfold.Resources(cpu=2), retries=1)
    def summaries(clean: Table, model: Model, ctx: Context, *, max_words: int = 60) -> Report:
        """Short ones."""
        return clean, model, ctx, max_words  # type: ignore[return-value]

    assert isinstance(summaries, Step)
    assert summaries.name.endswith(":summaries")
    assert summaries.__doc__ == "Short ones."
    assert dict(summaries.inputs) == {"clean": "table", "model": "model"}
    assert summaries.output == "report"
    assert (summaries.version, summaries.retries, summaries.resources.cpu) == ("2", 1, 2)
    assert summaries.configure({}) == {"max_words": 60}
    assert summaries("c", "m", "x", max_words=3) == ("c", "m", "x", 3)  # still a function
    assert summaries.invoke(["c", "m"], "x", {"max_words": 3}) == ("c", "m", "x", 3)  # type: ignore


def test_a_bare_decorator_and_no_context() -> None:
    @step
    def plain(corpus: Corpus) -> dict[str, Any]:
        return {"corpus": corpus}

    assert plain.version == "1"
    assert plain.output == "asset"
    assert plain.invoke(["c"], None, {}) == {"corpus": "c"}  # type: ignore[list-item,arg-type]


def test_any_number_of_inputs() -> None:
    @step(version="1")
    def merge(first: Table, *rest: Table, ctx: Context, sep: str = ",") -> Any:
        return first, rest, sep

    assert merge.variadic == "rest"
    assert merge.invoke([1, 2, 3], None, {"sep": ";"}) == (1, (2, 3), ";")  # type: ignore


def test_produces_says_the_kind() -> None:
    @step(version="1", produces=Model, name="train.it")
    def train(ctx: Context) -> Any: ...

    assert (train.name, train.output) == ("train.it", "model")


def test_a_config_must_be_a_dataclass() -> None:
    with pytest.raises(ConfigError, match="dataclass"):

        @step(version="1")
        def bad(ctx: Context, config: dict) -> Any: ...


def test_a_required_setting() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Config:
        source: str

    def make(ctx: Context, config: Any) -> Any: ...

    make.__annotations__["config"] = Config
    with pytest.raises(ConfigError, match="'source' is required"):
        step(version="1", name="s")(make).configure({})


def test_an_annotation_that_cannot_be_resolved() -> None:
    with pytest.raises(ConfigError, match="cannot be resolved: name 'Nowhere'"):

        @step(version="1")
        def bad(ctx: Nowhere) -> Any: ...  # type: ignore[name-defined]  # noqa: F821
