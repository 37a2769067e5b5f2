"""From one answer back to the data: over a real ledger, with the events a gateway would write."""

from __future__ import annotations

import pytest

from tenfold.core.facts import RequestEvent
from tenfold.factory import Factory


@pytest.fixture
def answered(tenfold, folder):
    """Two answers of the promoted asset: one it made, one the cache repeated."""
    assert tenfold("run").code == 0
    common = {
        "at_s": 1.0,
        "tenant": "acme",
        "key_name": "phone",
        "endpoint": "/v1/chat/completions",
        "model": "table@live",
        "status": 200,
        "prompt_tokens": 12,
        "completion_tokens": 34,
        "latency_ms": 56.0,
        "joules": 1.5,
        "energy_method": "cpu-time-model",
    }
    with Factory.load(folder) as factory:
        digest = factory.asset("table@live").digest
        factory.ledger.append(
            [
                RequestEvent(
                    id="chatcmpl-made",
                    backend="embedded",
                    tier="model",
                    model_digest=digest,
                    **common,
                ),
                RequestEvent(
                    id="chatcmpl-again",
                    backend="cache",
                    tier="exact",
                    model_digest=digest,
                    cached_from="chatcmpl-made",
                    **common,
                ),
                RequestEvent(
                    id="chatcmpl-cloud", backend="cloud", tier="model", model_digest="", **common
                ),
            ]
        )
    return digest


def test_the_walk_reaches_checks_and_sources(tenfold, answered):
    walk = tenfold("why chatcmpl-again")
    assert walk.code == 0
    for station in (
        "tier exact",
        "repeats the stored answer chatcmpl-made",
        f"tripled {answered[:12]}",
        "table@live",
        "12 + 34 tokens",
        "1.5 J (cpu-time-model)",
        "tenant acme, key phone",
    ):
        assert station in walk.out
    order = [
        walk.out.index(name)
        for name in ("tripled  my_steps", "doubled  my_steps", "numbers  my_steps")
    ]
    assert order == sorted(order)


def test_the_same_walk_as_a_document(tenfold, answered):
    walk = tenfold("why chatcmpl-again --json").json
    assert walk["request"]["id"] == "chatcmpl-again"
    assert walk["made_by"]["id"] == "chatcmpl-made"
    assert walk["model"]["result"]["output"]["digest"] == answered


def test_weights_of_others_are_a_gap_and_say_so(tenfold, answered):
    walk = tenfold("why chatcmpl-cloud")
    assert walk.code == 0
    assert "this factory did not make" in walk.out
