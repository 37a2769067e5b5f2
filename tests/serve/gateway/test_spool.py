"""Nothing that `put` said is on disk is lost: not by a kill, a torn tail, a damaged byte or a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.serve.gateway import spool as spool_module
from tenfold.serve.gateway.spool import Spool


def emptied(spool):
    found = []
    while (record := spool.front()) is not None:
        found.append(record.payload)
        spool.drop_front()
    return found


def files(folder):
    return sorted(folder.glob("*.spool")) if folder.exists() else []


def test_what_goes_in_comes_out_in_order_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(spool_module, "_SEGMENT_BYTES", 200)
    spool = Spool(tmp_path / "s", 10**6)
    assert files(tmp_path / "s") == []  # nothing before there is need
    payloads = [bytes([n]) * n for n in range(100)]
    assert all(spool.put(payload, 2) for payload in payloads)
    assert spool.num_events == 200
    assert len(files(tmp_path / "s")) > 10
    assert spool.front().payload == spool.front().payload == b""
    assert emptied(spool) == payloads
    assert (spool.num_events, spool.num_bytes, files(tmp_path / "s")) == (0, 0, [])
    assert spool.put(b"again", 1)
    assert emptied(spool) == [b"again"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.binary(max_size=50), st.just("take"), st.just("crash"))))
def test_it_is_a_queue_whatever_happens_in_between(tmp_path_factory, script):
    """A process that ends and its heir see each record at least once and in order."""
    folder = tmp_path_factory.mktemp("q")
    spool, model = Spool(folder, 10**6), deque()
    taken = deque()  # taken out of the present files: an heir may see them again
    for step in script:
        if step == "take":
            record = spool.front()
            assert (record is None) == (not model)
            if record is not None:
                assert record.payload == model[0]
                taken.append(model.popleft())
                spool.drop_front()
        elif step == "crash":
            spool.close()
            spool = Spool(folder, 10**6)
            spool.claim()
            seen = emptied(spool)
            assert seen[len(seen) - len(model) :] == list(model)
            assert set(seen) <= {*taken, *model}
            model.clear()
            taken.clear()
        else:
            assert spool.put(step, 1)
            model.append(step)
    assert spool.num_events == len(model)
    spool.close()


def test_it_is_bounded(tmp_path):
    spool = Spool(tmp_path, 1000)
    kept = 0
    while spool.put(b"x" * 100, 1):
        kept += 1
    assert 5 <= kept <= 10
    assert sum(file.stat().st_size for file in files(tmp_path)) <= 1100
    assert len(emptied(spool)) == kept
    assert spool.put(b"x" * 100, 1)


def test_a_torn_tail_is_cut_off_wherever_it_was_torn(tmp_path):
    first = Spool(tmp_path / "a", 10**6)
    ends = []
    for n in range(3):
        first.put(b"payload %d" % n, 1)
        (path,) = files(tmp_path / "a")
        ends.append(path.stat().st_size)
    whole = path.read_bytes()
    first.close()
    for length in range(len(whole)):
        folder = tmp_path / f"cut{length}"
        folder.mkdir()
        (folder / path.name).write_bytes(whole[:length])
        heir = Spool(folder, 10**6)
        heir.claim()
        expected = [n for n, end in enumerate(ends) if end <= length]
        assert heir.num_events == len(expected)
        assert emptied(heir) == [b"payload %d" % n for n in expected]
        assert files(folder) == []


def test_a_damaged_record_does_not_take_the_others_along(tmp_path, caplog):
    first = Spool(tmp_path, 10**6)
    for n in range(5):
        first.put(b"payload %d" % n, 1)
    (path,) = files(tmp_path)
    first.close()
    path.write_bytes(path.read_bytes().replace(b"payload 2", b"payloaf 2"))
    heir = Spool(tmp_path, 10**6)
    heir.claim()
    assert emptied(heir) == [b"payload %d" % n for n in (0, 1, 3, 4)]
    assert "1 damaged" in caplog.text


def test_a_full_disk_refuses_and_damages_nothing(small_disk, caplog):
    spool = Spool(small_disk / "s", 10**9)
    kept = 0
    while spool.put(kept.to_bytes(4, "big") * 25_000, 1):
        kept += 1
    assert "cannot be spooled" in caplog.text
    assert kept > 10
    assert not spool.put(b"x" * 200_000, 1)
    spool.close()
    heir = Spool(small_disk / "s", 10**9)
    heir.claim()
    assert emptied(heir) == [n.to_bytes(4, "big") * 25_000 for n in range(kept)]
    assert heir.put(b"there is room again" * 10_000, 1)
    heir.close()


_WRITES = """
import sys
from pathlib import Path
from tenfold.serve.gateway.spool import Spool
spool, number = Spool(Path(sys.argv[1]), 10**9), 0
while spool.put(b"%d" % number, 1):
    print(number, flush=True)
    number += 1
"""


def test_what_a_killed_process_kept_is_found_and_a_living_ones_is_left_alone(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", _WRITES, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    said = [child.stdout.readline() for _ in range(50)]
    heir = Spool(tmp_path, 10**6)
    heir.claim()
    assert heir.num_events == 0  # its owner lives
    os.kill(child.pid, signal.SIGKILL)
    said += child.stdout.readlines()
    child.wait()
    child.stdout.close()
    heir.claim()
    other = Spool(tmp_path, 10**6)
    other.claim()
    assert other.num_events == 0  # claimed by one
    last = max(int(line) for line in said if line.endswith("\n"))
    found = [int(payload) for payload in emptied(heir)]
    assert found in (list(range(last + 1)), list(range(last + 2)))  # killed before it said so
    assert files(tmp_path) == []


def test_files_of_another_make_are_left_alone(tmp_path):
    foreign = tmp_path / "0.spool"
    foreign.write_bytes(b"something else entirely" * 100)
    spool = Spool(tmp_path, 10**6)
    for _ in range(2):
        spool.claim()
        assert emptied(spool) == []
        assert spool.put(b"x", 1)
        assert emptied(spool) == [b"x"]
    assert foreign.read_bytes() == b"something else entirely" * 100
