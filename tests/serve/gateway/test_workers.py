"""`tenfold serve` with two workers: together they are one gateway, and each may die."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from .upstream import Slow, Upstream, running, until

CHAT = "/v1/chat/completions"
TENFOLD = [sys.executable, "-c", "from tenfold.cli.main import main; main()"]
COST = 8


def whole(text):
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": COST}
    head = {"id": "up", "object": "chat.completion", "created": 1, "model": "m"}
    return json.dumps({**head, "choices": [choice], "usage": usage}).encode()


class Team:
    """A parent with two workers."""

    def __init__(self, folder, **serve):
        self.folder = folder
        self.serve = {"workers": 2, "tiers": ["exact", "host"], **serve}

    def write(self, *urls):
        backends = [{"name": f"b{n}", "url": url, "models": ["m"]} for n, url in enumerate(urls)]
        plan = {"factory": "front", "serve": {**self.serve, "backends": backends}}
        (self.folder / "factory.yaml").write_text(json.dumps(plan))

    def start(self):
        self.log = (self.folder / "log").open("wb")
        self.parent = subprocess.Popen(
            [*TENFOLD, "serve", "--port", "0", "--json", "--no-console"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=self.log,
        )
        line = self.parent.stdout.readline()
        assert line, (self.folder / "log").read_text()
        self.port = int(json.loads(line)["url"].rpartition(":")[2])

    def stop(self):
        if self.parent.poll() is None:
            self.parent.send_signal(signal.SIGTERM)
        try:
            return self.parent.wait(30)
        finally:
            self.parent.kill()
            self.parent.stdout.close()
            self.log.close()

    @property
    def pids(self):
        return set(
            map(
                int,
                Path(f"/proc/{self.parent.pid}/task/{self.parent.pid}/children")
                .read_text()
                .split(),
            )
        )

    def connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def post(self, text, connection=None, **headers):
        """Status, which worker, tier, body."""
        ours = connection or self.connection()
        said = [{"role": "user", "content": text}]
        body = {"model": "m", "messages": said, "temperature": 0, "max_tokens": 10}
        try:
            ours.request("POST", CHAT, json.dumps(body), headers)
            response = ours.getresponse()
            data = response.read()
        finally:
            if connection is None:
                ours.close()
        worker = response.headers["x-tenfold-request-id"][:-9]
        return response.status, worker, response.headers["x-tenfold-tier"], data

    def counted(self):
        """Requests by status, as whoever answers tells them."""
        connection = self.connection()
        try:
            connection.request("GET", "/metrics")
            page = connection.getresponse().read().decode()
        finally:
            connection.close()
        sums = {}
        for line in page.splitlines():
            if line.startswith("tenfold_requests_total{") and "/v1/chat" in line:
                status = re.search(r'status="(\d+)"', line)[1]
                sums[status] = sums.get(status, 0.0) + float(line.split()[-1])
        return sums


@pytest.fixture
def team(tmp_path, upstream):
    upstream.say = lambda seen, number: whole(str(number))
    made = Team(tmp_path)
    made.write(upstream.url)
    yield made
    made.stop()


def test_two_are_one_gateway(team, upstream):
    prices = {"m": {"input_usd": 1e6, "output_usd": 1e6}}
    body = len(json.dumps({"model": "m", "messages": [{"role": "user", "content": "00"}],
                           "temperature": 0, "max_tokens": 10}))  # fmt: skip
    budget = 20 * COST + body + 10
    team.serve |= {"prices": prices, "tenants": {"t": {"budget_usd": budget}}}
    team.write(upstream.url)
    made = subprocess.run(
        [*TENFOLD, "keys", "create", "k", "--tenant", "t", "--json"],
        cwd=team.folder, check=True, capture_output=True,
    )  # fmt: skip
    key = re.search(rb"sk-[\w-]+", made.stdout)[0].decode()
    auth = {"authorization": f"Bearer {key}"}
    team.start()
    statuses, workers = [], set()

    def ask():
        status, worker, _, _ = team.post(f"{len(statuses) % 100:02}", **auth)
        statuses.append(status)
        workers.add(worker)
        return statuses.count(200)

    # One purse. What one has set aside is gone for the other until it says what it came to.
    until(lambda: ask() == 21, "as many answers as the purse pays for")
    assert [ask() for _ in range(20)] == [21] * 20
    assert len(upstream.seen) == 21
    assert len(workers) == 2
    assert set(statuses) == {200, 429}
    all_told = {"200": 21.0, "429": len(statuses) - 21.0}
    until(lambda: team.counted() == all_told, "the page with both workers' figures")
    assert team.stop() == 0


def test_one_question_is_one_generation_whoever_is_asked(team, upstream):
    gate = threading.Event()
    upstream.say = lambda seen, number: Slow(whole(str(number)), gate)
    team.start()
    said = [{"role": "user", "content": "x"}]
    body = json.dumps({"model": "m", "messages": said, "temperature": 0}).encode()

    async def one():
        reader, writer = await asyncio.open_connection("127.0.0.1", team.port)
        writer.write(
            b"POST %b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
            % (CHAT.encode(), len(body), body)
        )
        said = await reader.read()
        writer.close()
        return said.partition(b"\r\n\r\n")

    async def crowd():
        tasks = [asyncio.create_task(one()) for _ in range(100)]
        while not upstream.seen:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.1)
        gate.set()
        return await asyncio.gather(*tasks)

    answers = asyncio.run(asyncio.wait_for(crowd(), 30))
    assert {said for _, _, said in answers} == {whole("0")}
    assert len(upstream.seen) == 1
    ids = {re.search(rb"x-tenfold-request-id: (\S+)", head)[1] for head, _, _ in answers}
    assert len(ids) == 100
    assert len({id[:-9] for id in ids}) == 2
    # Later either of them knows it.
    again = [team.post("x") for _ in range(20)]
    assert len(upstream.seen) == 2  # max_tokens makes it another question
    assert {data for _, _, _, data in again} == {whole("1")}
    assert len({worker for _, worker, _, _ in again}) == 2


def test_one_is_killed_and_the_other_goes_on(team, upstream):
    team.start()
    pids = team.pids
    assert len(pids) == 2
    kept = {}
    while len(kept) < 2:
        connection = team.connection()
        worker = team.post("hello", connection)[1]
        kept.setdefault(worker, connection)
        if kept[worker] is not connection:
            connection.close()
    failures, answered, stop = [], [], threading.Event()

    def ask(name, connection):
        try:
            while not stop.is_set():
                answered.append(team.post(f"{name} {len(answered)}", connection)[:2])
        except (OSError, http.client.HTTPException) as error:
            failures.append((name, error))
        finally:
            connection.close()

    threads = [threading.Thread(target=ask, args=item) for item in kept.items()]
    for thread in threads:
        thread.start()
    until(lambda: len(answered) > 20, "requests under way")
    os.kill(min(pids), signal.SIGKILL)
    until(lambda: failures, "the loss of those on the one that was killed")
    before = len(answered)
    until(lambda: len(team.pids) == 2 and team.pids != pids, "another worker")
    until(lambda: len(answered) > before + 20, "the other going on")
    # A fresh one answers as well, once it has met its backend, and knows what was answered before.
    knowing = set()

    def fresh_knows():
        _, worker, tier = team.post("hello")[:3]
        if tier in ("exact", "host"):
            knowing.add(worker)
        return len(knowing - set(kept)) == 1

    until(fresh_knows, "its answers")
    stop.set()
    for thread in threads:
        thread.join()
    assert len(failures) == 1
    assert {status for status, _ in answered} == {200}


def test_another_backend_is_taken_over_without_a_lost_request(team, upstream):
    with running(Upstream()) as other:
        other.say = lambda seen, number: whole(f"other {number}")
        team.start()
        statuses, failures, stop = [], [], threading.Event()

        def ask(name):
            connection = team.connection()
            try:
                while not stop.is_set():
                    statuses.append(team.post(f"{name} {len(statuses)}", connection)[0])
            except (OSError, http.client.HTTPException) as error:
                failures.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        until(lambda: len(statuses) > 50, "requests under way")
        team.write(other.url)
        team.parent.send_signal(signal.SIGHUP)

        def all_at_the_other():
            before = len(upstream.seen), len(statuses)
            until(lambda: len(statuses) > before[1] + 40, "more requests")
            return len(upstream.seen) == before[0]

        until(all_at_the_other, "the exchange")
        assert other.seen
        stop.set()
        for thread in threads:
            thread.join()
        assert not failures
        assert set(statuses) == {200}


def test_what_is_under_way_is_finished_at_the_end(team, upstream):
    gate = threading.Event()
    upstream.say = lambda seen, number: Slow(whole("late"), gate)
    team.start()
    answers = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(team.post(str(n)))) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    until(lambda: len(upstream.seen) == 8, "requests under way")
    team.parent.send_signal(signal.SIGTERM)
    ended = threading.Thread(target=team.parent.wait)
    ended.start()
    gate.set()
    for thread in threads:
        thread.join()
    ended.join(30)
    assert [(status, data) for status, _, _, data in answers] == [(200, whole("late"))] * 8
    assert team.parent.returncode == 0
