"""kill -9 of the process that runs a batch: another carries on, and asks only what had no answer."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import openai
import pytest

CHAT = "/v1/chat/completions"
NUM_LINES = 400
AT_ONCE = 4


class Upstream(BaseHTTPRequestHandler):
    """Takes a moment for each answer, and notes who asked what."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer({"object": "list", "data": [{"id": "echo", "object": "model"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        said = body["messages"][-1]["content"]
        self.server.asked.append((self.headers["authorization"], said))
        time.sleep(0.01)
        message = {"role": "assistant", "content": "re: " + said}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}
        self.answer({"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})

    def answer(self, plain):
        body = json.dumps(plain).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args): ...


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """The gateway was killed while it waited."""


@pytest.fixture
def upstream():
    server = Server(("127.0.0.1", 0), Upstream)
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def start(tmp_path, upstream):
    """Starts a worker; (process, its URL)."""
    children = []

    def begin(worker):
        url = f"http://127.0.0.1:{upstream.server_port}/v1"
        program = Path(__file__).with_name("batch_worker.py")
        command = [sys.executable, str(program), str(tmp_path), url, str(worker)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        children.append(child)
        return child, child.stdout.readline().strip()

    yield begin
    for child in children:
        child.kill()
        child.wait()
        child.stdout.close()


def client_of(url):
    return openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0)


def begin(client):
    lines = [
        {
            "custom_id": f"r{n}",
            "method": "POST",
            "url": CHAT,
            "body": {"model": "echo", "messages": [{"role": "user", "content": f"q{n}"}]},
        }
        for n in range(NUM_LINES)
    ]
    data = "\n".join(map(json.dumps, lines)).encode()
    source = client.files.create(file=("in.jsonl", data), purpose="batch")
    return client.batches.create(input_file_id=source.id, endpoint=CHAT, completion_window="24h").id


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.01)


def check_ended(client, id, upstream):
    wait_for(lambda: client.batches.retrieve(id).status == "completed")
    batch = client.batches.retrieve(id)
    assert batch.request_counts.completed == NUM_LINES
    records = [
        json.loads(one) for one in client.files.content(batch.output_file_id).text.splitlines()
    ]
    assert len(records) == NUM_LINES
    said = {
        one["custom_id"]: one["response"]["body"]["choices"][0]["message"]["content"]
        for one in records
    }
    assert said == {f"r{n}": f"re: q{n}" for n in range(NUM_LINES)}
    times = Counter(said for _, said in upstream.asked)
    assert set(times) == {f"q{n}" for n in range(NUM_LINES)}
    return sum(count - 1 for count in times.values())


def test_the_next_start_asks_nothing_that_was_answered(start, upstream, tmp_path):
    child, url = start(0)
    with client_of(url) as client:
        id = begin(client)
        wait_for(lambda: client.batches.retrieve(id).request_counts.completed >= 20)
    for kills in (1, 2, 3):
        seen = len(upstream.asked)
        wait_for(lambda seen=seen: len(upstream.asked) > seen + 30)
        child.kill()
        child.wait()
        # The machine may have kept part of a line, or of the blocks behind it.
        (results,) = (tmp_path / "batch" / "tenants").glob("*/batches/*.out")
        with results.open("ab") as torn:
            torn.write(b'{"id":"batch_req_1","custom_id":"r39' if kills == 1 else bytes(5000))
        child, url = start(0)
    with client_of(url) as client:
        assert check_ended(client, id, upstream) <= 3 * AT_ONCE
        left = {path.name for path in (tmp_path / "batch").rglob("*") if path.is_file()}
        assert not [name for name in left if name.endswith((".in", ".out", ".err"))]
        assert list((tmp_path / "batch" / "open").iterdir()) == []


def test_one_of_two_processes_runs_it_until_it_dies(start, upstream):
    workers = {f"Bearer {number}": start(number) for number in (0, 1)}
    with client_of(workers["Bearer 0"][1]) as client:
        id = begin(client)
        wait_for(lambda: len(upstream.asked) > 100)
    (runs,) = {who for who, _ in upstream.asked}
    child, _ = workers.pop(runs)
    child.kill()
    child.wait()
    (other,) = workers
    with client_of(workers[other][1]) as client:
        assert check_ended(client, id, upstream) <= AT_ONCE
    assert {who for who, _ in upstream.asked} == {runs, other}
