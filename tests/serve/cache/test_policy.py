"""Which requests may share an answer, field by field as their protocols mean them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import ConfigError
from tenfold.serve.cache.policy import CachePolicy, Wishes, wishes

CHAT = "/v1/chat/completions"
GREEDY = {"temperature": 0}


@pytest.mark.parametrize(
    ("plain", "may"),
    [
        ({"temperature": 0}, True),
        ({"temperature": 0.0, "n": 1}, True),
        ({}, False),  # temperature 1 is meant
        ({"temperature": None}, False),
        ({"temperature": 0.7}, False),
        ({"temperature": 0.7, "seed": 0}, True),
        ({"seed": 7}, True),
        ({"seed": None}, False),
        ({"temperature": 0, "n": 2}, False),
        ({"temperature": 0, "seed": 7, "best_of": 3}, False),
        ({"temperature": "0"}, False),
        ({**GREEDY, "tools": []}, True),
        ({**GREEDY, "tools": [{"type": "function", "function": {"name": "f"}}]}, True),
        ({**GREEDY, "tools": [{"name": "f", "input_schema": {}}]}, True),
        ({**GREEDY, "tools": [{"type": "bash_20250124", "name": "bash"}]}, True),
        ({**GREEDY, "tools": [{"type": "web_search_20250305", "name": "w"}]}, False),
        ({**GREEDY, "tools": [{"type": "function"}, {"type": "file_search"}]}, False),
        ({**GREEDY, "tools": [{"type": "code_interpreter"}]}, False),
        ({**GREEDY, "tools": ["function"]}, False),
        ({**GREEDY, "web_search_options": {"search_context_size": "low"}}, False),
        ({**GREEDY, "conversation": "conv_1"}, False),
        ({**GREEDY, "background": False}, True),
        ({**GREEDY, "background": True}, False),
    ],
)
def test_what_the_request_means(plain, may):
    for endpoint in (CHAT, "/v1/completions", "/v1/responses", "/v1/messages"):
        assert CachePolicy().may_reuse(endpoint, plain) is may


def test_what_the_operator_says():
    assert CachePolicy(cache_sampled=True).may_reuse(CHAT, {"temperature": 0.7})
    assert not CachePolicy(cache_sampled=True).may_reuse(CHAT, {"temperature": 0.7, "n": 2})
    assert not CachePolicy(enabled=False).may_reuse(CHAT, GREEDY)
    assert CachePolicy().may_reuse("/v1/embeddings", {"input": "a"})
    assert not CachePolicy().may_reuse("/v1/images/generations", GREEDY)


def test_how_long(answer):
    policy = CachePolicy(ttl_s=60, ttl_s_by_model={"news": 5})
    assert policy.expires_at_s("any", 100.0) == 160.0
    assert policy.expires_at_s("news", 100.0) == 105.0
    assert CachePolicy().expires_at_s("any", 100.0) == 0.0
    with pytest.raises(ConfigError, match="above 0"):
        CachePolicy(ttl_s_by_model={"m": 0})


@pytest.mark.parametrize(
    ("header", "meant"),
    [
        (None, Wishes()),
        (b"", Wishes()),
        (b"no-cache", Wishes(look=False)),
        (b"No-Store", Wishes(look=False, store=False)),
        (b"max-age=60", Wishes(max_age_s=60.0)),
        (b' max-age="60" , no-transform', Wishes(max_age_s=60.0)),
        (b"max-age=soon", Wishes(max_age_s=0.0)),
        (b"only-if-cached, max-stale=9", Wishes(only_cached=True)),
    ],
)
def test_what_cache_control_says(header, meant):
    assert wishes(header) == meant


@given(st.binary(max_size=60))
def test_no_header_is_an_error(header):
    assert isinstance(wishes(header), Wishes)


def test_an_answer_too_old_does_not_suit(answer):
    stored = answer(created_at_s=100.0)
    assert wishes(b"max-age=10").suits(stored, 110.0)
    assert not wishes(b"max-age=10").suits(stored, 110.5)
    assert not wishes(b"no-cache").suits(stored, 100.0)
