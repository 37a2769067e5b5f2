"""The official client, unmodified, against a gateway on a real port."""

from __future__ import annotations

import math

import openai
import pytest

from tenfold.serve.backends.memory import MemoryBackend, bag


@pytest.fixture
def client(serving, echo):
    with (
        serving(echo) as served,
        openai.OpenAI(
            base_url=served.url + "/v1", api_key="unused", max_retries=0, timeout=20
        ) as made,
    ):
        made.served = served
        yield made


def ask(client, text="one two", **more):
    return client.chat.completions.create(
        model="echo", messages=[{"role": "user", "content": text}], **more
    )


def test_chat(client):
    answer = ask(client)
    assert answer.choices[0].message.content == "one two one two"
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.object == "chat.completion"
    assert answer.model == "echo"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (2, 4)
    assert answer.usage.total_tokens == 6
    assert answer._request_id == answer.id
    event = client.served.events()[-1]
    assert event.id == answer.id
    assert (event.tier, event.status, event.tenant) == ("model", 200, "local")
    assert (event.prompt_tokens, event.completion_tokens) == (2, 4)
    assert event.latency_ms > 0


def test_content_as_parts_is_one_text(client):
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    answer = client.chat.completions.create(
        model="echo", messages=[{"role": "user", "content": parts}], temperature=0
    )
    assert answer.choices[0].message.content == "one two one two"


def test_stream_with_usage(client):
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "one two one two"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.total_tokens == 6
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len({chunk.id for chunk in chunks}) == 1
    event = client.served.events()[-1]
    assert event.stream
    assert event.ttft_ms <= event.latency_ms
    assert event.id == chunks[0].id


def test_stream_without_usage(client):
    chunks = list(ask(client, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


@pytest.mark.parametrize("stream_first", [True, False])
def test_a_hit_replays_for_streams_and_whole_answers(client, stream_first):
    def streamed():
        options = {"include_usage": True}
        with client.chat.completions.with_streaming_response.create(
            model="echo",
            messages=[{"role": "user", "content": "tell me"}],
            temperature=0,
            stream=True,
            stream_options=options,
        ) as response:
            return response.headers["x-tenfold-tier"], list(response.parse())

    def whole():
        raw = client.chat.completions.with_raw_response.create(
            model="echo", messages=[{"role": "user", "content": "tell me"}], temperature=0
        )
        return raw.headers["x-tenfold-tier"], raw.parse()

    if stream_first:
        (first, chunks), (second, answer), (third, replay) = streamed(), whole(), streamed()
    else:
        (first, answer), (second, chunks), (third, replay) = whole(), streamed(), streamed()
    assert (first, second, third) == ("model", "exact", "exact")
    assert answer.choices[0].message.content == "tell me tell me"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == (
        "tell me tell me"
    )

    def bare(chunk):
        return {**chunk.model_dump(), "id": None, "created": None}

    assert [bare(c) for c in replay] == [bare(c) for c in chunks]
    assert chunks[-1].usage.model_dump() == answer.usage.model_dump()
    assert len({answer.id, chunks[0].id, replay[0].id}) == 1  # it is one answer
    events = client.served.events()
    assert len({event.id for event in events}) == 3
    assert [event.tier for event in events] == ["model", "exact", "exact"]
    assert {event.cached_from for event in events[1:]} == {events[0].id}


def test_completions(client):
    answer = client.completions.create(model="echo", prompt="a b c", max_tokens=4)
    assert answer.choices[0].text == "a b c a"
    assert answer.choices[0].finish_reason == "length"
    assert answer.object == "text_completion"
    chunks = list(client.completions.create(model="echo", prompt="a b c", stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == "a b c a b c"


def test_completions_of_several_prompts_in_order(client):
    answer = client.completions.create(model="echo", prompt=["a", "b c"], n=2)
    assert [choice.text for choice in answer.choices] == ["a a", "a a", "b c b c", "b c b c"]
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert answer.usage.prompt_tokens == 1 + 2
    assert answer.usage.completion_tokens == 2 + 2 + 4 + 4


def test_several_choices_stream_side_by_side(client):
    texts = {0: "", 1: "", 2: ""}
    for chunk in ask(client, n=3, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert set(texts.values()) == {"one two one two"}
    assert len(client.served.gateway.fleet.members[0].backend.requests) == 3


def test_stop_seed_and_limits_reach_the_backend(client):
    answer = ask(client, "a b c", stop=["c"], seed=7, temperature=0.5, top_p=0.9, max_tokens=2)
    assert answer.choices[0].message.content == "a b"
    (request,) = client.served.gateway.fleet.members[0].backend.requests
    assert (request.stop, request.seed, request.temperature) == (("c",), 7, 0.5)
    assert (request.top_p, request.max_tokens) == (0.9, 2)


def test_choices_of_a_seeded_request_differ_by_seed(client):
    ask(client, n=2, seed=7)
    requests = client.served.gateway.fleet.members[0].backend.requests
    assert sorted(request.seed for request in requests) == [7, 8]


def test_fields_we_do_not_know_are_handed_on(client):
    ask(client, user="u1", extra_body={"min_p": 0.1, "chat_template_kwargs": {"deep": [1]}})
    (request,) = client.served.gateway.fleet.members[0].backend.requests
    assert request.extra["min_p"] == 0.1
    assert request.extra["chat_template_kwargs"] == {"deep": [1]}


def test_embeddings_in_both_encodings(client):
    default = client.embeddings.create(model="echo", input=["one two", "three"])
    floats = client.embeddings.create(
        model="echo", input=["one two", "three"], encoding_format="float"
    )
    assert [item.index for item in default.data] == [0, 1]
    for packed, plain, text in zip(default.data, floats.data, ["one two", "three"], strict=True):
        assert plain.embedding == bag(text)
        assert packed.embedding == pytest.approx(plain.embedding, abs=1e-6)
        assert math.isclose(math.hypot(*packed.embedding), 1, rel_tol=1e-6)
    assert default.usage.prompt_tokens == 3
    raw = client.embeddings.with_raw_response.create(model="echo", input=["one two", "three"])
    assert raw.headers["x-tenfold-tier"] == "exact"
    assert raw.parse().data[1].embedding == default.data[1].embedding


def test_models(client):
    assert [model.id for model in client.models.list()] == ["echo", "parrot"]
    assert client.models.retrieve("parrot").owned_by == "tenfold"
    with pytest.raises(openai.NotFoundError, match="parrot"):
        client.models.retrieve("parott")


def test_unknown_model_names_the_nearest(client):
    with pytest.raises(openai.NotFoundError, match='did you mean "parrot"') as caught:
        client.chat.completions.create(model="parot", messages=[{"role": "user", "content": "x"}])
    assert caught.value.code == "model_not_found"
    assert client.served.events()[-1].status == 404


def test_a_prompt_that_is_too_long(client):
    with pytest.raises(openai.BadRequestError, match="50 tokens") as caught:
        ask(client, "word " * 60)
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError):
        list(ask(client, "word " * 60, stream=True))


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 0}, "n"),
        ({"seed": 0.5}, "seed"),
        ({"stop": [1]}, "stop[0]"),
        ({"stop": ["a", ""]}, "stop"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].type",
        ),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "max_tokens"),
        ({"model": None}, "model"),
    ],
)
def test_a_wrong_field_is_named(client, change, param):
    body = {"model": "echo", "messages": [{"role": "user", "content": "x"}], **change}
    with pytest.raises(openai.BadRequestError) as caught:
        client.post("/chat/completions", body=body, cast_to=object)
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


def test_a_client_that_gives_up_waiting_cancels_the_work(serving):
    slow = MemoryBackend({"x": "a b c d"}, delay_s=30)
    with serving(slow) as served:
        client = openai.OpenAI(base_url=served.url + "/v1", api_key="k", max_retries=0, timeout=0.3)
        with client, pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(
                model="memory", messages=[{"role": "user", "content": "x"}]
            )
        served.stop()
        assert slow.cancelled == [slow.requests[0].id]
        (event,) = served.events()
        assert (event.status, event.error) == (499, "the client left")
