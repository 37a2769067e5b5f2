"""Promotion, release after a run, roll-back: an alias moves only over green checks, one mover at a time."""

from __future__ import annotations

import math
import threading
from typing import Any

import pytest

from tenfold.core.checks import Check
from tenfold.core.facts import AliasMove, AuditEntry
from tenfold.errors import AliasConflict, PromotionRefused, UnknownName, UsageError
from tenfold.factory import Factory
from tenfold.ledger.audit import first_broken

GOOD = Check(metric="score", min=0.5)


def model_and_quality(workshop: Any, score: float, *, value: int = 0, **metrics: float) -> Factory:
    """model <- quality, which measures it."""
    made = workshop.factory()
    made.add(workshop.step("model"), name="model", config={"value": value})
    given = {"score": score, **metrics} if not math.isinf(score) else {}
    quality = workshop.step("quality", version=f"{score}", **given)
    return made.add(quality, name="quality", needs=["model"], checks=[GOOD])


def test_green_lets_it_move_and_the_way_is_on_record(workshop: Any) -> None:
    with model_and_quality(workshop, 0.9) as factory:
        factory.run()
        move = factory.promote("quality", "quality@champion", reason="good", actor="me")
        assert (move.actor, move.reason, move.previous) == ("me", "good", None)
        assert factory.promote("quality", "quality@champion") == move  # there already
        assert factory.asset("quality@champion").digest == move.digest
        entries = factory.ledger.read(AuditEntry)
        assert [e.action for e in entries] == ["alias.move"]
        assert first_broken(entries) is None


@pytest.mark.parametrize(
    ("score", "state"), [(0.1, "red"), (math.nan, "red"), (math.inf, "unknown")]
)
def test_red_and_unknown_refuse(workshop: Any, score: float, state: str) -> None:
    with model_and_quality(workshop, score) as factory:
        factory.run()
        with pytest.raises(PromotionRefused, match=f"score >= 0.5 is {state}"):
            factory.promote("quality", "quality@champion")
        assert factory.ledger.alias("quality@champion") is None


def test_what_it_was_made_from_must_be_green_too_under_whatever_name(workshop: Any) -> None:
    def factory(first: str) -> Factory:
        made = workshop.factory()
        made.add(workshop.step("a", score=0.1), name=first, checks=[GOOD])
        return made.add(workshop.step("b"), name="b", needs=[first])

    with factory("a") as made:
        made.run()
        with pytest.raises(PromotionRefused, match=r"a: score >= 0.5 is red"):
            made.promote("b", "b@champion")
    with factory("renamed") as made:
        assert made.run().unchanged
        with pytest.raises(PromotionRefused, match=r"renamed: score >= 0.5 is red"):
            made.promote("b", "b@champion")


def test_a_witness_must_be_there_and_about_this_very_model(workshop: Any) -> None:
    with model_and_quality(workshop, 0.9).release(
        "model", "model@champion", requires=["quality"]
    ) as factory:
        outcome = factory.run("model")
        assert outcome.refused
        assert "quality: not built from" in outcome.refused[0]
        assert not outcome.ok
        outcome = factory.run()
        assert [m.alias for m in outcome.released] == ["model@champion"]
        assert outcome.ok
        assert factory.run().released == ()  # there already
    with model_and_quality(workshop, 0.9, value=1).release(
        "model", "model@champion", requires=["quality"]
    ) as factory:
        assert "not built from" in factory.run("model").refused[0]  # the old witness is no witness


def test_a_red_witness_refuses_the_release_and_the_champion_stays(workshop: Any) -> None:
    def factory(score: float, value: int) -> Factory:
        made = model_and_quality(workshop, score, value=value)
        return made.release("model", "model@champion", requires=["quality"])

    with factory(0.9, 1) as made:
        champion = made.run().digest("model")
    with factory(0.1, 2) as made:
        outcome = made.run()
        assert outcome.status == "succeeded"
        assert not outcome.ok
        assert "score >= 0.5 is red" in outcome.refused[0]
        assert made.asset("model@champion").digest == champion
        with pytest.raises(PromotionRefused):
            made.promote("model")  # by hand, the declared witnesses count as well


def test_a_comparison_with_the_champion(workshop: Any) -> None:
    check = Check(metric="score", not_below="model@champion", by=0.05)

    def factory(score: float) -> Factory:
        made = workshop.factory()
        made.add(workshop.step("model", version=f"{score}", score=score), name="model",
                 config={"value": int(score * 100)}, checks=[check])  # fmt: skip
        return made.release("model", "model@champion")

    assert factory(0.7).run().released  # no champion yet
    assert factory(0.66).run().released
    outcome = factory(0.6).run()
    assert "below model@champion (0.66) by more than 0.05" in outcome.refused[0]
    assert factory(0.62).run().released


def test_putting_a_setting_back_promotes_what_stands_now(workshop: Any) -> None:
    model_and_quality(workshop, 0.9, value=1).run()
    model_and_quality(workshop, 0.9, value=2).run()
    with model_and_quality(workshop, 0.9, value=1) as factory:
        outcome = factory.run()
        assert outcome.unchanged
        assert factory.promote("model").digest == outcome.digest("model")


def test_rolling_back_twice_walks_back(workshop: Any) -> None:
    digests = []
    for value in range(3):
        with model_and_quality(workshop, 0.9, value=value) as factory:
            digests.append(factory.run().digest("model"))
            factory.promote("model")
    with model_and_quality(workshop, 0.9) as factory:
        assert factory.rollback("model@champion").digest == digests[1]
        assert factory.rollback("model@champion", reason="worse").digest == digests[0]
        with pytest.raises(UsageError, match="nothing further back"):
            factory.rollback("model@champion")
        assert [m.reason for m in factory.ledger.read(AliasMove)][-2:] == ["rolled back", "worse"]
        assert factory.asset("model@champion").content["value"] == 0
        factory.promote("model", digest=digests[2])
        assert factory.rollback("model@champion").digest == digests[0]
        with pytest.raises(UnknownName, match='did you mean "model@champion"'):
            factory.rollback("model@champoin")


def test_one_mover_at_a_time(workshop: Any) -> None:
    """All read the same present and then move: one wins, the others are told."""
    factories = [model_and_quality(workshop, 0.9, value=v) for v in range(4)]
    for factory in factories:
        factory.run()
    gate = threading.Barrier(4)
    outcomes: list[object] = []

    def promote(factory: Factory) -> None:
        ledger = factory.ledger
        look = ledger.alias

        def alias(name: str) -> Any:
            found = look(name)
            gate.wait()
            ledger.alias = look  # type: ignore[method-assign]
            return found

        ledger.alias = alias  # type: ignore[method-assign]
        try:
            outcomes.append(factory.promote("model", "model@champion"))
        except AliasConflict as error:
            outcomes.append(error)

    threads = [threading.Thread(target=promote, args=(f,)) for f in factories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(type(o).__name__ for o in outcomes) == ["AliasConflict"] * 3 + ["AliasMove"]
    assert len(factories[0].ledger.read(AliasMove)) == 1
    for factory in factories:
        factory.close()


def test_what_cannot_be_promoted(workshop: Any) -> None:
    with model_and_quality(workshop, 0.9) as factory:
        with pytest.raises(UsageError, match="has not been built"):
            factory.promote("model")
        factory.run()
        with pytest.raises(UsageError, match="looks like"):
            factory.promote("model", "Champion")
        with pytest.raises(UsageError, match="looks like"):
            factory.release("model", "champion")
        with pytest.raises(UnknownName):
            factory.promote("modle")
        with pytest.raises(UsageError, match="with the digest abc"):
            factory.promote("model", digest="abc")
        with pytest.raises(UnknownName, match="nothing is promoted"):
            factory.asset("model@champion")
