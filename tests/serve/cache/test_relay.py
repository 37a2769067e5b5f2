"""Flights across the workers of a host: one generation, live parts, and a leader killed in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest

from tenfold.errors import StoreError
from tenfold.serve.cache.claim import Claims
from tenfold.serve.cache.flight import Flight
from tenfold.serve.cache.flights import Flights
from tenfold.serve.cache.relay import Relay
from tenfold.serve.cache.stored import Stored

WORKER = (Path(__file__).parent / "worker.py").read_text()


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(prefix="tf-", dir="/tmp"))  # a socket's path must be short
    yield made
    shutil.rmtree(made)


@pytest.fixture
def workers(python, folder):
    def start(number, requests):
        begun = [python(WORKER, folder, requests) for _ in range(number)]
        for process in begun:
            assert process.stdout.readline() == "ready\n"
        return begun

    return start


def say(folder, *names):
    for name in names:
        (folder / name).touch()


def generations(folder):
    book = folder / "generations"
    return book.read_text().split() if book.exists() else []


def wait_for(check):
    for _ in range(2000):
        if check():
            return
        time.sleep(0.005)
    raise AssertionError("it did not come")


def read(process):
    """Answers until `done`; the `part` lines apart."""
    lines = []
    for line in process.stdout:
        if line == "done\n":
            break
        lines.append(line.rstrip("\n"))
    return [line for line in lines if line != "part"]


def test_a_thousand_cold_requests_over_four_workers_make_one_generation(workers, folder):
    processes = workers(4, 250)
    say(folder, "go", "begin")
    # Everybody has the first part before the last one is made.
    for process in processes:
        assert [process.stdout.readline() for _ in range(250)] == ["part\n"] * 250
    say(folder, "finish")
    answers = [answer for process in processes for answer in read(process)]
    assert len(answers) == 1000
    assert {answer.split(":")[1] for answer in answers} == {"first last"}
    assert Counter(answer.split(":")[0] for answer in answers) == {"led": 1, "followed": 999}
    assert len(generations(folder)) == 1


def test_an_answer_that_must_not_be_stored_is_still_shared_by_those_who_wait(workers, folder):
    processes = workers(3, 20)
    say(folder, "unstorable", "go", "begin")
    for process in processes:
        assert [process.stdout.readline() for _ in range(20)] == ["part\n"] * 20
    say(folder, "finish")
    assert {answer.split(":")[1] for process in processes for answer in read(process)} == {
        "first last"
    }
    assert len(generations(folder)) == 1


def test_a_leader_killed_before_its_first_part_is_taken_over(workers, folder):
    processes = workers(3, 50)
    say(folder, "go")
    wait_for(lambda: generations(folder))
    time.sleep(0.2)  # the others follow by now; were they late, they would lead instead
    leader = int(generations(folder)[0])
    os.kill(leader, signal.SIGKILL)
    say(folder, "begin", "finish")
    left = [process for process in processes if process.pid != leader]
    answers = [answer for process in left for answer in read(process)]
    assert len(answers) == 100
    assert {answer.split(":")[1] for answer in answers} == {"first last"}
    assert len(generations(folder)) == 2


def test_a_leader_killed_in_the_middle_is_an_error_not_half_an_answer(workers, folder):
    processes = workers(2, 10)
    say(folder, "go", "begin")
    for process in processes:
        assert [process.stdout.readline() for _ in range(10)] == ["part\n"] * 10
    leader = int(generations(folder)[0])
    os.kill(leader, signal.SIGKILL)
    (follower,) = [process for process in processes if process.pid != leader]
    answers = read(follower)
    assert len(answers) == 10
    assert all(answer.startswith("Lost:") for answer in answers)
    # And the key is free again.
    say(folder, "finish")
    (next_one,) = workers(1, 5)
    assert {answer.split(":")[1] for answer in read(next_one)} == {"first last"}


def test_a_leader_that_stands_still_does_not_hold_up_the_others_for_ever(workers, folder):
    processes = workers(2, 5)
    say(folder, "go")
    wait_for(lambda: generations(folder))
    time.sleep(0.2)
    leader = int(generations(folder)[0])
    os.kill(leader, signal.SIGSTOP)
    say(folder, "begin", "finish")
    (other,) = [process for process in processes if process.pid != leader]
    assert {answer.split(":")[1] for answer in read(other)} == {"first last"}
    os.kill(leader, signal.SIGCONT)


def test_the_requests_own_fault_is_told_to_all_workers_once(workers, folder):
    processes = workers(3, 10)
    say(folder, "refuse", "go")
    wait_for(lambda: generations(folder))
    time.sleep(0.2)
    say(folder, "begin")
    answers = [answer for process in processes for answer in read(process)]
    assert set(answers) == {"InputError:no such role"}
    assert len(generations(folder)) == 1


def test_a_failing_model_is_tried_by_few(workers, folder):
    processes = workers(3, 20)
    say(folder, "fail", "go")
    wait_for(lambda: generations(folder))
    time.sleep(0.2)
    say(folder, "begin")
    answers = [answer for process in processes for answer in read(process)]
    assert set(answers) == {"BackendError:out of order"}
    assert len(generations(folder)) <= 3 * 3


CLAIMER = """
import sys
from pathlib import Path
from tenfold.errors import StoreError
from tenfold.serve.cache.claim import Claims
from tenfold.serve.cache.flight import Flight
from tenfold.serve.cache.flights import Flights
from tenfold.serve.cache.relay import Relay
from tenfold.serve.cache.stored import Stored
claims = Claims(Path(sys.argv[1]))
for line in sys.stdin:
    verb, number = line.split()
    key = int(number).to_bytes(8, "big") * 4
    print(claims.take(key) is not None if verb == "take" else claims.holder(key))
"""


def test_a_claim_is_one_processes_and_ends_with_it(python, folder):
    here = Claims(folder)
    other = python(CLAIMER, folder)

    def tell(line):
        other.stdin.write(line + "\n")
        other.stdin.flush()
        return other.stdout.readline().strip()

    key = (7).to_bytes(8, "big") * 4
    first = here.take(key)
    assert tell("take 7") == "False"
    assert tell("holder 7") == str(os.getpid())
    assert tell("take 99999999") == "True"
    second = here.take(key)
    here.release(key, first)  # an earlier flight's: it has been taken again since
    assert tell("take 7") == "False"
    here.release(key, second)
    assert tell("take 7") == "True"
    assert here.take(key) is None
    assert here.holder(key) == other.pid
    other.kill()
    other.wait()
    assert here.holder(key) is None
    assert here.take(key) is not None
    here.close()


def test_two_forms_of_one_answer_are_claimed_apart(python, folder):
    here = Claims(folder)
    other = python(CLAIMER.replace('"big") * 4', '"big") * 4 + b"s"'), folder)

    def tell(line):
        other.stdin.write(line + "\n")
        other.stdin.flush()
        return other.stdout.readline().strip()

    key = (7).to_bytes(8, "big") * 4
    stream, whole = here.take(key + b"s"), here.take(key + b"w")
    here.release(key + b"w", whole)
    assert tell("take 7") == "False"
    here.release(key + b"s", stream)
    assert tell("take 7") == "True"
    here.close()


async def test_when_the_last_follower_elsewhere_leaves_the_leader_learns_of_it(folder):
    here, there = Flights(), Flights()
    relay = Relay(folder, here, lambda key: None)
    await relay.start()
    led, _ = here.join(b"k" * 32)
    copy, _ = there.join(b"k" * 32)

    async def work():
        await relay.fetch(os.getpid(), copy)

    copy.carry(work())
    follower = copy.follow()
    led.begin(True, b"head")
    led.publish(b"one")
    assert await anext(follower) == b"one"
    assert copy.head == b"head"
    assert led.num_followers == 1
    follower.close()
    for _ in range(1000):
        if not led.num_followers:
            break
        await asyncio.sleep(0.005)
    assert led.num_followers == 0
    await relay.close()


async def test_any_bytes_on_the_socket_end_that_connection_only(folder):
    flights = Flights()
    relay = Relay(folder, flights, lambda key: None, silence_s=0.2)
    await relay.start()
    for noise in (b"", b"GET / HTTP/1.1\r\n\r\n", os.urandom(32), os.urandom(5000)):
        reader, writer = await asyncio.open_unix_connection(folder / f"{os.getpid()}.sock")
        writer.write(noise)
        with contextlib.suppress(ConnectionError):
            assert len(await reader.read()) < 10
        writer.close()
    stranger = Flight(b"k" * 32, 1000, lambda landed: None)
    assert not await relay.fetch(os.getpid(), stranger)
    await relay.close()
    with pytest.raises(OSError):
        await relay.fetch(os.getpid(), stranger)


async def test_a_folder_too_long_for_a_socket_is_said_so(folder):
    relay = Relay(folder / ("x" * 120), Flights(), lambda key: None)
    Claims(folder / ("x" * 120)).close()
    with pytest.raises(StoreError, match="shorter folder"):
        await relay.start()


async def test_an_answer_that_is_stored_already_has_no_outcome_to_pass_on(folder):
    """It landed between the claim and the question; the reader must not stumble over what nobody says."""
    stored = Stored(
        response_id="r",
        model_digest="d",
        backend="b",
        prompt_tokens=1,
        completion_tokens=1,
        whole=b"{}",
    )

    def unpack(plain):
        return tuple(plain)

    relay = Relay(folder, Flights(), lambda key: stored, unpack=unpack)
    await relay.start()
    try:
        flight = Flight(b"k", 1000, lambda landed: None)
        assert await relay.fetch(os.getpid(), flight)
        assert flight.done
        assert flight.error is None
        assert flight.stored == stored
        assert flight.outcome is None
    finally:
        await relay.close()
