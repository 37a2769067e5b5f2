"""How each peer of the gateway is started before the same upstream, and when it is ready.

Every peer does less than ours does in the same measurement: what is on is written beside the figure. It
knows the peers' settings, and no figures.
"""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import peers
from gateway_process import Server, launch
from gateway_upstream import MODEL
from harness import Unavailable

START_S = 120
KEY = "sk-bench-0123456789abcdef"

LITELLM = """\
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: {upstream}/v1, api_key: none}}
litellm_settings:
  cache: true
  cache_params: {{type: local, ttl: 3600}}
  telemetry: false
general_settings:
  master_key: {key}
"""

NGINX = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  proxy_cache_path {folder}/cache levels=1:2 keys_zone=answers:64m max_size=2g inactive=1h;
  upstream model {{ server {upstream_address}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_cache answers;
      proxy_cache_methods POST;
      proxy_cache_key "$http_authorization|$request_uri|$request_body";
      proxy_cache_valid 200 1h;
      client_max_body_size 16m;
      client_body_buffer_size 64k;
      client_body_in_single_buffer on;
      proxy_cache_bypass $request_body_file;
      proxy_no_cache $request_body_file;
    }}
  }}
}}
"""
"""The recipe of an edge node: the body is the key, and a body that went to disk is never cached."""


def begin_peer(name: str, upstream_url: str, folder: Path, core: int) -> Server:
    """Starting, on its way to answering. Raises Unavailable when it is not installed."""
    port = _free_port()
    command, environment, key, on = STARTS[name](upstream_url, folder, port)
    process, log = launch(command, folder, core=core, environment=environment)
    return Server(
        peers.title(name), f"http://127.0.0.1:{port}", MODEL, [key], process,
        patience_s=0.5, on=on, said=log,
    )  # fmt: skip


Start = tuple[list[str | Path], dict[str, str], str, str]


def _litellm(upstream: str, folder: Path, port: int) -> Start:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(LITELLM.format(model=MODEL, upstream=upstream, key=KEY))
    command = [
        peers.program("litellm"), "--config", folder / "config.yaml", "--host", "127.0.0.1",
        "--port", str(port), "--num_workers", "1",
    ]  # fmt: skip
    environment = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # no fetch at start
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
    }
    return command, environment, KEY, "master key, in-memory cache; no limits, budget or ledger"


def _vllm_router(upstream: str, folder: Path, port: int) -> Start:
    command = [
        peers.program("vllm-router"), "--worker-urls", upstream, "--host", "127.0.0.1",
        "--port", str(port), "--policy", "round_robin", "--log-level", "error",
        "--prometheus-port", str(_free_port()),
    ]  # fmt: skip
    return command, {}, KEY, "round robin; no keys, cache, limits, budget or ledger"


def _smg(upstream: str, folder: Path, port: int) -> Start:
    command = [
        peers.program("smg"), "launch", "--worker-urls", upstream, "--host", "127.0.0.1",
        "--port", str(port), "--policy", "round_robin", "--log-level", "error",
        "--prometheus-port", str(_free_port()),
    ]  # fmt: skip
    return command, {}, KEY, "round robin; no keys, cache, limits, budget or ledger"


def _nginx(upstream: str, folder: Path, port: int) -> Start:
    folder.mkdir(parents=True, exist_ok=True)
    address = upstream.removeprefix("http://")
    (folder / "nginx.conf").write_text(
        NGINX.format(folder=folder, upstream_address=address, port=port)
    )
    command = [peers.program("nginx"), "-p", folder, "-c", folder / "nginx.conf"]
    return (
        command,
        {},
        KEY,
        "proxy_cache of POST, the body as key; no keys, limits, budget or ledger",
    )


STARTS: dict[str, Callable[[str, Path, int], Start]] = {
    "litellm": _litellm, "vllm-router": _vllm_router, "smg": _smg, "nginx": _nginx,
}  # fmt: skip


def ask(server: Server, text: str) -> bytes:
    """One chat completion. Raises OSError (HTTPError too) when there is no good answer."""
    body = json.dumps({"model": server.model, "messages": [{"role": "user", "content": text}]})
    request = urllib.request.Request(
        server.url + "/v1/chat/completions", body.encode(),
        {"content-type": "application/json", "authorization": f"Bearer {server.key}"},
    )  # fmt: skip
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
        request, timeout=10
    ) as answer:
        data: bytes = answer.read()
    return data


def await_answer(server: Server) -> None:
    """Until it has answered a chat completion with the upstream's words. Raises Unavailable if it does not."""
    deadline = time.monotonic() + START_S
    why = "no answer"
    while time.monotonic() < deadline:
        if not server.alive():
            raise Unavailable(f"{server.name} ended while starting: {server.last_words()}")
        try:
            if b"standard library" in ask(server, "Are you there?"):
                return
            why = "an answer that is not the upstream's"
        except urllib.error.HTTPError as error:
            why = f"status {error.code}: {error.read(200)!r}"
        except OSError as error:
            why = str(error)
        time.sleep(0.1)
    raise Unavailable(f"{server.name} was not ready in {START_S} s ({why}): {server.last_words()}")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port
