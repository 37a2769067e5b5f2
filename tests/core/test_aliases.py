"""Aliases: how they are written, when they may move, and the way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.aliases import Evidence, parse_alias, refusals, rollback_target
from tenfold.core.facts import Verdict
from tenfold.errors import UsageError


@pytest.mark.parametrize("name", ["model@champion", "a@b", "m-1.2_x@canary-2"])
def test_well_formed(name: str) -> None:
    assert parse_alias(name) == name


@pytest.mark.parametrize(
    "name", ["model", "@x", "x@", "a@b@c", "A@b", "a@b ", "a@b\n", "../x@y", "a@-", "ä@b", ""]
)
def test_malformed(name: str) -> None:
    with pytest.raises(UsageError):
        parse_alias(name)


def verdict(state: str) -> Verdict:
    return Verdict(
        key="k", run_id="r", asset="a", rule="m <= 1", metric="m", value=2, state=state,
        reason="because", at_s=0,
    )  # fmt: skip


def test_only_green_lets_an_alias_move() -> None:
    assert refusals([]) == []
    assert refusals([Evidence(asset="a", verdicts=[verdict("green")])]) == []
    [red] = refusals([Evidence(asset="a", verdicts=[verdict("green"), verdict("red")])])
    assert red == "a: m <= 1 is red: because"
    assert len(refusals([Evidence(asset="a", verdicts=[verdict("unknown")])])) == 1
    assert refusals([Evidence(asset="a", missing="not built")]) == ["a: not built"]


@pytest.mark.parametrize(
    ("history", "target"),
    [
        ("A", None),
        ("AB", "A"),
        ("ABC", "B"),
        ("ABCB", "A"),  # C was rolled back: B's predecessor is next
        ("ABCBA", None),
        ("ABCBD", "B"),
        ("AA", None),
        ("AAB", "A"),
    ],
)
def test_the_way_back(history: str, target: str | None) -> None:
    assert rollback_target(list(history), history[-1]) == target


@given(st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=8))
def test_rolling_back_ends_and_never_repeats(promotions: list[str]) -> None:
    history: list[str | None] = list(promotions)
    visited = [history[-1]]
    while (target := rollback_target(history, history[-1])) is not None:
        assert target not in visited
        visited.append(target)
        history.append(target)
    assert len(visited) <= len(set(promotions))
