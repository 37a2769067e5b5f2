"""The exact tier: least recently used, bounded both ways, forgetting by age."""

from __future__ import annotations

from collections import OrderedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import UnknownName
from tenfold.serve.cache.exact import ExactTier
from tenfold.serve.cache.tier import Stored, Tiers, open_tiers


def answer(text="x", body=b"{}"):
    return Stored(
        response_id=text,
        model_digest="d",
        backend="b",
        prompt_tokens=1,
        completion_tokens=1,
        body=body,
        pieces=(text,),
        finish_reason="stop",
    )


@given(
    st.lists(st.tuples(st.sampled_from("gp"), st.integers(0, 7)), max_size=60), st.integers(1, 5)
)
def test_keeps_the_most_recently_used(steps, room):
    tier = ExactTier(max_entries=room, max_bytes=10**9)
    model: OrderedDict[bytes, str] = OrderedDict()
    for verb, number in steps:
        key = bytes([number])
        if verb == "p":
            tier.put(key, answer(str(number)))
            model.pop(key, None)
            model[key] = str(number)
            while len(model) > room:
                model.popitem(last=False)
        else:
            got = tier.get(key)
            assert (got and got.response_id) == model.get(key)
            if key in model:
                model.move_to_end(key)
        assert tier.num_entries == len(model)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 5000)), max_size=40))
def test_never_more_bytes_than_allowed(puts):
    tier = ExactTier(max_entries=1000, max_bytes=20_000)
    for number, size in puts:
        tier.put(bytes([number]), answer(body=b"x" * size))
        assert tier.num_bytes <= 20_000
    held = sum(
        stored.num_bytes + 1 for n in range(21) if (stored := tier.get(bytes([n]))) is not None
    )
    assert held == tier.num_bytes


def test_an_answer_too_large_takes_the_old_one_with_it_but_nothing_else():
    tier = ExactTier(max_entries=10, max_bytes=20_000)
    tier.put(b"a", answer("old"))
    tier.put(b"b", answer("other"))
    tier.put(b"a", answer(body=b"x" * 10_000))
    assert tier.get(b"a") is None  # the old answer is no longer the answer
    assert tier.get(b"b").response_id == "other"


def test_forgets_by_age():
    now = [100.0]
    tier = ExactTier(max_entries=10, max_bytes=10**6, ttl_s=5, monotonic=lambda: now[0])
    tier.put(b"a", answer())
    now[0] += 5
    assert tier.get(b"a") is not None
    now[0] += 0.1
    assert tier.get(b"a") is None
    assert (tier.num_entries, tier.num_bytes) == (0, 0)


def test_an_earlier_tier_learns_from_a_later_one():
    near = ExactTier(max_entries=10, max_bytes=10**6)
    far = ExactTier(max_entries=10, max_bytes=10**6)
    far.put(b"a", answer("x"))
    chain = Tiers([near, far])
    assert chain.get(b"a")[1].response_id == "x"
    assert near.get(b"a").response_id == "x"
    assert chain.get(b"b") is None
    assert (chain.num_hits, chain.num_misses) == (1, 1)


def test_an_unknown_tier_is_named():
    with pytest.raises(UnknownName, match=r"exat.*\n.*exact"):
        open_tiers(["exat"], {"exact": lambda: ExactTier(max_entries=1, max_bytes=1)})
