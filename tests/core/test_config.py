"""Settings are read by type, and what is wrong is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.config import read_value
from tenfold.core.keys import canonical_json
from tenfold.core.step import Context, Step, step
from tenfold.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Rate:
    peak: float = 1
    decay: Literal["cosine", "linear"] = "cosine"


@dataclass(frozen=True, kw_only=True)
class Settings:
    steps: int
    rate: Rate = field(default_factory=Rate)
    suffixes: tuple[str, ...] = (".txt",)
    window: tuple[int, float] | None = None
    rates: Mapping[str, Rate] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError("steps must be 1 or more", seen=self.steps)


@step(version="1", name="train")
def train(ctx: Context, config: Settings) -> Any:
    return config


@step(version="1", name="plain")
def simple(*, lr: float = 1, words: tuple[str, ...] = (), rate: Rate = Rate(), maybe: int = None):  # type: ignore[assignment]  # noqa: RUF013
    return lr, words, rate, maybe


@pytest.mark.parametrize(
    ("hint", "value", "read"),
    [
        (int, 3, 3),
        (float, 3, 3.0),
        (str, "a", "a"),
        (bool, True, True),
        (int | None, None, None),
        (int | str, "x", "x"),
        (list[int], (1, 2), [1, 2]),
        (Sequence[int], [1, 2], [1, 2]),
        (tuple[int, ...], [1, 2, 3], [1, 2, 3]),
        (tuple[int, str], [1, "a"], [1, "a"]),
        (list, [1, "a"], [1, "a"]),
        (dict[str, float], {"a": 1}, {"a": 1.0}),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (Literal["a", 1], 1, 1),
        (Any, {"a": (1,)}, {"a": [1]}),
        (Rate, {"peak": 2}, {"peak": 2.0, "decay": "cosine"}),
        (Rate | None, {"peak": 2}, {"peak": 2.0, "decay": "cosine"}),
    ],
)
def test_what_fits_is_read(hint: Any, value: Any, read: Any) -> None:
    found = read_value(hint, value, "x")
    assert canonical_json(found) == canonical_json(read)  # 3 is not 3.0 here


@pytest.mark.parametrize(
    ("hint", "value", "says"),
    [
        (int, True, "a whole number"),
        (int, 1.0, "a whole number"),
        (int, "1", "a whole number"),
        (float, "1", "a number"),
        (float, float("nan"), "finite"),
        (float, float("inf"), "finite"),
        (bool, 1, "true or false"),
        (str, 1, "text"),
        (int | None, "a", "a whole number or null"),
        (list[int], "12", "a list"),
        (list[int], [1, "a"], r"x\[1\]"),
        (tuple[int, str], [1], "2 items"),
        (dict[str, int], [1], "a mapping"),
        (dict[str, int], {"a": "b"}, r"x\.a"),
        (Literal["cosine", "linear"], "cosin", 'did you mean "cosine"'),
        (Literal[1, 2], True, "one of 1, 2"),
        (Rate, {"peek": 1}, 'did you mean "peak"'),
        (Rate, 3, "a mapping"),
    ],
)
def test_what_does_not_fit_is_named(hint: Any, value: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_value(hint, value, "x")


def test_unknown_and_missing_settings() -> None:
    with pytest.raises(ConfigError, match=r'unknown setting .*stpes.*\n.*did you mean "steps"'):
        train.configure({"stpes": 3})
    with pytest.raises(ConfigError, match="'steps' is required"):
        train.configure({})
    with pytest.raises(ConfigError, match=r"train\.rate.*decay|train\.rate"):
        train.configure({"steps": 1, "rate": {"decay": "cubic"}})


def test_the_configs_own_validation_speaks_with_the_place() -> None:
    with pytest.raises(ConfigError) as caught:
        train.configure({"steps": 0}, "factory.yaml:3:5")
    assert caught.value.where == "factory.yaml:3:5"
    assert caught.value.seen == 0


def test_a_step_gets_its_settings_in_the_types_it_declared() -> None:
    config = train.configure(
        {
            "steps": 2,
            "suffixes": [".py"],
            "window": [1, 2],
            "rate": {"peak": 3},
            "rates": {"head": {"decay": "linear"}},
        }
    )
    assert canonical_json(config)  # plain on the way in
    built = train.invoke([], None, config)  # type: ignore[arg-type]
    assert built == Settings(
        steps=2,
        suffixes=(".py",),
        window=(1, 2.0),
        rate=Rate(peak=3.0),
        rates={"head": Rate(decay="linear")},
    )


def test_keyword_settings_too() -> None:
    config = simple.configure({"words": ["a"], "rate": {"peak": 2}})
    assert simple.invoke([], None, config) == (1.0, ("a",), Rate(peak=2.0), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("made", [train, simple], ids=lambda s: s.name)
def test_spelling_a_default_out_changes_nothing(made: Step) -> None:
    given = {"steps": 1} if made is train else {}
    spelled = {"rate": {"peak": 1}} | ({"suffixes": [".txt"]} if made is train else {"lr": 1})
    assert canonical_json(made.configure(given)) == canonical_json(made.configure(given | spelled))


@given(st.integers(1, 10**9), st.floats(allow_nan=False, allow_infinity=False))
def test_reading_is_idempotent(steps: int, peak: float) -> None:
    once = train.configure({"steps": steps, "rate": {"peak": peak}})
    assert train.configure(once) == once
