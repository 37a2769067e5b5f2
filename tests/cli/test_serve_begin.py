"""What `tenfold serve` says when it begins: before a backend answers, when it is wrong, when it comes."""

from __future__ import annotations

import http.server
import json
import signal
import socket
import threading
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "02-gateway"


class Listing(http.server.BaseHTTPRequestHandler):
    """Has its models at /v1/models, and nothing else."""

    def do_GET(self) -> None:
        found = self.path == "/v1/models"
        body = json.dumps(
            {"data": [{"id": "small"}]} if found else {"detail": "Not Found"}
        ).encode()
        self.send_response(200 if found else 404)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture
def listing(request, free_port):
    """Begins when called, on a port that is known before."""
    servers = []

    def begin() -> None:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port), Listing)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)

    begin.url = f"http://127.0.0.1:{free_port}"  # type: ignore[attr-defined]
    yield begin
    for server in servers:
        server.shutdown()
        server.server_close()


def lines_until(stream, wanted: str) -> list[str]:
    seen = []
    for line in stream:
        seen.append(line)
        if wanted in line:
            return seen
    pytest.fail(f"no {wanted!r} in: {''.join(seen)}")


def test_a_backend_that_comes_later_is_missed_aloud_and_greeted(start, folder, listing):
    server = start(
        "serve", "--port", "0", "--backend", listing.url + "/v1", cwd=folder, stdout=-1, stderr=-1
    )
    try:
        said = "".join(lines_until(server.stderr, "is not there yet"))
        for fact in ("address  http://127.0.0.1:", "tiers    exact", "none needed", listing.url):
            assert fact in said
        listing()
        lines_until(server.stderr, "backend backend-1 is there now")
        lines_until(server.stdout, "/console")
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)
    assert server.returncode == 0


def test_an_address_without_v1_is_told_from_a_server_that_is_away(start, folder, listing):
    listing()
    server = start(
        "serve", "--port", "0", "--backend", listing.url, cwd=folder, stdout=-1, stderr=-1
    )
    try:
        assert "with /v1 at the end" in lines_until(server.stderr, "hint:")[-1]
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)


def test_the_example_serves_any_server(start, folder, listing):
    listing()
    (folder / "factory.yaml").write_text((EXAMPLE / "factory.yaml").read_text())
    backends = f'serve.backends=[{{name: a, url: "{listing.url}/v1"}}]'
    server = start(
        "serve", "--port", "0", "--json", "--set", backends, cwd=folder, stdout=-1, stderr=-1
    )
    try:
        assert json.loads(server.stdout.readline())["api"].endswith("/v1")
    finally:
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=30)
    assert server.returncode == 0, said
    assert said == "", "with --json nobody reads along"


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        ("--backend http://127.0.0.1:99999/v1", "a backend is the address of a server"),
        ("--backend 127.0.0.1:8000", "a backend is the address of a server"),
        ("--backend http://127.0.0.1:1/v1 --backend-key-env sk-123", "variable that holds it"),
        ("--backend-key-env NAME", "goes with --backend"),
    ],
)
def test_what_is_no_backend_is_said(tenfold, folder, words, fact):
    done = tenfold(f"serve {words}")
    assert done.code == 2
    assert fact in done.err
    assert "sk-123" not in done.err


def test_settings_are_judged_once_before_there_are_workers(tenfold, folder, monkeypatch):
    monkeypatch.delenv("NO_SUCH_REDIS", raising=False)
    (folder / "factory.yaml").write_text(
        "factory: x\nserve:\n  port: 0\n  workers: 2\n  redis_url_env: NO_SUCH_REDIS\n"
        '  backends: [{name: a, url: "http://127.0.0.1:1/v1"}]\n'
    )
    done = tenfold("serve")
    assert done.err.count("hint") == 1
    assert "worker" not in done.err


@pytest.mark.parametrize(
    ("field", "fault"),
    [
        ('backends: [{name: a, url: "http://h:99999"}]', "must be a server's address"),
        ('backends: [{name: a, url: "http://u:secret@h"}]', "must not hold a password"),
        ('backends: [{name: a, url: "http://h"}, {name: a, url: "http://i"}]', "the name 'a'"),
        (
            'backends: [{name: a, url: "http://h", models: [m]}]\n  routing: {fallbacks: {m: [n]}}',
            "no backend has the model 'n'",
        ),
    ],
)
def test_what_contradicts_itself_in_the_file_has_its_place(tenfold, folder, field, fault):
    (folder / "factory.yaml").write_text(f"factory: x\nserve:\n  {field}\n")
    done = tenfold("serve")
    assert done.code == 2
    assert "factory.yaml:3:" in done.err
    assert fault in done.err
    assert "secret" not in done.err
