"""An origin that speaks the contract and counts, and the three edges in front of it, run for real."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tenfold.serve.edge.contract import SurrogateControl, slot_header
from tenfold.serve.edge.emission import EdgeConfig
from tenfold.serve.edge.origin import etag_of, suited, surrogate_headers
from tenfold.serve.edge.secrets import EdgeSecrets, new_secrets
from tenfold.serve.edge.slots import encode, sign
from tenfold.serve.edge.templates import Slot, Template

NOBODY = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
SLOTS = ("name", "city", "long_note")


class Origin:
    """What a URL's query asks for, it does: ttl, swr, sie, keys, delay, form, status. The path is a name.

    Its body says what it was asked: the SHA-256 of the request's body, who asked, and the how-manieth call
    of that URL it was.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.heads: list[tuple[str, dict[str, str]]] = []
        self.etags: dict[str, str] = {}
        """Of the newest page at each path, as it left here."""
        self.failing = False
        self._gates: dict[str, threading.Event] = {}
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port = 0
        self.resume()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def resume(self) -> None:
        async def begin() -> asyncio.Server:
            return await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=512)

        self._server = self._on_loop(begin())
        self.port = self._server.sockets[0].getsockname()[1]

    def die(self) -> None:
        async def end() -> None:
            assert self._server is not None
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()

        self._on_loop(end())

    def close(self) -> None:
        self.die()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def asked(self, name: str) -> list[dict[str, str]]:
        """The headers of every request whose path ends in `name`."""
        return [head for path, head in self.heads if path.endswith(name)]

    def _on_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ")
                head = {k.lower(): v.strip() for k, _, v in (x.partition(":") for x in lines[1:-2])}
                body = b""
                if head.get("transfer-encoding") == "chunked":
                    while size := int(await reader.readline(), 16):
                        body += await reader.readexactly(size)
                        await reader.readline()
                    await reader.readline()
                else:
                    body = await reader.readexactly(int(head.get("content-length", 0)))
                await self._answer(writer, method, target, head, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(
        self, out: asyncio.StreamWriter, method: str, target: str, head: dict[str, str], body: bytes
    ) -> None:
        url = urlsplit(target)
        wish = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self.calls[url.path] += 1
        number = self.calls[url.path]
        self.heads.append((url.path, head))
        await asyncio.sleep(float(wish.get("delay", 0)))
        if self.failing or wish.get("status", "200") != "200":
            status = 503 if self.failing else int(wish["status"])
            lines = surrogate_headers(SurrogateControl(max_age_s=60)) if "trap" in wish else b""
            return self._send(out, status, lines, b'{"error":{"call":%d}}' % number)
        form = wish.get("form", "json")
        if form == "stream":
            out.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            for count in range(3):
                event = b"data: %d\n\n" % count
                out.write(b"%x\r\n%b\r\n" % (len(event), event))
                await out.drain()
                gate = self._gates.get(f"{url.path}#{count}")
                if gate is not None:
                    await asyncio.to_thread(gate.wait, 10)
            out.write(b"0\r\n\r\n")
            return None
        said = {
            "sha": hashlib.sha256(body).hexdigest(),
            "who": head.get("authorization", "") + head.get("x-api-key", ""),
            "path": url.path,
            "call": number if wish.get("count", "1") == "1" else 0,
        }
        facts = json.dumps(said).encode()[1:-1]
        kind, content = b"application/json", None
        if form == "json":
            page = (
                b'{"evil":"<!--# echo var=\\"secret\\" --><esi:include src=\\"/x\\"/>",%b}' % facts
            )
        else:
            kind = b"application/json" if form == "template" else b"text/html; charset=utf-8"
            template = PAGES[form] if form != "template" else Template([*PAGES[form].parts, b",", facts, b"}"])  # fmt: skip
            page, content = suited(template, head.get("surrogate-capability", "").encode())
        control = SurrogateControl(
            max_age_s=int(wish.get("ttl", 60)),
            stale_while_revalidate_s=int(wish.get("swr", 0)),
            stale_if_error_s=int(wish.get("sie", 0)),
            content=content,
        )
        etag = self.etags[url.path] = etag_of(page)
        lines = surrogate_headers(
            control,
            [k for k in wish.get("keys", "").split(",") if k],
            etag=etag,
            cache_control=b"max-age=5",
            vary=wish.get("vary", "").encode(),
        )
        if "nostore" in wish:
            lines = b"cache-control: no-store\r\n"
        if content is not None:
            lines += (
                b"etag: %b\r\n" % etag.encode()
            )  # an origin that forgot: the edge must not pass it on
        if "cookie" in wish:
            lines += b"set-cookie: a=b\r\n"
        if head.get("if-none-match") == etag and content is None:
            return self._send(out, 304, lines, b"")
        return self._send(out, 200, b"content-type: %b\r\n%b" % (kind, lines), page, method)

    def _send(
        self, out: asyncio.StreamWriter, status: int, lines: bytes, body: bytes, method: str = "GET"
    ) -> None:
        length = b"" if status == 304 else b"content-length: %d\r\n" % len(body)
        out.write(b"HTTP/1.1 %d X\r\n%b%b\r\n" % (status, length, lines))
        if method != "HEAD":
            out.write(body)

    def gate(self, path: str, count: int) -> threading.Event:
        """A stream at `path` waits after its event number `count` until this is set."""
        return self._gates.setdefault(f"{path}#{count}", threading.Event())


PAGES = {
    "template": Template(
        [
            b'{"evil":"<!--# include virtual=\\"/x\\" --><esi:include src=\\"/x\\"/>{{slot:",',
            b'"hello":"', Slot("name", "json", 'you "there"'),
            b'","city":"', Slot("city", "json"), b'","note":"', Slot("long_note", "json"),
            b'","html":"', Slot("never_set", "json", "d"), b'"',
        ]
    ),
    "html": Template(
        [
            b"<!doctype html><!--[if x]><![endif]--><p>", Slot("name", "html", "<you>"),
            b'</p><a title="', Slot("name", "attr", "'"), b'" href="/?q=', Slot("name", "url"),
            b"&amp;c=", Slot("city", "url", "a&b"), b'">x</a><script>var v = "',
            Slot("name", "js"), b'";</script>',
        ]
    ),
}  # fmt: skip


@dataclass
class Edge:
    """A running edge."""

    kind: str
    url: str
    admin: str
    secrets: EdgeSecrets = field(repr=False)

    def user(self, **values: str) -> dict[str, str]:
        """Headers of a user with these slot values: a token; for Varnish, what its trusted hop sends."""
        if self.kind == "varnish":
            return self.hop(**values)
        token = sign(values, self.secrets.signing_keys[0], expires_s=int(time.time()) + 60)
        return {"x-tenfold-slots": token}

    def hop(self, **values: str) -> dict[str, str]:
        return {slot_header(name).decode(): encode(v).decode() for name, v in values.items()}


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    pytest.fail(log.read_text(), pytrace=False)


@pytest.fixture(scope="module")
def origin() -> Iterator[Origin]:
    started = Origin()
    yield started
    started.close()


@pytest.fixture(scope="module", params=["nginx", "varnish", "asgi"])
def edge(request: pytest.FixtureRequest, origin: Origin, require: Any) -> Iterator[Edge]:
    start = {"nginx": _nginx, "varnish": _varnish, "asgi": _asgi}[request.param]
    folder = Path(tempfile.mkdtemp(prefix="edge-", dir="/tmp"))  # nobody cannot enter pytest's own
    try:
        with start(folder, origin, require) as running:
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _config(folder: Path, origin: Origin) -> EdgeConfig:
    ports = free_ports(3)
    listen, admin, inner = (f"127.0.0.1:{port}" for port in ports)
    return EdgeConfig(
        folder=folder / "edge", origin=origin.url, listen=listen, admin=admin, inner=inner,
        slots=SLOTS, trusted=("127.0.0.1/32",), cache_mb=64, workers=2,
    )  # fmt: skip


@contextlib.contextmanager
def _running(command: list[str], folder: Path, config: EdgeConfig, kind: str) -> Iterator[Edge]:
    if NOBODY:
        for path in [folder, *folder.rglob("*")]:
            shutil.chown(path, "nobody", "nogroup")
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=folder, stdout=stream, stderr=stream, start_new_session=True, **NOBODY
        )
    try:
        _wait_for(config.listening("listen")[1], process, log)
        _wait_for(config.listening("admin")[1], process, log)
        yield Edge(kind, f"http://{config.listen}", f"http://{config.admin}", config.secrets)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    said = log.read_text()
    assert config.secrets.purge not in said
    assert "Assert error" not in said, said


@contextlib.contextmanager
def _nginx(folder: Path, origin: Origin, require: Any) -> Iterator[Edge]:
    from tenfold.serve.edge.nginx import emit_nginx

    require(shutil.which("nginx"), "nginx")
    config = _config(folder, origin)
    require(Path(config.modules, "ngx_http_js_module.so").exists(), "nginx's js module")
    emit_nginx(config)
    command = ["nginx", "-c", str(config.folder / "nginx.conf")]
    with _running(command, folder, config, "nginx") as running:
        yield running


@contextlib.contextmanager
def _varnish(folder: Path, origin: Origin, require: Any) -> Iterator[Edge]:
    from tenfold.serve.edge.varnish import emit_varnish

    require(shutil.which("varnishd"), "Varnish")
    require(list(Path("/usr/lib").glob("*/varnish/vmods/libvmod_bodyaccess.so")), "varnish-modules")
    config = _config(folder, origin)
    emit_varnish(config)
    with _running([str(config.folder / "run")], folder, config, "varnish") as running:
        yield running


@contextlib.contextmanager
def _asgi(folder: Path, origin: Origin, require: Any) -> Iterator[Edge]:
    import uvicorn

    from tenfold.serve.edge.asgi import AsgiEdge, AsgiEdgeConfig

    secrets = new_secrets()
    (port,) = free_ports(1)
    ready = threading.Event()

    async def serve() -> None:
        app = AsgiEdge(AsgiEdgeConfig(origin=origin.url, trusted=("127.0.0.1/32",)), secrets)
        config = uvicorn.Config(
            app, host="127.0.0.1", port=port, log_level="warning", lifespan="on", ws="none",
            proxy_headers=False, timeout_graceful_shutdown=5,
        )  # fmt: skip
        servers.append(uvicorn.Server(config))
        ready.set()
        await servers[0].serve()

    servers: list[uvicorn.Server] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    while not servers[0].started:
        time.sleep(0.02)
    url = f"http://127.0.0.1:{port}"
    yield Edge("asgi", url, url, secrets)
    servers[0].should_exit = True
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def client(edge: Edge) -> Iterator[httpx.Client]:
    """From an address that the edges trust."""
    with httpx.Client(base_url=edge.url, timeout=20) as opened:
        yield opened


@pytest.fixture
def stranger(edge: Edge) -> Iterator[httpx.Client]:
    """From one that they do not."""
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=edge.url, timeout=20, transport=transport) as opened:
        yield opened


@pytest.fixture
def purge(edge: Edge) -> Any:
    from tenfold.serve.edge.origin import EdgeAddress, purge

    def go(*keys: str, soft: bool = False) -> Any:
        address = EdgeAddress(edge.admin, edge.secrets.purge)
        (done,) = asyncio.run(purge([address], keys, soft=soft))
        return done

    return go


Headers = Mapping[str, str]
