"""Closed-loop load: wrk with POST bodies that differ by a number, on the core that the server does not have.

It knows chat completions and wrk's report, and nothing about who answers.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import peers
from gateway_process import Server, cores

CONNECTIONS = 32
_PLACE = "@@@@@@@@@@@@"

SCRIPT = """\
local before, after = {before}, {after}
local first, distinct, random = {first}, {distinct}, {random}
local heads, ready, sent = {{}}, {{}}, 0
for key in io.lines({keys}) do
  heads[#heads + 1] = {{ ["content-type"] = "application/json", ["authorization"] = "Bearer " .. key{header} }}
end
local function make(number, place)
  if {vary} then heads[place]["x-number"] = string.format("%012d", sent) end
  return wrk.format("POST", "/v1/chat/completions", heads[place],
                    before .. string.format("%012d", number) .. after)
end
function init()
  math.randomseed(first + 1)
  if not random and distinct > 0 then
    for number = 0, distinct - 1 do ready[number] = make(first + number, number % #heads + 1) end
  end
end
function request()
  sent = sent + 1
  if random then return make(first + math.random(0, distinct - 1), math.random(1, #heads)) end
  if distinct > 0 then return ready[sent % distinct] end
  return make(first + sent, sent % #heads + 1)
end
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What wrk said."""

    requests: int
    per_s: float
    p50_us: float
    failed: int
    """Answers that were not 200, and sockets that broke."""


def body(model: str, body_bytes: int = 342) -> tuple[str, str]:
    """What stands before and after the number in a chat completion of about `body_bytes`."""
    told = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You answer questions about the Python language."},
            {"role": "user", "content": f"What does the documentation say on {_PLACE}? "},
        ],
        "max_tokens": 64,
        "temperature": 0,
    }
    padding = max(0, body_bytes - len(json.dumps(told)))
    words = "Say it in plain words and name the page. "
    told["messages"][1]["content"] += (words * (padding // len(words) + 1))[:padding]  # type: ignore[index]
    before, _, after = json.dumps(told).partition(_PLACE)
    return before, after


def wrk(
    server: Server,
    seconds: int,
    *,
    first: int = 0,
    distinct: int = 0,
    random: bool = False,
    connections: int = CONNECTIONS,
    body_bytes: int = 342,
    num_keys: int = 1,
    no_store: bool = False,
    vary: bool = False,
) -> Run:
    """Questions `first`, `first` + 1 ..., or the same `distinct` of them again and again (or in random order).

    `vary`: no request has the same headers as the one before, as when connections are shared by many clients.

    Raises Unavailable without wrk, RuntimeError when it reports nothing.
    """
    before, after = body(server.model, body_bytes)
    with tempfile.TemporaryDirectory(prefix="tenfold-bench-") as folder:
        path, keys = Path(folder) / "load.lua", Path(folder) / "keys"
        keys.write_text("\n".join(server.keys[:num_keys]))
        script = SCRIPT.format(
            before=_lua(before), after=_lua(after), first=first, distinct=distinct, keys=_lua(str(keys)),
            random=str(random).lower(), vary=str(vary).lower(),
            header=', ["cache-control"] = "no-store"' if no_store else "",
        )  # fmt: skip
        path.write_text(script)
        command: Sequence[str | Path] = [
            "taskset", "-c", str(cores().load), peers.program("wrk"), "-t1", f"-c{connections}",
            f"-d{seconds}s", "--timeout", "30s", "--latency",
            "-s", path, server.url,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True)
    return _read(done.stdout, done.stderr)


def fill(server: Server, first: int, number: int, body_bytes: int = 342) -> None:
    """Ask each of these questions once, one after the other. Raises RuntimeError for what is not a 200."""
    before, after = body(server.model, body_bytes)
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=30)
    heads = {"content-type": "application/json", "authorization": f"Bearer {server.key}"}
    for question in range(first, first + number):
        told = f"{before}{question:012d}{after}".encode()
        connection.request("POST", "/v1/chat/completions", told, heads)
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{server.name} answered {answer.status}: {said[:300]!r}")
    connection.close()


def _read(said: str, error: str) -> Run:
    requests = re.search(r"(\d+) requests in", said)
    per_s = re.search(r"Requests/sec:\s+([\d.]+)", said)
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s)", said)
    if not requests or not per_s or not p50:
        raise RuntimeError(f"wrk reported nothing: {said[-500:]}{error[-500:]}")
    bad = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", said)))
    broken = re.search(
        r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said
    )
    if broken:
        bad += sum(map(int, broken.groups()))
    scale = {"us": 1.0, "ms": 1e3, "s": 1e6}[p50[2]]
    return Run(int(requests[1]), float(per_s[1]), float(p50[1]) * scale, bad)


def _lua(text: str) -> str:
    """A string literal of Lua; JSON's escapes of plain ASCII are Lua's too."""
    return "[==[" + text + "]==]"
