"""An answer's form as bytes: faithful, and a miss rather than an error when it is not ours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tenfold.serve.cache.stored import FORMAT, Stored, decode, encode

ANSWERS = st.builds(
    Stored,
    response_id=st.text(max_size=40),
    model_digest=st.text(max_size=64),
    backend=st.text(max_size=8),
    prompt_tokens=st.integers(0, 2**40),
    completion_tokens=st.integers(0, 2**40),
    cached_tokens=st.integers(0, 2**40),
    whole=st.none() | st.binary(max_size=300),
    events=st.none() | st.binary(max_size=300),
    usage_span=st.none() | st.tuples(st.integers(0, 300), st.integers(0, 300)),
    tenant=st.text(max_size=8),
    surrogates=st.lists(st.text(max_size=8), max_size=3).map(tuple),
    created_at_s=st.floats(0, 1e12),
    expires_at_s=st.floats(0, 1e12),
    epoch=st.integers(0, 2**31),
)


@given(ANSWERS, st.sampled_from([None, 0, 200]))
def test_comes_back_as_it_went(stored, deflate_from_bytes):
    data = encode(stored, deflate_from_bytes=deflate_from_bytes)
    assert decode(data) == stored
    assert decode(memoryview(data)) == stored


@given(ANSWERS, st.booleans(), st.data())
def test_what_is_cut_is_a_miss(stored, deflate, data):
    whole = encode(stored, deflate_from_bytes=0 if deflate else None)
    assert decode(whole[: data.draw(st.integers(0, len(whole) - 1))]) is None


@given(st.binary(max_size=200), st.sampled_from([b"", bytes([FORMAT, 0]), bytes([FORMAT, 1])]))
def test_any_bytes_are_an_answer_or_a_miss_never_an_error(noise, head):
    got = decode(head + noise)
    assert got is None or isinstance(got, Stored)


@given(ANSWERS)
def test_another_version_is_a_miss(stored):
    data = encode(stored)
    assert decode(bytes([FORMAT + 1]) + data[1:]) is None


def test_many_words_in_few_bytes_stay_few(answer):
    stored = answer(events=b'data: {"choices":[{"delta":{"content":"the"}}]}\n\n' * 500)
    assert len(encode(stored, deflate_from_bytes=4096)) < len(encode(stored)) / 20
    bomb = encode(answer(whole=bytes(70 * 1024 * 1024)), deflate_from_bytes=0)
    assert decode(bomb) is None
