"""Disks that are full or cannot be written, ledgers that cannot be opened, stores that are too new."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import IO, Any

import pytest

from tenfold.core.facts import Run
from tenfold.core.step import Context, step
from tenfold.errors import LedgerError, StoreError, StoreFull, StoreTooNew
from tenfold.factory import Factory


@pytest.mark.parametrize("how", ["draft", "open"])
def test_a_disk_that_fills_up_in_mid_run(workshop: Any, small_disk: Path, how: str) -> None:
    def factory() -> Factory:
        made = Factory("f", store=str(small_disk / "store"), directory=workshop.folder)

        @step(version="1")
        def small(ctx: Context) -> Any:
            workshop.log.say("small")
            return {}

        @step(version="1")
        def big(small: Any, ctx: Context) -> Any:
            draft = ctx.draft("asset")
            for n in range(20):
                if how == "draft":
                    draft.write_bytes(f"{n}", b"x" * 150_000)
                else:
                    with draft.path(f"{n}").open("wb") as stream:
                        stream.write(b"x" * 150_000)
            return draft

        return made.add(small).add(big, needs=["small"])

    ballast = small_disk / "ballast"
    with factory() as made:
        assert made.run("small").ok
        ballast.write_bytes(b"x" * 2_500_000)
        with pytest.raises(StoreFull, match="the disk is full") as caught:
            made.run()
        assert caught.value.exit_code == 3
    with factory() as made:
        assert made.asset("small").content == {}
        assert made.blobs.verify(next(iter(made.asset("small").files.values())))
        ballast.unlink()
        outcome = made.run()
        assert [s.status for s in outcome.steps] == ["skipped", "ran"]
        assert made.ledger.read(Run)[1].status in ("failed", "interrupted")
        assert list((small_disk / "store" / "staging").iterdir()) == []
    assert workshop.log.count("small") == 1


def test_a_disk_too_full_for_the_ledger(workshop: Any, small_disk: Path) -> None:
    with Factory("f", store=str(small_disk / "store"), directory=workshop.folder) as factory:
        for name in "ab":
            factory.add(workshop.step(name), name=name)
        factory.run("a")
        with (small_disk / "ballast").open("wb", buffering=0) as stream:
            with pytest.raises(OSError, match="No space left"):
                _fill(stream)
            with pytest.raises((StoreFull, LedgerError)):
                factory.run()
        (small_disk / "ballast").unlink()
        assert [s.status for s in factory.run().steps] == ["skipped", "ran"]


def _fill(stream: IO[bytes]) -> None:
    while True:
        stream.write(b"x" * 4096)


def test_a_read_only_store_can_be_looked_at_but_not_built_in(
    workshop: Any, small_disk: Path
) -> None:
    def factory() -> Factory:
        made = Factory(
            "f",
            store=str(small_disk / "store"),
            ledger=str(workshop.folder / "ledger.db"),
            directory=workshop.folder,
        )
        return made.add(workshop.step("a"), name="a").add(workshop.step("b"), name="b", needs=["a"])

    with factory() as made:
        made.run("a")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with factory() as made:
        assert made.plan()["a"].action == "skip"
        assert made.asset("a").content["name"] == "a"
        with pytest.raises(StoreError, match="no permission"):
            made.run()
        assert made.ledger.read(Run)[-1].status == "failed"


def test_a_ledger_that_cannot_be_opened(workshop: Any) -> None:
    (workshop.folder / "file").write_text("")
    with workshop.chain("a") as factory:
        factory._ledger_url = str(workshop.folder / "file" / "ledger.db")
        with pytest.raises(LedgerError):
            factory.run()
    assert workshop.log.count("start") == 0


def test_a_store_of_a_newer_tenfold(workshop: Any) -> None:
    workshop.chain("a").run()
    marker = workshop.folder / ".tenfold" / "format.json"
    marker.write_text(json.dumps({"tenfold_store": 2}))
    with workshop.chain("a") as factory, pytest.raises(StoreTooNew):
        factory.plan()


def test_collecting_garbage_during_a_run_loses_nothing(workshop: Any) -> None:
    def work() -> None:
        with workshop.chain("abcd", value=5, delay_s=0.15) as factory:
            assert factory.run().ok

    for value in range(4):
        workshop.chain("abcd", value=value).run()
    child = workshop.fork(work)
    workshop.log.wait_for("start", "a", 5)
    with workshop.chain("abcd") as factory:
        while workshop.log.count("end", "d", 5) == 0:
            factory.gc(keep_last=1, grace_s=0.0)
    assert workshop.join(child) == 0
    workshop.check(collected=True)
    with workshop.chain("abcd", value=5) as factory:
        assert factory.run().unchanged
        factory.gc(keep_last=1, grace_s=0.0)
        assert factory.run().unchanged
        assert {r.config["value"] for r in map(factory.result, "abcd") if r} == {5}
