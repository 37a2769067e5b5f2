"""The census of the host's file: it never denies what the file holds, whatever was put, evicted and restarted."""

from __future__ import annotations

import hashlib
import threading

import pytest

from tenfold.serve.cache.census import Census
from tenfold.serve.cache.host import HostTier

MB = 1 << 20


def keys(first, last):
    return [hashlib.sha256(b"%d" % number).digest() for number in range(first, last)]


def settle(tier):
    written = threading.Event()
    tier.after_puts(written.set)
    assert written.wait(20)


def held(tier):
    with tier._file.env.begin(tier._answers) as txn:
        return [bytes(key) for key in txn.cursor().iternext(values=False)]


@pytest.fixture
def tier(tmp_path):
    made = []

    def make():
        made.append(HostTier(tmp_path / "host", max_bytes=MB))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_what_is_held_is_found_after_evictions_and_restarts(tier, answer):
    first = tier()
    for key in keys(0, 1500):
        first.put(key, answer("x", b"y" * 700))
        if not key[0] % 16:
            settle(first)
    settle(first)
    assert first.num_evicted, "the file was to overflow"
    inside = held(first)
    assert inside
    assert all(first.get(key) is not None for key in inside)
    census = first._file.census
    # What left is forgotten: a class in a million is shared by chance now and then.
    gone = set(keys(0, 1500)) - set(inside)
    assert sum(census.may_hold(key) for key in gone) < len(gone) / 20
    first.close()
    second = tier()
    assert all(second.get(key) is not None for key in inside)


def test_a_file_without_a_census_is_counted(tier, answer, tmp_path):
    first = tier()
    for key in keys(0, 50):
        first.put(key, answer("x", b"y"))
    settle(first)
    first.close()
    (tmp_path / "host" / "census").unlink()
    second = tier()
    assert all(second.get(key) is not None for key in keys(0, 50))
    assert not any(second._file.census.may_hold(key) for key in keys(50, 60))


def test_a_full_class_stays_full(tmp_path):
    census = Census(tmp_path / "census")
    key = keys(0, 1)[0]
    census.add([key] * 400)
    census.remove([key] * 399)
    assert census.may_hold(key)
    census.close()
