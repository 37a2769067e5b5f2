"""Garbage collection: what aliases, recent results, recent runs and unfinished work need stays."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tenfold.core.asset import Manifest
from tenfold.core.facts import AliasMove, Partial, Run, RunStep, StepResult
from tenfold.ledger.memory import MemoryLedger
from tenfold.stores.gc import Collected, collect_garbage
from tenfold.stores.local import LocalBlobs

NOW_S = time.time()


class World:
    """A store and a ledger with a history."""

    def __init__(self, root: Path) -> None:
        self.blobs = LocalBlobs(root)
        self.ledger = MemoryLedger()

    def make(self, asset: str, version: int, *inputs: StepResult, at_s: float = 0.0) -> StepResult:
        ref = self.blobs.put_bytes(f"{asset} {version}".encode())
        os.utime(self.blobs.path(ref.sha256), (1, 1))
        result = StepResult(
            key=f"{asset}-{version}",
            factory="f",
            asset=asset,
            step="s",
            version="1",
            config={},
            inputs=tuple((i.asset, i.output.digest) for i in inputs),
            output=Manifest("asset", {"x": ref}),
            run_id="r",
            finished_at_s=at_s + version,
        )
        self.ledger.commit(result)
        return result

    def promote(self, result: StepResult, alias: str = "m@c") -> None:
        now = self.ledger.alias(alias)
        previous = now.digest if now else None
        self.ledger.move_alias(
            AliasMove(
                alias=alias, digest=result.output.digest, previous=previous, asset=result.asset,
                key=result.key, actor="me", reason="", at_s=0,
            ),
            previous,
        )  # fmt: skip

    def record(self, run_id: str, *used: StepResult, status: str, at_s: float) -> None:
        rows = [
            RunStep(run_id=run_id, asset=r.asset, step="s", status="skipped", key=r.key,
                    digest=r.output.digest)
            for r in used
        ]  # fmt: skip
        self.ledger.put(Run(id=run_id, factory="f", status=status, started_at_s=at_s), *rows)

    def collect(self, **options: object) -> Collected:
        return collect_garbage(self.ledger, self.blobs, NOW_S, **options)  # type: ignore[arg-type]

    def whole(self, result: StepResult) -> bool:
        there = self.ledger.result(result.key) is not None
        bytes_there = all(self.blobs.has(ref) for ref in result.output.files.values())
        assert there == bytes_there
        return there


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_newest_of_every_asset_and_what_they_were_made_from(world: World) -> None:
    raw = [world.make("raw", i) for i in range(6)]
    model = [world.make("model", i, raw[i]) for i in range(3)]
    collected = world.collect(keep_last=2)
    assert [world.whole(r) for r in model] == [False, True, True]
    assert [world.whole(r) for r in raw] == [False, True, True, False, True, True]
    assert (collected.results, collected.blobs, collected.kept_results) == (3, 3, 6)
    assert collected.freed_bytes == len(b"model 0raw 0raw 3")
    assert world.collect(keep_last=2).results == 0


def test_aliases_keep_their_lineage_and_the_way_back(world: World) -> None:
    raw = [world.make("raw", i) for i in range(8)]
    model = [world.make("model", i, raw[i]) for i in range(8)]
    for i in (0, 1, 2, 3):
        world.promote(model[i])
    world.collect(keep_last=1, keep_alias_moves=3)
    assert [world.whole(r) for r in model] == [False, True, True, True, False, False, False, True]
    assert [world.whole(r) for r in raw] == [False, True, True, True, False, False, False, True]


def test_unfinished_work_keeps_its_checkpoint(world: World) -> None:
    ref = world.blobs.put_bytes(b"checkpoint")
    os.utime(world.blobs.path(ref.sha256), (1, 1))
    world.ledger.put(Partial(key="k", output=Manifest("model", {"x": ref}), step=3, at_s=0))
    world.collect()
    assert world.blobs.has(ref)


def test_a_piece_lasts_as_long_as_an_asset_has_its_files_or_it_is_young(world: World) -> None:
    refs = [world.blobs.put_bytes(f"a {n}".encode()) for n in range(3)]
    result = world.make("a", 0)
    assert list(result.output.files.values()) == [refs[0]]  # the same bytes
    for n, ref in enumerate(refs):
        os.utime(world.blobs.path(ref.sha256), (1, 1))
        output = Manifest("piece", {"x": ref})
        world.ledger.put(Partial(key=f"k{n}", output=output, step=0, at_s=NOW_S - 10 * n))
    world.collect(grace_s=15)
    assert [world.blobs.has(ref) for ref in refs] == [True, True, False]
    assert [world.ledger.partial(f"k{n}") is not None for n in range(3)] == [True, True, False]
    world.collect(grace_s=5)
    assert [world.ledger.partial(f"k{n}") is not None for n in range(3)] == [True, False, False]


def test_a_dry_run_touches_nothing(world: World) -> None:
    results = [world.make("a", i) for i in range(4)]
    collected = world.collect(keep_last=1, dry_run=True)
    assert (collected.results, collected.blobs, collected.dry_run) == (3, 3, True)
    assert all(world.whole(r) for r in results)


def test_the_grace_time_keeps_what_is_young(world: World) -> None:
    old = world.make("a", 0)
    young = world.make("a", 1, at_s=NOW_S - 10)
    world.make("a", 2, at_s=NOW_S - 5)
    world.collect(keep_last=1, grace_s=60)
    assert [world.whole(old), world.whole(young)] == [False, True]


def test_young_blobs_without_a_result_are_being_written(world: World) -> None:
    """The real time is on them; a run may be about to commit."""
    ref = world.blobs.put_bytes(b"about to be committed")
    world.collect(grace_s=60)
    assert world.blobs.has(ref)
    collect_garbage(world.ledger, world.blobs, time.time() + 120, grace_s=60)
    assert not world.blobs.has(ref)


def test_an_old_result_that_serves_again_stays(world: World) -> None:
    """A config put back: the newest run settled on an old result."""
    results = [world.make("a", i) for i in range(6)]
    world.record("run-1", results[1], status="succeeded", at_s=100.0)
    world.collect(keep_last=2)
    assert [world.whole(r) for r in results] == [False, True, False, False, True, True]


def test_a_run_that_is_going_on_loses_nothing(world: World) -> None:
    used = [world.make("a", i) for i in range(6)]
    fresh = world.blobs.put_bytes(b"written by the live run, not on record yet")
    world.record("live", used[0], status="running", at_s=NOW_S - 1)
    for i in range(5):
        world.record(f"later-{i}", used[5], status="succeeded", at_s=NOW_S + i)
    world.collect(keep_last=1, grace_s=0)
    assert world.blobs.has(fresh)
    assert world.whole(used[0])
    assert world.whole(used[5])
    assert not world.whole(used[3])
    live = world.ledger.read(Run, id="live")[0]
    world.ledger.put(replace(live, status="interrupted"))
    collect_garbage(world.ledger, world.blobs, time.time() + 120, grace_s=0)
    assert not world.blobs.has(fresh)


def test_one_blob_in_two_assets_goes_with_the_last(world: World) -> None:
    first = world.make("a", 0)
    shared = replace(first, key="b-0", asset="b", output=Manifest("b", first.output.files))
    world.ledger.commit(shared)
    world.make("a", 1)
    world.collect(keep_last=1)
    assert world.whole(shared)
    assert world.ledger.result(first.key) is None
