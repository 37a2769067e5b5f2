"""ASGI applications behind the wire: Starlette's, and ones that misbehave."""

from __future__ import annotations

import asyncio
import threading
import time

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route

from tenfold.serve.http.asgi import Mounted

from .conftest import read_all


@pytest.fixture
def mounted(serving):
    def start(app, **more):
        return serving(Mounted(app), **more)

    return start


def base(served) -> str:
    return f"http://127.0.0.1:{served.port}"


def test_starlette_sees_the_request_as_sent_and_its_answers_arrive(mounted, tmp_path):
    (tmp_path / "file").write_bytes(b"f" * 300_000)

    async def seen(request: Request):
        return JSONResponse(
            {
                "method": request.method,
                "host": request.url.netloc,
                "query": dict(request.query_params),
                "a": request.headers.getlist("x-a"),
                "body": (await request.body()).decode(),
                "client": request.client.host,
                "name": request.path_params["name"],
                "raw": request.scope["raw_path"].decode(),
            },
            201,
            headers={"x-b": "c"},
        )

    def broken(request):
        raise ValueError("a fault of the page")

    def cookies(request):
        response = PlainTextResponse("c")
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        return response

    app = Starlette(
        routes=[
            Mount("/in", routes=[Route("/{name}", seen, methods=["POST", "GET"])]),
            Route("/file", lambda request: FileResponse(tmp_path / "file")),
            Route("/empty", lambda request: Response(status_code=204)),
            Route("/broken", broken),
            Route("/cookies", cookies),
        ]
    )
    with mounted(app) as served, httpx.Client(base_url=base(served)) as client:
        answer = client.post(
            "/in/a%20b?q=%C3%A4", content=b"hello", headers=[("X-A", "1"), ("X-A", "2")]
        )
        assert (answer.status_code, answer.headers["x-b"]) == (201, "c")
        assert answer.json() == {
            "method": "POST", "host": f"127.0.0.1:{served.port}", "query": {"q": "ä"},
            "a": ["1", "2"], "body": "hello", "client": "127.0.0.1", "name": "a b", "raw": "/in/a%20b",
        }  # fmt: skip
        answer = client.get("/file")
        assert answer.content == b"f" * 300_000
        assert answer.headers["content-length"] == "300000"
        answer = client.head("/file")
        assert (answer.content, answer.headers["content-length"]) == (b"", "300000")
        assert client.get("/file", headers={"Range": "bytes=5-9"}).content == b"fffff"
        assert client.get("/empty").status_code == 204
        assert client.get("/nothing").status_code == 404
        assert client.get("/broken").status_code == 500
        assert client.get("/cookies").headers.get_list("set-cookie")[1].startswith("b=2")
        assert served.server.num_connections == 1


def test_server_sent_events_arrive_as_they_are_made_and_end_with_the_client(mounted):
    ended = threading.Event()

    async def events(request):
        async def make():
            try:
                for number in range(3):
                    yield f"data: {number}\n\n"
                await asyncio.sleep(3600)  # silent: only the disconnect can end it
                yield "data: never\n\n"
            finally:
                ended.set()

        return StreamingResponse(make(), media_type="text/event-stream")

    with mounted(Starlette(routes=[Route("/events", events)])) as served:
        with httpx.stream("GET", base(served) + "/events", timeout=10) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.iter_lines()
            assert [next(lines) for _ in range(6)][::2] == ["data: 0", "data: 1", "data: 2"]
            assert not ended.is_set()
        assert ended.wait(10)


def test_a_slow_reader_holds_the_application_back(mounted):
    made = []

    async def much(request):
        async def make():
            for _ in range(500):
                made.append(1)
                yield b"z" * 100_000

        return StreamingResponse(make())

    with mounted(Starlette(routes=[Route("/", much)])) as served, served.connect(30) as reader:
        reader.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        last = -1
        while last != len(made):
            last = len(made)
            time.sleep(0.2)
        assert 0 < last < 400
        assert read_all(reader).count(b"z") == 50_000_000


START = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.mark.parametrize(
    ("messages", "status", "whole"),
    [
        ([], 500, True),
        ([START], 500, True),
        ([START, START], 500, True),
        ([{"type": "http.response.body", "body": b"x"}], 500, True),
        ([{"type": "websocket.accept"}], 500, True),
        ([{**START, "headers": [(b"x", b"a\r\nset-cookie: b")]}, {"type": "http.response.body"}], 500, True),
        ([{**START, "headers": [(b"a b", b"c")]}, {"type": "http.response.body"}], 500, True),
        ([START, {"type": "http.response.body", "body": b"x", "more_body": True}], 200, False),
        ([START, {"type": "http.response.body", "body": b"x", "more_body": True}, START], 200, False),
        ([{**START, "headers": [(b"content-length", b"9")]}, {"type": "http.response.body", "body": b"x"}], 200, False),
    ],
)  # fmt: skip
def test_an_application_that_breaks_its_promises(mounted, messages, status, whole):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    with mounted(app) as served:
        try:
            answer = httpx.get(base(served))
        except httpx.RemoteProtocolError:
            assert not whole
        else:
            assert answer.status_code == status
            assert whole
            assert b"set-cookie" not in answer.content


def test_an_application_writes_to_a_client_that_left(mounted):
    raised = threading.Event()

    async def app(scope, receive, send):
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"
        try:
            await send(START)
        except OSError:
            raised.set()
            raise

    with mounted(app) as served:
        connection = served.connect()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.close()
        assert raised.wait(10)


def test_cancelling_ends_what_is_left(serving):
    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.sleep(3600)

    handler = Mounted(app)
    with serving(handler) as served, served.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        seen = connection.recv(1000)
        served.call(handler.cancel)
        seen += read_all(connection)
        assert not seen.endswith(b"0\r\n\r\n")
