"""The HTTP backend against a second real gateway, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from tenfold.errors import BackendError, ConfigError, UnknownName
from tenfold.ledger import open_ledger
from tenfold.serve.access.issue import create_key
from tenfold.serve.backends.base import BackendRefusal, Call
from tenfold.serve.backends.http_pool import PoolConfig
from tenfold.serve.backends.memory import MemoryBackend, bag
from tenfold.serve.backends.openai_http import OpenAIBackend, OpenAIConfig
from tenfold.serve.gateway.app import Gateway
from tenfold.serve.gateway.config import GatewayConfig
from tenfold.serve.gateway.server import serve


@contextlib.asynccontextmanager
async def upstream(backend, *, keyed=False):
    """A real gateway in this very loop: its URL and, if wanted, a key that it asks for."""
    ledger = open_ledger("memory:")
    key = create_key(ledger, "k", tenant="t", now_s=1.0) if keyed else None
    gateway = Gateway(GatewayConfig(drain_s=2, require_keys=keyed), [backend], ledger)
    place = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(gateway, port=0, on_listening=lambda url, drain: place.set_result((url, drain)))
    )
    url, drain = await place
    await gateway.fleet.settled()
    try:
        yield url + "/v1", key
    finally:
        drain()
        await serving
        ledger.close()


@contextlib.asynccontextmanager
async def hostile(behave):
    """A server that does `await behave(reader, writer, number of the connection)`."""
    count = iter(range(1000))

    tasks = []

    async def on_connection(reader, writer):
        tasks.append(asyncio.current_task())
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            await behave(reader, writer, next(count))
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


async def request_of(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (int(li[15:]) for li in head.lower().split(b"\r\n") if li.startswith(b"content-length:")), 0
    )
    return head, await reader.readexactly(length)


def call(endpoint="/v1/chat/completions", **plain):
    body = json.dumps(plain).encode()
    return Call("c1", endpoint, plain["model"], body, plain, stream=plain.get("stream", False))


def chat(text="hello world", **more):
    said = [{"role": "user", "content": text}]
    return call(**{"model": "m", "messages": said, "stream": True, **more})


async def answer_of(backend, asked):
    """All its bytes, and what is known about it."""
    answer = await backend.open(asked)
    return b"".join([part async for part in answer]), answer.outcome


def text_of(events):
    lines = [line[6:] for line in events.splitlines() if line.startswith(b"data: {")]
    deltas = [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]
    return "".join(delta.get("content", "") for delta in deltas)


def backend_of(url, **more):
    pool = PoolConfig(connect_timeout_s=2, read_timeout_s=more.pop("read_timeout_s", 2))
    return OpenAIBackend(OpenAIConfig(base_url=url, pool=pool, **more))


def echo():
    return MemoryBackend(
        lambda request: request.prompt or request.messages[-1].content,
        models=("m",),
        context_tokens=20,
    )


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def test_everything_arrives_over_there_and_comes_back():
    async def scenario():
        there = echo()
        async with upstream(there, keyed=True) as (url, key):
            backend = backend_of(url, api_key=key, models={"m": "m", "alias": "m"})
            await backend.start()
            assert {card.name for card in backend.cards()} == {"m", "alias"}
            assert backend.cards()[0].digest == there.cards()[0].digest
            sent = {"max_tokens": 2, "temperature": 0.3, "top_p": 0.8, "seed": 5, "stop": ["x"]}
            events, outcome = await answer_of(backend, chat("one two three", min_p=0.1, **sent))
            assert text_of(events) == "one two"
            assert (outcome.finish_reasons, outcome.usage.prompt_tokens) == (("length",), 3)
            assert outcome.usage.completion_tokens == 2
            assert outcome.complete
            (got,) = there.requests
            assert {name: getattr(got, name) for name in sent} == {**sent, "stop": ("x",)}
            assert got.extra == {"min_p": 0.1}
            assert got.messages[0].content == "one two three"
            asked = call("/v1/completions", model="alias", prompt="a b")
            body, outcome = await answer_of(backend, asked)
            assert json.loads(body)["choices"][0]["text"] == "a b"
            assert outcome.response_id == json.loads(body)["id"]
            asked = call("/v1/embeddings", model="m", input=["a b", "c"])
            body, outcome = await answer_of(backend, asked)
            assert [item["embedding"] for item in json.loads(body)["data"]] == [
                bag("a b"),
                bag("c"),
            ]
            assert outcome.usage.prompt_tokens == 3
            await backend.stop()

    run(scenario())


def test_errors_over_there_keep_their_status():
    async def scenario():
        async with upstream(echo(), keyed=True) as (url, key):
            backend = backend_of(url, api_key=key)
            await backend.start()
            with pytest.raises(BackendRefusal, match="20 tokens") as caught:
                await answer_of(backend, chat("w " * 30))
            assert (caught.value.status, caught.value.code) == (400, "context_length_exceeded")
            with pytest.raises(UnknownName):
                await answer_of(backend, chat(model="other"))
            await backend.stop()
            wrong = backend_of(url, api_key="sk-tf-wrong")
            with pytest.raises(BackendRefusal) as caught:
                await wrong.start()
            assert caught.value.status == 502
            assert "sk-tf-wrong" not in str(caught.value)

    run(scenario())


def test_closing_a_stream_early_cancels_over_there():
    async def scenario():
        there = MemoryBackend(lambda request: "a b c d e f g", models=("m",), delay_s=0.05)
        async with upstream(there) as (url, _):
            backend = backend_of(url)
            await backend.start()
            answer = await backend.open(chat())
            seen = b""
            async for part in answer:
                seen += part
                if text_of(seen):
                    break
            answer.close()
            for _ in range(100):
                if there.cancelled:
                    break
                await asyncio.sleep(0.02)
            assert there.cancelled == [there.requests[0].id]
            await backend.stop()

    run(scenario())


def test_one_connection_serves_many_requests():
    async def scenario():
        connections = set()

        async def behave(reader, writer, number):
            while True:
                await request_of(reader)
                connections.add(number)
                writer.write(whole(b'{"data":[{"id":"m"}]}'))

        async with hostile(behave) as url:
            backend = backend_of(url)
            for _ in range(5):
                await backend.start()
            await backend.stop()
        assert connections == {0}

    run(scenario())


def whole(body, status=b"200 OK", headers=b""):
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n%b\r\n%b" % (status, len(body), headers, body)


MODELS = whole(b'{"data":[{"id":"m"}]}')


def test_a_kept_connection_that_was_closed_is_replaced_once():
    async def scenario():
        served = []

        async def behave(reader, writer, number):
            await request_of(reader)
            served.append(number)
            writer.write(MODELS)  # promises keep-alive, then closes

        async with hostile(behave) as url:
            backend = backend_of(url)
            for _ in range(3):
                await backend.start()
            await backend.stop()
        assert served == [0, 1, 2]

    run(scenario())


def test_an_answer_nobody_asked_for_reaches_nobody():
    async def scenario():
        async def behave(reader, writer, number):
            while True:
                await request_of(reader)
                writer.write(MODELS)
                await asyncio.sleep(0.05)
                writer.write(whole(b'{"data":[{"id":"poison"}]}'))

        async with hostile(behave) as url:
            backend = backend_of(url)
            for _ in range(3):
                await backend.start()
                assert [card.name for card in backend.cards()] == ["m"]
                await asyncio.sleep(0.15)
            await backend.stop()

    run(scenario())


FAULT = b'data: {"error":{"message":"out of memory"}}\n\n'
CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize(
    ("answer", "match"),
    [
        (b"", "closed the connection"),
        (b"\x16\x03\x01 not http at all\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 100_000 + b"\r\n\r\n", "without an end"),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
            "another protocol",
        ),
        (whole(b"<html>hello</html>"), "did not answer with a stream"),
        (whole(b"oops", b"302 Found"), "status 302"),
        (STREAM + chunked(CHUNK), "closed the connection"),
        (STREAM + chunked(CHUNK) + b"zz\r\n", "does not speak HTTP"),
        (STREAM + chunked(CHUNK) + b"0\r\n\r\n", "ended before its answer"),
        (STREAM + chunked(FAULT) + b"0\r\n\r\n", "ended before its answer"),
    ],
)
def test_a_server_that_misbehaves_is_a_backend_error(answer, match):
    async def scenario():
        async def behave(reader, writer, number):
            head, _ = await request_of(reader)
            if head.startswith(b"GET"):
                writer.write(MODELS)
                await request_of(reader)
            writer.write(answer)

        async with hostile(behave) as url:
            backend = backend_of(url)
            await backend.start()
            with pytest.raises(BackendError, match=match):
                await answer_of(backend, chat())
            await backend.stop()

    run(scenario())


def test_an_error_of_the_servers_own_ends_its_stream_and_is_nothing_to_keep():
    said = FAULT + b"data: [DONE]\n\n"

    async def scenario():
        async def behave(reader, writer, number):
            await request_of(reader)
            writer.write(MODELS)
            await request_of(reader)
            writer.write(STREAM + chunked(said) + b"0\r\n\r\n")

        async with hostile(behave) as url:
            backend = backend_of(url)
            await backend.start()
            events, outcome = await answer_of(backend, chat())
            assert events == said
            assert outcome.refused
            await backend.stop()

    run(scenario())


@pytest.mark.parametrize(
    "odd",
    [
        b"data: {broken\n\n",
        b"data: [1]\n\n",
        b'data: {"choices":7,"usage":[],"id":{}}\n\n',
        b'data: {"choices":[3,{"delta":4,"finish_reason":"stop","index":"x"}]}\n\n',
        b'data: {"choices":[],"usage":{"prompt_tokens":-4,"completion_tokens":"many"}}\n\n',
    ],
)
def test_what_we_do_not_understand_is_passed_on(odd):
    """It is for the client to judge; of tokens nothing is believed that cannot be."""
    said = CHUNK + odd + b"data: [DONE]\n\n"

    async def scenario():
        async def behave(reader, writer, number):
            _head, _ = await request_of(reader)
            writer.write(MODELS)
            await request_of(reader)
            writer.write(STREAM + chunked(said) + b"0\r\n\r\n")

        async with hostile(behave) as url:
            backend = backend_of(url)
            await backend.start()
            events, outcome = await answer_of(backend, chat())
            assert events == said
            assert outcome.usage is None or outcome.usage.total_tokens == 0
            await backend.stop()

    run(scenario())


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (b"429 Too Many Requests", b"retry-after: 7\r\n", (429, 7.0)),
        (b"503 Busy", b"", (503, None)),
    ],
)
def test_overload_over_there_says_when_to_come_back(status, headers, expected):
    async def scenario():
        async def behave(reader, writer, number):
            while True:
                head, _ = await request_of(reader)
                body = b'{"error":{"message":"busy","code":"full"}}'
                writer.write(MODELS if head[:3] == b"GET" else whole(body, status, headers))

        async with hostile(behave) as url:
            backend = backend_of(url)
            await backend.start()
            for _ in range(2):
                with pytest.raises(BackendRefusal, match="busy") as caught:
                    await answer_of(backend, chat())
                assert (caught.value.status, caught.value.retry_after_s) == expected
                assert caught.value.code == "full"
            await backend.stop()

    run(scenario())


def test_a_silent_server_is_given_up():
    async def scenario():
        async def behave(reader, writer, number):
            await reader.read()

        async with hostile(behave) as url:
            with pytest.raises(BackendError, match="silent"):
                await backend_of(url, read_timeout_s=0.2).start()

    run(scenario())


def test_nobody_is_listening():
    async def scenario():
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        server.close()
        await server.wait_closed()
        with pytest.raises(BackendError, match="cannot connect"):
            await backend_of(url).start()

    run(scenario())


def test_a_split_stream_is_put_together_again():
    """Every byte in a packet of its own: no boundary may matter."""
    said = (
        'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\r\n\r\n: comment\n\n'
        'data: {"choices":[{"delta":{"content":"grüß "}}]}\n\n'
        'data: {"choices":[{"delta":{"content":"dich"},"finish_reason":"stop"}]}\n\n'
        'data: {"choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2}}\n\n'
        "data: [DONE]\n\n"
    ).encode()

    async def scenario():
        async def behave(reader, writer, number):
            await request_of(reader)
            writer.write(MODELS)
            await request_of(reader)
            writer.write(STREAM)
            for index in range(len(said)):
                writer.write(chunked(said[index : index + 1]))
                await writer.drain()
                await asyncio.sleep(0)
            writer.write(b"0\r\n\r\n")

        async with hostile(behave) as url:
            backend = backend_of(url)
            await backend.start()
            events, outcome = await answer_of(backend, chat())
            assert events == said
            assert (outcome.finish_reasons, outcome.usage.total_tokens) == (("stop",), 6)
            await backend.stop()

    run(scenario())


def test_the_key_is_in_no_text_of_ours():
    config = OpenAIConfig(base_url="http://127.0.0.1:1/v1", api_key="sk-secret")
    assert "sk-secret" not in repr(config)
    with pytest.raises(ConfigError) as caught:
        OpenAIConfig(base_url="http://127.0.0.1:1/v1", api_key="sk-secret\r\nx: y")
    assert "sk-secret" not in str(caught.value)


def test_an_address_that_is_none():
    with pytest.raises(ConfigError) as caught:
        backend_of("ftp://user:secret@host/v1")
    assert "secret" not in str(caught.value)
