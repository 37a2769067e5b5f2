"""The in-memory twin keeps the contract of every backend."""

import asyncio
import math
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.errors import BackendError, UnknownName
from tenfold.serve.backends.base import Generation, Message, PromptTooLong
from tenfold.serve.backends.memory import MemoryBackend, words


def ask(backend, **fields):
    request = Generation(**{"id": "r", "model": "memory", "prompt": "hello there", **fields})

    async def run():
        return [piece async for piece in backend.generate(request)]

    return asyncio.run(run())


def test_an_answer_streams_by_words_and_closes_with_usage():
    *body, last = ask(MemoryBackend(lambda request: f"you said {request.prompt}"))
    assert [piece.text for piece in body] == ["you", " said", " hello", " there"]
    assert all(piece.finish_reason is None and piece.usage is None for piece in body)
    assert (last.finish_reason, last.text) == ("stop", "")
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (2, 4)


def test_a_mapping_answers_the_last_user_message_and_names_the_nearest_question():
    backend = MemoryBackend({"capital of France": "Paris"})
    chat = (
        Message("user", "hi"),
        Message("assistant", "hello"),
        Message("user", "capital of France"),
    )
    assert ask(backend, prompt=None, messages=chat)[0].text == "Paris"
    with pytest.raises(UnknownName, match=r"did you mean .capital of France"):
        ask(backend, prompt="capital of Frances")


def test_limits_and_stop_strings_end_an_answer():
    backend = MemoryBackend(lambda _: "one two three four")
    cut = ask(backend, max_tokens=2)
    assert "".join(piece.text for piece in cut) == "one two"
    assert cut[-1].finish_reason == "length"
    stopped = ask(backend, stop=("e t",), max_tokens=50)
    assert "".join(piece.text for piece in stopped) == "on"
    assert stopped[-1].finish_reason == "stop"


def test_faults_are_the_contract_s():
    backend = MemoryBackend(lambda _: "x", context_tokens=2)
    with pytest.raises(PromptTooLong, match="2 tokens"):
        ask(backend)
    with pytest.raises(UnknownName, match="unknown model"):
        ask(backend, model="other")

    def broken(_):
        raise BackendError("the engine is gone")

    with pytest.raises(BackendError, match="gone"):
        ask(MemoryBackend(broken))


def test_closing_early_is_recorded_as_cancelled():
    backend = MemoryBackend(lambda _: "one two three")

    async def run():
        async with aclosing(backend.generate(Generation(id="a", model="memory", prompt="x"))) as it:
            async for _ in it:
                break

    asyncio.run(run())
    assert backend.cancelled == ["a"]
    ask(backend)
    assert backend.cancelled == ["a"]
    assert len(backend.requests) == 2


def test_embeddings_are_unit_vectors_near_for_shared_words():
    async def run():
        return await MemoryBackend({}).embed("memory", ["red apple", "red pear", "blue sea", ""])

    got = asyncio.run(run())
    red_apple, red_pear, blue_sea, _ = got.vectors
    dot = lambda a, b: sum(x * y for x, y in zip(a, b, strict=True))  # noqa: E731
    assert math.isclose(dot(red_apple, red_apple), 1.0)
    assert dot(red_apple, red_pear) > dot(red_apple, blue_sea)
    assert got.prompt_tokens == 6


@given(st.text())
def test_words_joined_are_the_text(text):
    assert "".join(words(text)) == text
