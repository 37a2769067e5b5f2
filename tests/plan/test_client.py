import asyncio
import contextlib
import socket
import threading

import pytest

from tenfold.errors import UsageError
from tenfold.plan.client import Target, send_trace
from tenfold.plan.trace import TraceRequest


def send(url, requests, *, concurrency=4, **target):
    return asyncio.run(
        send_trace(Target(url, "sk-x", "model", **target), requests, concurrency=concurrency)
    )


def asks(*prompts, stream=False, **values):
    return [TraceRequest(0.0, prompt, stream=stream, **values) for prompt in prompts]


@pytest.mark.parametrize("endpoint", ["completions", "chat"])
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_comes_whole_with_usage_tier_and_times(upstream, endpoint, stream):
    app, url = upstream
    requests = asks("one – zwei", stream=stream, max_tokens=5)
    [outcome], wall_s = send(url + "/v1/", requests, endpoint=endpoint)
    assert outcome.error is None
    assert (outcome.status, outcome.text, outcome.tier) == (200, "(ONE – ZWEI)", "model")
    assert (outcome.prompt_tokens, outcome.completion_tokens) == (7, 5)
    assert outcome.response_id.startswith("cmpl-")
    assert 10 <= outcome.latency_ms <= wall_s * 1e3
    assert (outcome.ttft_ms is not None) == stream
    [seen] = app.served
    assert seen["headers"][b"authorization"] == b"Bearer sk-x"
    assert seen["temperature"] == 0.0
    assert seen["path"] == ("/v1/chat/completions" if endpoint == "chat" else "/v1/completions")


def test_a_closed_loop_keeps_exactly_so_many_under_way_and_the_order_of_the_trace(upstream):
    app, url = upstream
    outcomes, _ = send(url, asks(*(f"p{n}" for n in range(40))), concurrency=5)
    assert app.most_at_once == 5
    assert [outcome.text for outcome in outcomes] == [f"(P{n})" for n in range(40)]


def test_connections_are_kept(upstream):
    _, url = upstream
    with counting_proxy(url) as (proxied, connections):
        outcomes, _ = send(proxied, asks(*(f"p{n}" for n in range(30))), concurrency=3)
    assert all(outcome.ok for outcome in outcomes)
    assert len(connections) == 3


def test_an_open_loop_counts_the_time_spent_in_the_servers_queue(upstream):
    app, url = upstream
    one_at_a_time = asyncio.Lock()
    work = app._answer

    async def queued(scope, ask, send):
        async with one_at_a_time:
            await work(scope, ask, send)

    app._answer, app.work_s = queued, 0.03
    requests = [TraceRequest(0.001 * n, f"p{n}") for n in range(8)]
    outcomes, _ = send(url, requests, concurrency=None)
    assert all(outcome.ok for outcome in outcomes)
    assert max(outcome.latency_ms for outcome in outcomes) >= 8 * 30 - 10


def test_failures_are_counted_and_do_not_stop_the_rest(upstream):
    _, url = upstream
    streams = asks("BREAK the stream", stream=True)
    plain = asks("FAIL", "HTML", "GARBAGE", "SLEEP", "fine")
    outcomes, _ = send(url, plain + streams, timeout_s=0.5)
    errors = [outcome.error for outcome in outcomes]
    assert "status 503: no such luck" in errors[0]
    assert "status 502: <h1>Bad Gateway" in errors[1]
    assert "answer" in errors[2]
    assert errors[3] == "timeout"
    assert errors[4] is None
    assert "ended early" in errors[5]
    assert [outcome.status for outcome in outcomes[:3]] == [503, 502, 200]


def test_nobody_listening_is_an_error_per_request():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        outcomes, _ = send(url, asks("a", "b"))
    assert all(outcome.error.startswith("connection:") for outcome in outcomes)


def test_a_server_that_closes_kept_connections_loses_no_request():
    """It answers once per connection, promises to keep it, and hangs up."""

    def serve_once(connection):
        with connection:
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(65536)
            body = b'{"choices": [{"text": "yes"}]}'
            connection.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )

    with raw_server(serve_once) as url:
        outcomes, _ = send(url, asks(*"abcdef"), concurrency=1)
    assert [outcome.text for outcome in outcomes] == ["yes"] * 6


@pytest.mark.parametrize(
    "reply",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffff\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 2",
        b"",
    ],
)
def test_a_server_that_is_no_gateway_is_an_error_not_a_crash(reply):
    def serve(connection):
        with connection:
            connection.recv(65536)
            connection.sendall(reply)

    with raw_server(serve) as url:
        [outcome], _ = send(url, asks("x"), timeout_s=5)
    assert outcome.error


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://"])
def test_an_address_that_is_none_is_refused_at_once(url):
    with pytest.raises(UsageError, match="address"):
        Target(url, "k", "m")


@contextlib.contextmanager
def raw_server(serve):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def counting_proxy(url):
    """Passes bytes on and remembers every connection."""
    host, port = url.removeprefix("http://").split(":")
    connections = []

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def serve(connection):
        connections.append(connection)
        with connection, socket.create_connection((host, int(port))) as onward:
            back = threading.Thread(target=pump, args=(onward, connection), daemon=True)
            back.start()
            pump(connection, onward)
            back.join()

    with raw_server(serve) as proxied:
        yield proxied, connections
