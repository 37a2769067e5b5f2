"""The local store against the machine: kills, full disks, read-only disks, newer formats."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tenfold.core.asset import Draft, FileRef, Manifest
from tenfold.errors import InputError, StoreError, StoreFull, StoreTooNew, UsageError
from tenfold.stores.local import LocalBlobs
from tenfold.stores.memory import MemoryBlobs
from tenfold.stores.open import open_store

_WRITER = """
import random, sys
from pathlib import Path
from tenfold.stores.local import LocalBlobs
blobs, seed = LocalBlobs(Path(sys.argv[1])), int(sys.argv[2])
draw = random.Random(seed)
print("ready", flush=True)
while True:
    data = draw.randbytes(draw.randrange(1, 300_000))
    if draw.random() < 0.5:
        blobs.put_bytes(data)
    else:
        path = blobs.staging() / "x"
        path.write_bytes(data)
        blobs.put(path)
"""


def test_kill_9_in_the_middle_of_writing_leaves_whole_blobs_only(tmp_path: Path) -> None:
    root = tmp_path / "store"
    for round_number in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(root), str(round_number)],
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(random.Random(round_number).uniform(0.05, 0.3))
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    blobs = LocalBlobs(root)
    found = [ref for ref, _ in blobs.listing()]
    assert len(found) > 10
    assert all(blobs.verify(ref) for ref in found)
    leftovers = list((root / "staging").iterdir())
    assert blobs.sweep_leftovers(0.0, set()) == len(leftovers)  # their processes are dead
    assert list((root / "staging").iterdir()) == []


def test_staging_of_a_living_process_is_not_swept_however_old(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    staging = blobs.staging()
    os.utime(staging, (0, 0))
    assert blobs.sweep_leftovers(0.0, set()) == 0
    assert staging.is_dir()


def test_views_of_what_is_kept_stay(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    kept, gone = (Manifest("a", {"x": blobs.put_bytes(data)}) for data in (b"1", b"2"))
    views = [blobs.folder(kept), blobs.folder(gone)]
    assert blobs.sweep_leftovers(-1.0, {kept.digest}) == 1
    assert [view.exists() for view in views] == [True, False]


def test_a_truncated_blob_is_noticed_and_replaced(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    ref = blobs.put_bytes(b"abcdef")
    path = blobs.path(ref.sha256)
    path.chmod(0o644)
    path.write_bytes(b"abc")
    assert not blobs.has(ref)
    blobs.put_bytes(b"abcdef")
    assert blobs.verify(ref)
    path.chmod(0o644)
    path.write_bytes(b"xxxxxx")
    assert blobs.has(ref)
    assert not blobs.verify(ref)  # the same size: only reading shows it


def test_a_full_disk_is_said_and_leaves_what_was_there(small_disk: Path) -> None:
    blobs = LocalBlobs(small_disk / "store")
    before = [blobs.put_bytes(os.urandom(200_000)) for _ in range(5)]

    def fill() -> None:
        for _ in range(100):
            blobs.put_bytes(os.urandom(200_000))

    with pytest.raises(StoreFull, match="the disk is full") as caught:
        fill()
    assert "tenfold gc" in str(caught.value)
    assert caught.value.exit_code == 3
    assert all(blobs.verify(ref) for ref, _ in blobs.listing())
    assert {ref.sha256 for ref in before} <= {ref.sha256 for ref, _ in blobs.listing()}
    assert list((small_disk / "store" / "staging").iterdir()) == []
    blobs.delete(before[0].sha256)
    assert blobs.verify(blobs.put_bytes(os.urandom(150_000)))  # room again


def test_a_read_only_disk_can_be_read_but_not_written(small_disk: Path) -> None:
    root = small_disk / "store"
    ref = LocalBlobs(root).put_bytes(b"abc")
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    blobs = LocalBlobs(root)  # looking is allowed
    assert blobs.verify(ref)
    for write in (lambda: blobs.put_bytes(b"def"), blobs.staging, lambda: blobs.delete(ref.sha256)):
        with pytest.raises(StoreError, match="no permission") as caught:
            write()
        assert "Read-only" in str(caught.value)
    assert blobs.put_bytes(b"abc") == ref  # nothing to write
    with pytest.raises(StoreError, match="no permission"):
        LocalBlobs(small_disk / "another")


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("mine")
    with pytest.raises(StoreError, match="could not open the store"):
        LocalBlobs(tmp_path / "store")
    with pytest.raises(StoreError, match="could not open the store"):
        LocalBlobs(tmp_path / "store" / "below")
    assert (tmp_path / "store").read_text() == "mine"


def test_a_store_of_a_newer_tenfold_is_left_alone(tmp_path: Path) -> None:
    LocalBlobs(tmp_path)
    marker = tmp_path / "format.json"
    marker.write_text(json.dumps({"tenfold_store": 99}))
    with pytest.raises(StoreTooNew, match="its format is 99") as caught:
        LocalBlobs(tmp_path)
    assert "pip install -U tenfold" in str(caught.value)
    assert json.loads(marker.read_text()) == {"tenfold_store": 99}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"tenfold_store": "x"}', "null"])
def test_a_folder_that_is_no_store(tmp_path: Path, text: str) -> None:
    (tmp_path / "format.json").write_text(text)
    with pytest.raises(StoreError, match="not a tenfold store"):
        LocalBlobs(tmp_path)


def test_strange_files_among_the_blobs_do_not_matter(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    ref = blobs.put_bytes(b"abc")
    (tmp_path / "blobs" / ".DS_Store").write_text("")
    assert FileRef(ref.sha256, 3) in [found for found, _ in blobs.listing()]


def test_stores_by_url(tmp_path: Path) -> None:
    assert isinstance(open_store("memory:", tmp_path), MemoryBlobs)
    store = open_store("./here", tmp_path)
    assert isinstance(store, LocalBlobs)
    assert store.root == tmp_path / "here"
    with pytest.raises(UsageError, match="'ftp'"):
        open_store("ftp://user:secret@host/x", tmp_path)


def test_a_blob_is_never_another_name_for_a_file_outside(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "store")
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    staging = blobs.staging()
    os.link(outside, staging / "hard")
    (staging / "soft").symlink_to(outside)
    manifest = Draft("asset", staging).commit(blobs)
    outside.write_bytes(b"changed")  # still writable, and nobody else's
    assert set(manifest.files) == {"hard", "soft"}
    assert all(blobs.verify(ref) for ref in manifest.files.values())


def test_what_is_no_file_is_refused_and_not_left_out(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path / "store")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "data").write_bytes(b"x")
    for name, make in (
        ("folder", lambda path: path.symlink_to(tmp_path / "elsewhere")),
        ("dead", lambda path: path.symlink_to(tmp_path / "nowhere")),
        ("pipe", os.mkfifo),
    ):
        staging = blobs.staging()
        make(staging / name)
        with pytest.raises(InputError, match="files and folders") as caught:
            Draft("asset", staging).commit(blobs)
        assert caught.value.where == name
