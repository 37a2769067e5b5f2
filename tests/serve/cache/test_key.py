"""The canonical key: as fine as the answer, and no finer."""

from __future__ import annotations

import json

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import InputError
from tenfold.serve.cache.key import IRRELEVANT, canonical_key

CHAT = "/v1/chat/completions"
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant"]), "content": st.text(max_size=20)}
    ),
    min_size=1,
    max_size=4,
)
BODIES = st.builds(
    lambda messages, known, extra: {"model": "m", **extra, "messages": messages, **known},
    MESSAGES,
    st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.sampled_from([None, 0, 0.5, 1, 2]),
            "top_p": st.sampled_from([0.5, 1.0]),
            "n": st.sampled_from([None, 1, 2]),
            "seed": st.integers(-5, 5),
            "max_tokens": st.integers(1, 9),
            "stop": st.sampled_from(["a", ["a"], ["a", "b"]]),
        },
    ),
    st.dictionaries(st.text(max_size=6), JSON, max_size=3),
)


def key_of(body, tenant="t", digest="d", model="m", endpoint=CHAT, epoch=0):
    return canonical_key(endpoint, tenant, model, digest, body, epoch)


def shuffled(value, draw):
    if isinstance(value, dict):
        names = draw(st.permutations(list(value)))
        return {name: shuffled(value[name], draw) for name in names}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


@given(BODIES, st.data(), st.sampled_from([None, 2]), st.sampled_from([orjson, msgspec.json]))
def test_neither_the_order_of_fields_nor_white_space_matters(body, data, indent, decoder):
    decode = getattr(decoder, "loads", None) or decoder.decode
    one = decode(json.dumps(body))
    other = decode(json.dumps(shuffled(body, data.draw), indent=indent))
    assert key_of(one) == key_of(other)


@given(BODIES, st.sampled_from(sorted(IRRELEVANT)), JSON)
def test_what_names_the_caller_or_the_delivery_does_not_matter(body, field, value):
    without = {name: other for name, other in body.items() if name != field}
    assert key_of({**body, field: value}) == key_of(without)


def meaning(body):
    """The protocol's own reading, spelled out with the standard library."""
    said = {k: v for k, v in body.items() if v is not None and k not in IRRELEVANT}
    if "n" in said and json.dumps(said["n"]) == "1":
        del said["n"]
    for name in ("temperature", "top_p", "presence_penalty", "frequency_penalty"):
        if isinstance(said.get(name), int) and not isinstance(said[name], bool):
            said[name] = float(said[name])
    return json.dumps(said, sort_keys=True)  # Python says True == 1; JSON and models do not


@given(BODIES, BODIES)
def test_equal_keys_only_for_equal_meaning(one, other):
    assert (key_of(one) == key_of(other)) == (meaning(one) == meaning(other))


@given(BODIES, st.sampled_from(["messages", "tools", "seed", "zebra"]), JSON, JSON)
def test_a_changed_field_changes_the_key_known_or_not(body, field, one, other):
    first, second = {**body, field: one}, {**body, field: other}
    assert (key_of(first) == key_of(second)) == (meaning(first) == meaning(second))


@given(BODIES)
def test_tenant_model_digest_endpoint_and_epoch_are_apart(body):
    keys = {
        key_of(body),
        key_of(body, tenant="u"),
        key_of(body, digest="e"),
        key_of(body, model="n"),
        key_of(body, endpoint="/v1/completions"),
        key_of(body, epoch=1),
    }
    assert len(keys) == 6


def test_text_cannot_move_from_one_field_to_its_neighbour():
    assert canonical_key("e", "ab", "c", "", {}) != canonical_key("e", "a", "bc", "", {})
    one = {"messages": [{"role": "user", "content": 'a","user'}]}
    two = {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": ""}]}
    assert key_of(one) != key_of(two)


def test_equal_ways_to_say_the_same():
    plain = {"model": "m", "messages": [], "temperature": 1}
    same = {"messages": [], "temperature": 1.0, "top_p": None, "n": 1, "stream": True}
    assert key_of(plain) == key_of(same)
    assert key_of(plain) != key_of({**plain, "n": 2})
    assert key_of({**plain, "seed": 1}) != key_of({**plain, "seed": True})


def test_half_a_character_has_a_key_of_its_own():
    keys = {key_of({"prompt": text}) for text in ("\ud800", "\ud801", "\\ud800", "?")}
    assert len(keys) == 4


def test_nesting_without_end_is_refused_not_crashed():
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InputError, match="canonical"):
        canonical_key("e", "t", "m", "d", {"messages": deep})
