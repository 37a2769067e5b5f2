"""A gateway in its own process on a real model: started, drained by SIGTERM, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import openai
import pytest

pytest.importorskip("torch")

from tenfold.core.facts import EnergyWindow, RequestEvent, VirtualKey
from tenfold.errors import BackendError
from tenfold.ledger import open_ledger
from tenfold.observe.cost import Tariff
from tenfold.serve.access.grant import LOCAL_GRANT
from tenfold.serve.access.keys import KeyRing
from tenfold.serve.gateway.process import launch


def client_of(handle):
    return openai.OpenAI(
        base_url=handle.url + "/v1", api_key=handle.api_key, max_retries=0, timeout=60
    )


def read(path, kind):
    ledger = open_ledger(str(path))
    try:
        return ledger.read(kind)
    finally:
        ledger.close()


def test_a_rehearsal_from_start_to_the_ledger(model_folder, tmp_path):
    path = tmp_path / "ledger.db"
    with launch(
        folder=model_folder,
        digest="ab" * 32,
        name="tiny",
        tiers=["exact"],
        ledger_url=str(path),
        source="run-1/rehearsal",
        tariff=Tariff(usd_per_machine_hour=3600.0),
    ) as handle:
        assert handle.model == "tiny"
        with client_of(handle) as client:
            first = client.completions.create(
                model="tiny", prompt="The class", temperature=0, max_tokens=8
            )
            chunks = list(
                client.completions.create(
                    model="tiny", prompt="The class", temperature=0, max_tokens=8, stream=True
                )
            )
            assert "".join(chunk.choices[0].text for chunk in chunks) == first.choices[0].text
            with pytest.raises(openai.BadRequestError) as caught:
                client.completions.create(model="tiny", prompt="word " * 500)
            assert caught.value.code == "context_length_exceeded"
        with (
            openai.OpenAI(base_url=handle.url + "/v1", api_key="no", max_retries=0) as stranger,
            pytest.raises(openai.AuthenticationError),
        ):
            stranger.models.list()
    events = read(path, RequestEvent)
    assert [(event.tier, event.status) for event in events] == [
        ("model", 200),
        ("exact", 200),
        ("refused", 400),
    ]
    assert {event.source for event in events} == {"run-1/rehearsal"}
    assert {event.model_digest for event in events} == {"ab" * 32}
    assert events[0].id == first.id
    assert events[0].joules > 0
    windows = read(path, EnergyWindow)
    assert sum(event.joules for event in events) + sum(
        window.idle_joules for window in windows
    ) == pytest.approx(sum(window.joules for window in windows))
    assert read(path, VirtualKey) == []  # its key was its own


def start(model_folder, path):
    """The child itself, for tests that signal it."""
    where = ["--folder", str(model_folder), "--ledger", str(path)]
    child = subprocess.Popen(
        [sys.executable, "-m", "tenfold.serve.gateway", *where, "--name", "tiny", "--make-key"],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    return child, json.loads(child.stdout.readline())


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to it alone", "to its whole group"])
def test_sigterm_lets_answers_finish_and_writes_every_event(model_folder, tmp_path, send):
    path = tmp_path / "ledger.db"
    child, ready = start(model_folder, path)
    try:
        with openai.OpenAI(
            base_url=ready["url"] + "/v1", api_key=ready["api_key"], max_retries=0, timeout=60
        ) as client:
            begun = threading.Semaphore(0)
            texts = []

            def stream():
                text, first = "", True
                for chunk in client.completions.create(
                    model="tiny", prompt="E", temperature=1.5, seed=1, max_tokens=100, stream=True
                ):
                    if first:
                        begun.release()
                        first = False
                    text += chunk.choices[0].text
                    reason = chunk.choices[0].finish_reason
                texts.append((text, reason))

            threads = [threading.Thread(target=stream) for _ in range(3)]
            for thread in threads:
                thread.start()
            for _ in threads:  # all of them: one that asks after the signal is rightly refused
                assert begun.acquire(timeout=30)
            send(child.pid, signal.SIGTERM)  # a service manager tells the engine, too
            for thread in threads:
                thread.join(30)
        assert child.wait(30) == 0
    finally:
        child.kill()
        child.stdout.close()
    done = [reason for _, reason in texts]
    events = read(path, RequestEvent)
    # Those that were under way when the signal came are answered to the end.
    assert len(done) == 3
    assert set(done) <= {"stop", "length"}
    assert sum(event.status == 200 for event in events) == len(done)


def test_a_gateway_does_not_outlive_a_killed_parent(model_folder, tmp_path):
    code = (
        "import json, sys, time\n"
        "from pathlib import Path\n"
        "from tenfold.serve.gateway.process import launch\n"
        "with launch(folder=Path(sys.argv[1]), digest='', name='tiny', tiers=[], "
        "ledger_url=sys.argv[2], source='x') as handle:\n"
        "    print(handle.url, flush=True)\n"
        "    time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(model_folder), str(tmp_path / "ledger.db")],
        stdout=subprocess.PIPE,
    )
    try:
        assert parent.stdout.readline().startswith(b"http://127.0.0.1:")
        family = descendants(parent.pid)
        assert len(family) >= 2  # the gateway and its engine
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 30
        while any(map(running, family)):
            assert time.monotonic() < deadline, "left behind"
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.stdout.close()


def descendants(pid):
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as stat:
                    parent = int(stat.read().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if parent == pid:
                found += [int(name), *descendants(int(name))]
    return found


def command(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as line:
        return line.read()


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_model_that_cannot_be_loaded(tmp_path):
    (tmp_path / "model").mkdir()
    with (
        pytest.raises(BackendError, match=r"did not start.*config\.json"),
        launch(
            folder=tmp_path / "model",
            digest="",
            name="tiny",
            tiers=[],
            ledger_url=str(tmp_path / "ledger.db"),
            source="x",
        ),
    ):
        pass


def test_a_tier_that_does_not_exist(model_folder, tmp_path):
    with (
        pytest.raises(BackendError, match="exact"),
        launch(
            folder=model_folder,
            digest="",
            name="tiny",
            tiers=["exat"],
            ledger_url=str(tmp_path / "ledger.db"),
            source="x",
        ),
    ):
        pass


def test_a_gateway_that_dies_is_reported(model_folder, tmp_path):
    def scenario():
        with launch(
            folder=model_folder,
            digest="",
            name="tiny",
            tiers=[],
            ledger_url=str(tmp_path / "ledger.db"),
            source="x",
        ):
            (child,) = [
                pid for pid in descendants(os.getpid()) if b"serve.gateway\0" in command(pid)
            ]
            os.kill(child, signal.SIGKILL)
            while running(child):
                time.sleep(0.02)

    with pytest.raises(BackendError, match="died"):
        scenario()


def test_a_rehearsal_leaves_the_door_as_it_was(model_folder, tmp_path):
    """Its key is its own: on record, it would require keys of whoever is served afterwards."""
    url = str(tmp_path / "ledger.db")
    with launch(
        folder=model_folder, digest="d", name="m", tiers=(), ledger_url=url, source="rehearsal"
    ) as handle:
        assert handle.api_key
    ledger = open_ledger(url)
    assert ledger.read(VirtualKey) == []
    ring = KeyRing(None)
    ring.load(ledger)
    assert ring.admit(None) is LOCAL_GRANT
    ledger.close()
