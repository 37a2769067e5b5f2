"""The host tier: shared by processes, bounded, and alive after kill -9, a full disk and a spoilt file."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tenfold.errors import StoreError
from tenfold.serve.cache.exact import ExactTier
from tenfold.serve.cache.host import HostTier
from tenfold.serve.cache.purge import model_tag, surrogate_tag, tenant_tag
from tenfold.serve.cache.resp import Link
from tenfold.serve.cache.shared import SharedTier
from tenfold.serve.cache.tier import Tiers, open_tiers

MB = 1 << 20


@pytest.fixture
def open_host(tmp_path):
    begun = []

    def make(folder=tmp_path / "host", max_bytes=16 * MB, **more):
        tier = HostTier(folder, max_bytes=max_bytes, **more)
        begun.append(tier)
        return tier

    yield make
    for tier in begun:
        tier.close()


def settle(tier):
    """Until what was put is in the file."""
    written = threading.Event()
    tier.after_puts(written.set)
    assert written.wait(20)


def key(number):
    return number.to_bytes(32, "big")


def test_an_answer_is_there_at_once_and_after_a_restart(open_host, answer):
    tier = open_host()
    stored = answer("one", b"x" * 5000, events=b"y" * 9000, usage_span=(1, 2), surrogates=("a",))
    tier.put(key(1), stored)
    assert tier.get(key(1)) == stored
    settle(tier)
    assert tier.get(key(1)) == stored
    assert tier.get(key(2)) is None
    tier.close()
    again = open_host()
    assert again.get(key(1)) == stored
    assert again.num_entries == 1


def test_the_latest_answer_counts_and_age_ends_it(open_host, answer):
    now = [100.0]
    tier = open_host(clock=lambda: now[0])
    for text in ("old", "new"):
        tier.put(key(1), answer(text, expires_at_s=105.0))
        settle(tier)
    assert tier.get(key(1)).response_id == "new"
    now[0] = 106.0
    assert tier.get(key(1)) is None


OTHER_WORKER = """
import sys, time
from pathlib import Path
from tenfold.serve.cache.host import HostTier
from tenfold.serve.cache.stored import Stored
tier = HostTier(Path(sys.argv[1]), max_bytes=int(sys.argv[2]))
number = 0
print("open")
for line in sys.stdin if sys.argv[3] == "ask" else iter(int, 1):
    if line:
        found = tier.get(int(line).to_bytes(32, "big"))
        print(found.response_id if found else None)
    else:
        whole = str(number % 500).encode() * 2000
        tier.put((number % 500).to_bytes(32, "big"), Stored(response_id=str(number % 500),
            model_digest="d", backend="b", prompt_tokens=1, completion_tokens=1, whole=whole))
        number += 1
        time.sleep(0.0002)
"""


def test_another_process_reads_what_this_one_writes(open_host, answer, python, tmp_path):
    tier = open_host()
    other = python(OTHER_WORKER, tmp_path / "host", 16 * MB, "ask")
    assert other.stdout.readline() == "open\n"
    tier.put(key(5), answer("five"))
    settle(tier)
    other.stdin.write("5\n")
    other.stdin.flush()
    assert other.stdout.readline() == "five\n"


def test_a_writer_killed_at_any_moment_leaves_whole_answers(open_host, answer, python, tmp_path):
    tier = open_host()
    for wait_s in (0.0, 0.011, 0.023, 0.05, 0.101):
        writer = python(OTHER_WORKER, tmp_path / "host", 16 * MB, "write")
        assert writer.stdout.readline() == "open\n"
        time.sleep(0.05 + wait_s)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        for number in range(500):
            found = tier.get(key(number))
            if found is not None:
                assert found.whole == str(number).encode() * 2000
                assert found.response_id == str(number)
        tier.put(key(999), answer(str(wait_s)))  # the lock it may have held is not lost
        settle(tier)
        assert tier.get(key(999)).response_id == str(wait_s)
    assert tier.num_entries > 1
    assert tier.num_dropped == 0


@pytest.mark.parametrize("size", [100, 3_000, 60_000])
def test_full_is_no_error_and_the_file_stays_within_bounds(open_host, answer, tmp_path, size):
    tier = open_host(max_bytes=4 * MB)
    for number in range(12 * MB // (size + 300)):
        tier.put(key(number), answer(str(number), os.urandom(size)))
        if number % 500 == 0:
            settle(tier)
    settle(tier)
    assert tier.num_dropped == 0
    assert tier.num_evicted > 0
    assert (tmp_path / "host" / "data.mdb").stat().st_size <= 4 * MB
    assert tier.num_bytes <= 4 * MB
    assert tier.get(key(number)).response_id == str(number)
    assert tier.num_entries * (size + 300) > 4 * MB * 0.25  # and it is used


def test_what_is_in_use_stays(open_host, answer):
    held = ExactTier(max_entries=10, max_bytes=MB)
    tier = open_host(max_bytes=2 * MB, in_use=held.__contains__)
    tier.put(key(0), answer("asked here"))
    tier.put(key(1), answer("held nearer"))
    held.put(key(1), answer("held nearer"))
    for number in range(2, 3000):
        tier.put(key(number), answer(str(number), os.urandom(2000)))
        if number % 100 == 0:
            settle(tier)
            assert tier.get(key(0)) is not None
    settle(tier)
    assert tier.num_evicted > 0
    assert tier.get(key(1)).response_id == "held nearer"
    assert tier.get(key(2)) is None


def test_a_full_disk_costs_hits_and_nothing_else(small_disk, open_host, answer, caplog):
    tier = open_host(small_disk / "host", max_bytes=64 * MB)
    for number in range(400):
        tier.put(key(number), answer(str(number), os.urandom(20_000)))
        if number % 20 == 0:
            settle(tier)
    settle(tier)
    assert tier.num_dropped > 0
    assert tier.get(key(0)).response_id == "0"
    assert sum("not kept for now" in record.message for record in caplog.records) == 1
    with pytest.raises(StoreError, match="cannot be opened"):
        HostTier(small_disk / "second", max_bytes=64 * MB)


def test_when_there_is_room_again_it_goes_on(small_disk, open_host, answer, caplog):
    tier = open_host(small_disk / "host", max_bytes=64 * MB)
    tier.put(key(0), answer())
    settle(tier)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize))
    for number in range(1, 40):
        tier.put(key(number), answer(whole=os.urandom(20_000)))
    settle(tier)
    assert tier.num_dropped > 0
    filler.unlink()
    tier.put(key(100), answer("back"))
    settle(tier)
    assert tier.get(key(100)).response_id == "back"
    assert "kept again" in caplog.text


def fill(open_host, answer):
    tier = open_host()
    for number in range(300):
        tier.put(key(number), answer(str(number), os.urandom(3000)))
    settle(tier)
    tier.close()


def spoil_head(data):
    return b"\xff" * 8192 + data[8192:]


def spoil_pages(data):
    return data[:8192] + os.urandom(len(data) - 8192)


def cut(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize("harm", [spoil_head, spoil_pages, cut, lambda data: b"not a database"])
def test_a_spoilt_file_is_moved_aside_and_said_so(open_host, answer, tmp_path, caplog, harm):
    fill(open_host, answer)
    data = tmp_path / "host" / "data.mdb"
    spoilt = harm(data.read_bytes())
    data.write_bytes(spoilt)
    tier = open_host()
    assert tier.num_entries == 0
    tier.put(key(1), answer("fresh"))
    settle(tier)
    assert tier.get(key(1)).response_id == "fresh"
    assert (tmp_path / "host" / "data.mdb.aside").read_bytes() == spoilt
    assert "moved aside" in caplog.text


def test_a_file_in_use_when_the_machine_went_down_is_not_trusted(
    open_host, answer, python, tmp_path
):
    fill(open_host, answer)
    other = python(OTHER_WORKER, tmp_path / "host", 16 * MB, "ask")
    assert other.stdout.readline() == "open\n"
    (tmp_path / "host" / "state").write_text("another boot")
    joined = open_host()
    assert joined.num_entries == 300  # who has it open knows better
    joined.close()
    other.kill()
    other.wait()
    assert open_host().num_entries == 0


def test_the_chain_of_names_knows_which_tier_tells_the_others(open_host, answer):
    chain = open_tiers(
        ["exact", "host", "shared"],
        {
            "exact": lambda: ExactTier(max_entries=10, max_bytes=MB),
            "host": open_host,
            "shared": lambda: SharedTier(Link("redis://127.0.0.1:1")),
        },
    )
    assert [tier.name for tier in chain.chain] == ["exact", "host"]
    assert chain.remote.name == "shared"
    chain.put(key(1), answer())
    seen = chain.chain[1].generation[0]
    chain.chain[1].mark({tenant_tag("x"): 1.0})
    assert chain.chain[1].generation[0] != seen


def test_a_purge_is_seen_by_every_worker_at_once(open_host, answer, python, tmp_path):
    tier = open_host()
    here = Tiers([ExactTier(max_entries=100, max_bytes=MB), tier], board=tier)
    made = time.time()
    tags = [
        {"tenant": "acme"},
        {"model_digest": "sha256:1"},
        {"surrogates": ("page/1", "x" * 2000)},
        {"tenant": "other"},
    ]
    for number, tag in enumerate(tags):
        here.put(key(number), answer(str(number), created_at_s=made, **tag))
    settle(tier)
    other = python(PURGER, tmp_path / "host")
    assert other.stdout.readline() == "open\n"
    for tag in (tenant_tag("acme"), model_tag("sha256:1"), surrogate_tag("x" * 2000)):
        other.stdin.write(tag + "\n")
        other.stdin.flush()
        assert other.stdout.readline() == "purged\n"
    assert [here.get(key(number)) is not None for number in range(4)] == [False] * 3 + [True]
    # An answer on its way when the purge came is not kept; one asked for afterwards is.
    here.put(key(0), answer(tenant="acme", created_at_s=made))
    assert here.get(key(0)) is None
    here.put(key(0), answer(tenant="acme", created_at_s=time.time()))
    assert here.get(key(0)) is not None
    here.flush()
    assert not any(here.get(key(number)) for number in range(4))


PURGER = """
import sys
from pathlib import Path
from tenfold.serve.cache.host import HostTier
from tenfold.serve.cache.resp import Link
from tenfold.serve.cache.shared import SharedTier
from tenfold.serve.cache.tier import Tiers, open_tiers
tier = HostTier(Path(sys.argv[1]), max_bytes=16 << 20)
tiers = Tiers([tier], board=tier)
print("open")
for line in sys.stdin:
    tiers.purge(line.strip())
    print("purged")
"""


def test_a_purge_holds_after_a_restart_and_its_bytes_go(open_host, answer):
    tier = open_host()
    made = time.time()
    for number in range(1000):
        tier.put(key(number), answer(tenant="ab"[number % 2], created_at_s=made))
    settle(tier)
    Tiers([tier], board=tier).purge(tenant_tag("a"))
    settle(tier)
    assert tier.num_entries == 500
    tier.put(key(0), answer(tenant="a", created_at_s=made))
    tier.close()
    again = open_host()
    assert again.get(key(0)) is not None  # the tier by itself knows no purges
    assert Tiers([again], board=again).get(key(0)) is None
