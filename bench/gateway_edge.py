"""What filling in a page costs at the edge: a hit with two slots beside a plain hit of as many bytes.

Each edge runs as `tenfold emit edge` writes it (the Python one under uvicorn), on one core with one worker,
before an origin in this process that is asked once for each page. Rounds of plain and filled hits alternate.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import peers
from gateway_load import CONNECTIONS, _lua, _read
from gateway_process import Server, cores, launch
from gateway_stage import Stage
from harness import Figure, Figures, Unavailable, spread
from tenfold.serve.edge.contract import SurrogateControl, slot_header
from tenfold.serve.edge.emission import EdgeConfig
from tenfold.serve.edge.nginx import emit_nginx
from tenfold.serve.edge.origin import suited, surrogate_headers
from tenfold.serve.edge.slots import encode, sign
from tenfold.serve.edge.templates import Slot, Template
from tenfold.serve.edge.varnish import emit_varnish

NUM_PAGES = 64
"""Different requests in a round."""
_BODY = (
    '{"model":"m","messages":[{"role":"user","content":"Question %d: '
    + "what is it? " * 20
    + '"}]}'
)
_WORDS = b"An answer has some length, as answers do. " * 9
_SLOTS = {"name": "Anna Meyer", "city": "Berlin"}
_ODD = {"name": 'Zoë "Z"', "city": "São Paulo"}
PAGE = Template(
    [
        b'{"id":"chatcmpl-1","object":"chat.completion","choices":[{"message":{"content":"Hello ',
        Slot("name", "json", "you"), b" in ", Slot("city", "json"), b". ", _WORDS, b'"}}]}',
    ]
)  # fmt: skip


class _Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        page, content = PAGE.fill(_SLOTS), None
        if self.path == "/filled":
            page, content = suited(PAGE, self.headers.get("surrogate-capability", "").encode())
        lines = surrogate_headers(SurrogateControl(max_age_s=86400, content=content))
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b"
            % (len(page), lines, page)
        )

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Way:
    """One kind of request."""

    path: str
    headers: tuple[tuple[str, str], ...] = ()


def _ways(secret: bytes) -> dict[str, Way]:
    def hop(values: dict[str, str]) -> tuple[tuple[str, str], ...]:
        return tuple((slot_header(n).decode(), encode(v).decode()) for n, v in values.items())

    token = sign(_ODD, secret, expires_s=int(time.time()) + 86400)
    return {
        "plain": Way("/plain"),
        "words": Way("/filled", hop(_SLOTS)),
        "escaped": Way("/filled", hop(_ODD)),
        "token": Way("/filled", (("x-tenfold-slots", token),)),
    }


@contextmanager
def _origin() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Origin)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _edge(kind: str, origin: str) -> Iterator[tuple[Server, dict[str, Way]]]:
    """Raises Unavailable without its program."""
    if shutil.which({"nginx": "nginx", "varnish": "varnishd"}.get(kind, sys.executable)) is None:
        raise Unavailable(f"{kind} is not installed")
    folder = Path(tempfile.mkdtemp(prefix="tenfold-edge-", dir="/tmp"))
    ports = _free_ports(3)
    listen, admin, inner = (f"127.0.0.1:{port}" for port in ports)
    config = EdgeConfig(
        folder=folder / "edge", origin=origin, listen=listen, admin=admin, inner=inner,
        slots=tuple(_SLOTS), trusted=("127.0.0.1/32",), cache_mb=64, workers=1,
    )  # fmt: skip
    commands: dict[str, list[str | Path]] = {
        "nginx": ["nginx", "-c", folder / "edge/nginx.conf"],
        "varnish": [folder / "edge/run"],
        "asgi": [sys.executable, "-m", "uvicorn", "--factory", "gateway_edge:app", "--port", str(ports[0]),
                 "--log-level", "warning", "--app-dir", Path(__file__).parent, "--no-proxy-headers"],
    }  # fmt: skip
    if kind != "asgi":
        (emit_nginx if kind == "nginx" else emit_varnish)(config)
    else:
        config.folder.mkdir()
    if os.geteuid() == 0 and kind == "varnish":  # it does not run as root
        for path in [folder, *folder.rglob("*")]:
            shutil.chown(path, "nobody", "nogroup")
        commands[kind][:0] = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    elif os.geteuid() == 0:
        folder.chmod(0o755)
    process, log = launch(
        commands[kind], folder / "log", core=cores().server,
        environment={"EDGE_ORIGIN": origin, "EDGE_SECRETS": config.secrets.to_json()},
    )  # fmt: skip
    server = Server(kind, f"http://{listen}", "m", ["key"], process, said=log)
    try:
        _wait(server, ports[0])
        yield server, _ways(config.secrets.signing_keys[0])
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def app() -> object:
    """The Python edge, for uvicorn."""
    import json

    from tenfold.serve.edge.asgi import AsgiEdge, AsgiEdgeConfig
    from tenfold.serve.edge.secrets import EdgeSecrets

    said = json.loads(os.environ["EDGE_SECRETS"])
    config = AsgiEdgeConfig(origin=os.environ["EDGE_ORIGIN"], trusted=("127.0.0.1/32",))
    return AsgiEdge(config, EdgeSecrets(tuple(said["slots"]), said["purge"]))


def _free_ports(number: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [int(one.getsockname()[1]) for one in held]
    for one in held:
        one.close()
    return ports


def _wait(server: Server, port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if not server.alive():
                break
            time.sleep(0.05)
    raise Unavailable(f"{server.name} did not start: {server.last_words()}")


def _fill(server: Server, way: Way) -> bytes:
    """Ask for each page of `way` once; the last one's bytes."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    said = b""
    for page in range(NUM_PAGES):
        heads = {"authorization": "Bearer key", **dict(way.headers)}
        connection.request("POST", way.path, (_BODY % page).encode(), heads)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{server.name} answered {answer.status}: {said[:300]!r}")
    connection.close()
    return said


def _cpu_us(server: Server, way: Way, seconds: int) -> float:
    """Of a round of hits, per request."""
    heads = "".join(f", [ {_lua(name)} ] = {_lua(value)}" for name, value in way.headers)
    before, after = _BODY.split("%d")
    script = (
        f'local heads = {{ ["authorization"] = "Bearer key", ["content-type"] = "application/json"{heads} }}\n'
        f"local ready, sent = {{}}, 0\nfunction init() for n = 0, {NUM_PAGES - 1} do ready[n] = wrk.format("
        f'"POST", "{way.path}", heads, {_lua(before)} .. n .. {_lua(after)}) end end\n'
        f"function request() sent = sent + 1 return ready[sent % {NUM_PAGES}] end\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        start_s = server.cpu_s()
        command = ["taskset", "-c", str(cores().load), peers.program("wrk"), "-t1", f"-c{CONNECTIONS}",
                   f"-d{seconds}s", "--latency", "-s", file.name, server.url]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
    run = _read(done.stdout, done.stderr)
    server.rest()
    if run.failed:
        raise RuntimeError(f"{server.name}: {run.failed} of {run.requests} requests failed")
    return (server.cpu_s() - start_s) / (run.requests + CONNECTIONS / 2) * 1e6


def _rounds(kind: str, ways: list[str], rounds: int, seconds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {way: [] for way in ways}
    with _origin() as origin, _edge(kind, origin) as (server, known):
        expected = {"plain": _SLOTS, "words": _SLOTS, "escaped": _ODD, "token": _ODD}
        for way in ways:
            if _fill(server, known[way]) != PAGE.fill(expected[way]):
                raise RuntimeError(f"{kind} filled the page wrongly ({way})")
        for _ in range(rounds):
            for way in ways:
                found[way].append(_cpu_us(server, known[way], seconds))
    return found


_WHAT = {
    "words": "two slots from a trusted hop's headers, words that need no escaping",
    "escaped": "two slots from a trusted hop's headers, with quotes and umlauts: decoded and escaped at the edge",
    "token": "the same two from a signed token, verified for each request",
}


def measure(stage: Stage, quick: bool) -> Figures:
    """`edge_fill_vs_plain` on nginx, its other ways, and the same for the two other edges."""
    stage.pin()
    rounds, seconds = (2, 1) if quick else (7, 4)
    how = (
        f"{rounds} alternating rounds of {seconds} s, {CONNECTIONS} connections of wrk, one core; POST hits, "
        f"{len(PAGE.fill(_SLOTS))} bytes, {NUM_PAGES} pages; CPU time of the process tree, smallest of each"
    )
    with stage.alone():
        for kind in ("nginx", "varnish", "asgi"):
            ways = ["plain", "words", "escaped"] + ["token"] * (kind != "varnish")
            try:
                found = _rounds(kind, ways, rounds, seconds)
            except Unavailable as reason:
                if kind == "nginx":
                    raise
                name = f"edge_fill_vs_plain.{kind}"
                yield name, Figure(value=None, unit="", method=f"not measured: {reason}")
                continue
            yield (
                f"edge_fill_vs_plain.{kind}.plain_us",
                spread(found["plain"], "us", f"a plain hit on {kind}: {how}", take=min),
            )
            for way in ways[1:]:
                stem = "edge_fill_vs_plain" + ("" if kind == "nginx" else f".{kind}")
                ratios = [a / b for a, b in zip(found[way], found["plain"], strict=True)]
                yield (
                    stem if way == "escaped" else f"{stem}.{way}",
                    Figure(
                        value=min(found[way]) / min(found["plain"]), unit="x", n=rounds,
                        low=min(ratios), high=max(ratios), peer=f"a plain hit on {kind}",
                        method=f"a filled hit over a plain one: {_WHAT[way]}; {how}",
                    ),
                )  # fmt: skip
