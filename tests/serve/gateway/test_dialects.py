"""Anthropic's client and OpenAI's `responses` against a gateway on a real port, whose engine speaks neither."""

from __future__ import annotations

import anthropic
import openai
import pytest

from tenfold.errors import BackendError
from tenfold.serve.backends.anthropic_http import AnthropicBackend, AnthropicConfig
from tenfold.serve.backends.base import Generation, Piece, TokenUsage
from tenfold.serve.backends.memory import MemoryBackend

ASK = {"model": "echo", "max_tokens": 9, "messages": [{"role": "user", "content": "one two"}]}


@pytest.fixture
def served(serving, echo):
    with serving(echo) as running:
        yield running


@pytest.fixture
def claude(served):
    with anthropic.Anthropic(
        base_url=served.url, api_key="unused", max_retries=0, timeout=20
    ) as made:
        yield made


@pytest.fixture
def gpt(served):
    with openai.OpenAI(
        base_url=served.url + "/v1", api_key="unused", max_retries=0, timeout=20
    ) as made:
        yield made


def test_messages(claude, served):
    message = claude.messages.create(**ASK)
    assert message.content[0].text == "one two one two"
    assert (message.stop_reason, message.model) == ("end_turn", "echo")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (2, 4)
    with claude.messages.stream(**{**ASK, "max_tokens": 3}) as stream:
        assert "".join(stream.text_stream) == "one two one"
        final = stream.get_final_message()
    assert (final.stop_reason, final.usage.output_tokens) == ("max_tokens", 3)
    first, second = served.events()[-2:]
    assert (first.id, second.id) == (message.id, final.id)
    assert (first.status, first.prompt_tokens, first.completion_tokens) == (200, 2, 4)
    assert (second.status, second.completion_tokens) == (200, 3)


def test_the_beta_client_asks_at_an_address_with_a_query(claude):
    message = claude.beta.messages.create(
        **ASK,
        betas=["context-management-2025-06-27"],
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        system=[{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
        metadata={"user_id": "u"},
    )
    assert message.content[0].text == "one two one two"


def test_count_tokens(claude):
    asked = {name: value for name, value in ASK.items() if name != "max_tokens"}
    assert claude.messages.count_tokens(**asked).input_tokens == 2


def test_responses(gpt, served):
    response = gpt.responses.create(model="echo", input="one two")
    assert (response.output_text, response.status) == ("one two one two", "completed")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (2, 4)
    with gpt.responses.stream(model="echo", input="one two") as stream:
        final = stream.get_final_response()
    assert final.output_text == "one two one two"
    assert [event.id for event in served.events()[-2:]] == [response.id, final.id]


def test_a_repeated_question_is_answered_from_the_tier(claude, gpt):
    again = {"extra_body": {"temperature": 0}}
    heard = []
    for _ in range(2):
        with claude.messages.stream(**ASK, **again) as stream:
            heard.append((stream.get_final_message(), stream.response.headers["x-tenfold-tier"]))
    (first, made), (second, kept) = heard
    assert (made, kept) == ("model", "exact")
    assert first.content == second.content
    assert first.usage == second.usage
    # The same words in another protocol are another question.
    raw = gpt.responses.with_raw_response.create(model="echo", input="one two", temperature=0)
    assert raw.headers["x-tenfold-tier"] == "model"


def test_refusals_have_each_protocol_s_shape(claude, gpt):
    with pytest.raises(anthropic.NotFoundError) as raised:
        claude.messages.create(**{**ASK, "model": "nobody"})
    assert raised.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError) as raised:
        claude.messages.create(**{**ASK, "messages": []})
    assert "`messages`" in raised.value.body["error"]["message"]
    tool = {"name": "f", "input_schema": {"type": "object"}}
    with pytest.raises(anthropic.BadRequestError) as raised:  # this engine calls no tools
        claude.messages.create(**ASK, tools=[tool])
    assert "`tools`" in raised.value.body["error"]["message"]
    with pytest.raises(openai.BadRequestError) as raised:
        gpt.responses.create(model="echo", input="x", previous_response_id="resp_1")
    assert raised.value.param == "previous_response_id"


class Breaking(MemoryBackend):
    """Breaks off after a word, the first time it is asked."""

    async def generate(self, request: Generation):
        self.requests.append(request)
        yield Piece(text="one ")
        if len(self.requests) == 1:
            raise BackendError("the engine is gone")
        yield Piece(finish_reason="stop", usage=TokenUsage(1, 1))


def test_a_stream_that_breaks_off_is_an_error_and_is_not_kept(serving):
    backend = Breaking({}, models=("echo",))
    with serving(backend) as served:
        client = anthropic.Anthropic(
            base_url=served.url, api_key="unused", max_retries=0, timeout=20
        )
        again = {"extra_body": {"temperature": 0}}
        with client:
            with client.messages.stream(**ASK, **again) as stream:
                texts = stream.text_stream
                assert next(texts) == "one "
                with pytest.raises(anthropic.APIStatusError) as raised:
                    next(texts)
            assert raised.value.body["error"]["type"] == "api_error"
            with client.messages.stream(**ASK, **again) as stream:
                assert stream.get_final_message().content[0].text == "one "
    assert len(backend.requests) == 2


def test_chat_through_a_server_that_speaks_only_messages(serving, served, ledger):
    """Two gateways: the first translates chat into messages, the second back."""
    backend = AnthropicBackend(AnthropicConfig(base_url=served.url + "/v1", max_tokens=3))
    with (
        serving(backend) as front,
        openai.OpenAI(base_url=front.url + "/v1", api_key="unused", max_retries=0) as client,
    ):
        said = [{"role": "user", "content": "one two"}]
        chat = client.chat.completions.create(model="echo", messages=said, max_tokens=9)
        assert chat.choices[0].message.content == "one two one two"
        assert chat.choices[0].finish_reason == "stop"
        assert (chat.usage.prompt_tokens, chat.usage.completion_tokens) == (2, 4)
        stream = client.chat.completions.create(
            model="echo", messages=said, stream=True, stream_options={"include_usage": True}
        )
        *chunks, last = stream
        assert "".join(c.choices[0].delta.content or "" for c in chunks) == "one two one"
        assert chunks[-1].choices[0].finish_reason == "length"
        assert (last.choices, last.usage.completion_tokens) == ([], 3)
        quiet = client.chat.completions.create(model="echo", messages=said, stream=True)
        assert all(chunk.choices for chunk in quiet)
        with pytest.raises(openai.BadRequestError) as raised:
            client.chat.completions.create(model="echo", messages=said, seed=1)
        assert raised.value.param == "seed"
        response = client.responses.create(model="echo", input="one two")  # translated twice
        assert (response.output_text, response.status) == ("one two one", "incomplete")
