"""A server with one dialect in front of canned chat answers, and what streams consist of."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel

from tenfold.serve.refusal import refusal_of


class Front:
    """Answers every POST as the gateway would: read, translate, ask, translate back."""

    def __init__(self, dialect: Any) -> None:
        self.dialect = dialect
        self.chat: list[dict[str, Any]] = []
        """What was asked of the chat server."""
        self.answer: dict[str, Any] | list[bytes] = {}
        """A whole answer, or the parts of a stream."""
        self.sent: list[bytes] = []
        """What came of each part."""
        self.url = ""

    def reply(self, body: bytes) -> Iterator[tuple[int, str, bytes]]:
        id = self.dialect.prefix + "0123"
        try:
            ask = self.dialect.read(body)
            self.chat.append(self.dialect.to_chat(ask.plain))
            if not ask.stream:
                assert isinstance(self.answer, dict)
                made = self.dialect.from_chat(self.answer, ask.plain, id)
                yield 200, "application/json", made
                return
        except Exception as error:
            refusal = refusal_of(error)
            body = self.dialect.refused(refusal, "req_1")
            yield refusal.status, "application/json", body
            return
        stream = self.dialect.stream(ask.plain, id)
        for part in [*self.answer, None]:
            said = stream.end() if part is None else stream.feed(part)
            self.sent.append(said)
            yield 200, "text/event-stream", said


@contextmanager
def listening(front: Front) -> Iterator[Front]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            begun = False
            for status, kind, part in front.reply(body):
                if not begun:
                    begun = True
                    self.send_response(status)
                    self.send_header("content-type", kind)
                    self.end_headers()
                self.wfile.write(part)
                self.wfile.flush()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        front.url = f"http://127.0.0.1:{server.server_port}"
        yield front
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Canned:
    """Chat answers as servers send them, and strict reading of what came of them."""

    DONE = b"data: [DONE]\n\n"
    USAGE: ClassVar = {
        "prompt_tokens": 12,
        "completion_tokens": 7,
        "total_tokens": 19,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    HEAD: ClassVar = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "m"}

    @staticmethod
    def event(plain: dict[str, Any]) -> bytes:
        return b"data: %b\n\n" % json.dumps(plain).encode()

    def chunk(self, delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, **more}
        return self.event({**self.HEAD, "object": "chat.completion.chunk", "choices": [choice]})

    def chunks(self, *deltas: dict[str, Any], finish: str = "stop", **last: Any) -> list[bytes]:
        """A stream as OpenAI and vLLM send it: role first, usage in a chunk of its own, `[DONE]`."""
        usage = {"object": "chat.completion.chunk", "choices": [], "usage": self.USAGE}
        return [
            self.chunk({"role": "assistant", "content": ""}),
            *map(self.chunk, deltas),
            self.chunk({}, finish, **last),
            self.event({**self.HEAD, **usage}),
            self.DONE,
        ]

    def whole(self, message: dict[str, Any], finish: str = "stop", **more: Any) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", **message},
            "finish_reason": finish,
            **more,
        }
        return {
            **self.HEAD,
            "object": "chat.completion",
            "choices": [choice],
            "usage": self.USAGE,
        }

    @staticmethod
    def call(
        index: int | None,
        id: str | None = None,
        name: str | None = None,
        arguments: str | None = None,
    ) -> dict[str, Any]:
        """A part of a tool call."""
        function = {"name": name, "arguments": arguments}
        part = {
            "index": index,
            "id": id,
            "function": {k: v for k, v in function.items() if v is not None},
        }
        return {"tool_calls": [{k: v for k, v in part.items() if v is not None}]}

    @staticmethod
    def decoded(stream: bytes) -> list[tuple[str, dict[str, Any]]]:
        """Server-sent events as (name, data), read strictly."""
        found = []
        assert stream == b"" or stream.endswith(b"\n\n")
        for block in stream.decode().split("\n\n")[:-1]:
            name, data = block.split("\n")
            assert name.startswith("event: ")
            assert data.startswith("data: ")
            found.append((name[7:], json.loads(data[6:])))
        return found

    def known(self, value: object, at: str = "$") -> None:
        """The client's own models know every member we sent."""
        if isinstance(value, BaseModel):
            assert not value.model_extra, f"{at} has {value.model_extra}"
            for name in type(value).model_fields:
                self.known(getattr(value, name), f"{at}.{name}")
        elif isinstance(value, list | tuple):
            for index, entry in enumerate(value):
                self.known(entry, f"{at}[{index}]")


@pytest.fixture(scope="session")
def canned() -> Canned:
    return Canned()


@pytest.fixture
def front() -> Iterator[Callable[[Any], Front]]:
    with ExitStack() as stack:
        yield lambda dialect: stack.enter_context(listening(Front(dialect)))
