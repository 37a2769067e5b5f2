"""The canonical key: as fine as the answer, and no finer."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import InputError
from tenfold.serve.cache.key import IRRELEVANT, canonical_key, relevant
from tenfold.serve.gateway import chat, completion

SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
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
EXTRA = st.dictionaries(
    st.text(max_size=6).filter(
        lambda name: name not in chat.ChatRequest.__struct_fields__ and name not in IRRELEVANT
    ),
    JSON.filter(lambda value: value is not None),
    max_size=3,
)
BODIES = st.builds(
    lambda messages, sampling, extra: {"model": "m", "messages": messages, **extra, **sampling},
    MESSAGES,
    st.fixed_dictionaries(
        {},
        optional={
            "temperature": st.sampled_from([0, 0.0, 0.5, 1, 2]),
            "top_p": st.sampled_from([0.5, 1.0]),
            "seed": st.integers(-5, 5),
            "max_tokens": st.integers(1, 9),
            "stop": st.sampled_from(["a", ["a"], ["a", "b"]]),
        },
    ),
    EXTRA,
)


def key_of(body, tenant="t", digest="d", model="m", endpoint=chat.ENDPOINT):
    ask = chat.read(json.dumps(body).encode())
    content = ask.content()
    content[-1] = relevant(ask.extra)
    return canonical_key(endpoint, tenant, model, digest, content)


def shuffled(value, draw):
    if isinstance(value, dict):
        names = draw(st.permutations(list(value)))
        return {name: shuffled(value[name], draw) for name in names}
    return [shuffled(item, draw) for item in value] if isinstance(value, list) else value


@given(BODIES, st.data())
def test_the_order_of_fields_does_not_matter(body, data):
    assert key_of(shuffled(body, data.draw)) == key_of(body)


@given(BODIES, st.sampled_from(sorted(IRRELEVANT | {"stream"})), st.data())
def test_what_names_the_caller_or_the_delivery_does_not_matter(body, field, data):
    value = data.draw(st.booleans()) if field == "stream" else data.draw(JSON)
    assert key_of({**body, field: value}) == key_of(body)


@given(BODIES, BODIES)
def test_equal_keys_only_for_equal_meaning(one, other):
    def meaning(body):
        ask = chat.read(json.dumps(body).encode())
        return (
            ask.prompts,
            ask.max_tokens,
            ask.temperature,
            ask.top_p,
            ask.seed,
            ask.stop,
            _tagged(ask.extra),
        )

    assert (key_of(one) == key_of(other)) == (meaning(one) == meaning(other))


def _tagged(value):
    """Python says True == 1; JSON and models do not."""
    return json.dumps(value, sort_keys=True)


@given(
    BODIES,
    st.sampled_from(
        [
            "messages",
            "temperature",
            "top_p",
            "seed",
            "max_tokens",
            "stop",
            "tools",
            "response_format",
            "logit_bias",
        ]
    ),
)
def test_each_field_that_changes_the_answer_changes_the_key(body, field):
    other = {
        "messages": [*body["messages"], {"role": "user", "content": "and then?"}],
        "temperature": 1.7,
        "top_p": 0.123,
        "seed": 10**9,
        "max_tokens": 777,
        "stop": ["never"],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "response_format": {"type": "json_object"},
        "logit_bias": {"5": -100},
    }[field]
    assert key_of({**body, field: other}) != key_of(body)


@given(BODIES)
def test_tenant_model_digest_and_endpoint_are_apart(body):
    keys = {
        key_of(body),
        key_of(body, tenant="u"),
        key_of(body, digest="e"),
        key_of(body, model="n"),
        key_of(body, endpoint=completion.ENDPOINT),
    }
    assert len(keys) == 5


def test_text_cannot_move_from_one_field_to_its_neighbour():
    assert canonical_key("e", "ab", "c", "", []) != canonical_key("e", "a", "bc", "", [])
    one = {"model": "m", "messages": [{"role": "user", "content": 'a","user'}]}
    two = {
        "model": "m",
        "messages": [{"role": "user", "content": "a"}, {"role": "user", "content": ""}],
    }
    assert key_of(one) != key_of(two)


def test_equal_ways_to_say_the_same():
    plain = {"model": "m", "messages": [{"role": "user", "content": "x"}], "temperature": 1}
    same = {
        "model": "m",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        "temperature": 1.0,
        "top_p": None,
        "stop": [],
        "max_completion_tokens": None,
    }
    assert key_of(plain) == key_of(same)


def test_nesting_without_end_is_refused_not_crashed():
    deep: object = 1
    for _ in range(400):
        deep = [deep]
    with pytest.raises(InputError, match="canonical"):
        canonical_key("e", "t", "m", "d", [deep])
