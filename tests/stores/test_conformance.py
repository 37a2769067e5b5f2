"""What every store promises."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenfold.core.asset import FileRef, Manifest
from tenfold.core.ports import Blobs
from tenfold.errors import BlobMissing


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=4000))
def test_bytes_come_back_under_their_digest(blobs: Blobs, data: bytes) -> None:
    ref = blobs.put_bytes(data)
    assert ref == FileRef(hashlib.sha256(data).hexdigest(), len(data))
    assert blobs.has(ref)
    with blobs.open(ref.sha256) as stream:
        assert stream.read() == data
    assert blobs.path(ref.sha256).read_bytes() == data
    assert blobs.verify(ref)  # type: ignore[attr-defined]


def test_a_staged_file_is_taken_over(blobs: Blobs) -> None:
    staging = blobs.staging()
    assert list(staging.iterdir()) == []
    path = staging / "x.bin"
    path.write_bytes(b"abc" * 1000)
    ref = blobs.put(path)
    assert not path.exists()
    assert blobs.put_bytes(b"abc" * 1000) == ref
    again = blobs.staging() / "y.bin"
    again.write_bytes(b"abc" * 1000)
    assert blobs.put(again) == ref
    assert not again.exists()
    assert [found for found, _ in blobs.listing()] == [ref]


def test_a_read_only_file_is_taken_over_too(blobs: Blobs) -> None:
    """A copy of a blob keeps its mode."""
    path = blobs.staging() / "x.bin"
    path.write_bytes(b"abc")
    path.chmod(0o444)
    assert blobs.has(blobs.put(path))


def test_what_is_missing(blobs: Blobs) -> None:
    absent = FileRef("0" * 64, 3)
    assert not blobs.has(absent)
    assert not blobs.verify(absent)  # type: ignore[attr-defined]
    with pytest.raises(BlobMissing):
        blobs.open(absent.sha256)
    with pytest.raises(BlobMissing):
        blobs.path(absent.sha256)
    with pytest.raises(BlobMissing):
        blobs.folder(Manifest("asset", {"x": absent}))
    blobs.delete(absent.sha256)  # nothing to do


def test_a_wrong_size_is_not_there(blobs: Blobs) -> None:
    ref = blobs.put_bytes(b"abc")
    assert not blobs.has(FileRef(ref.sha256, 4))


def test_delete(blobs: Blobs) -> None:
    ref, other = blobs.put_bytes(b"abc"), blobs.put_bytes(b"def")
    blobs.delete(ref.sha256)
    assert not blobs.has(ref)
    assert [found for found, _ in blobs.listing()] == [other]
    assert blobs.put_bytes(b"abc") == ref
    assert blobs.has(ref)


def test_a_folder_has_the_files_under_their_own_names(blobs: Blobs) -> None:
    refs = {"config.json": blobs.put_bytes(b"{}"), "deep/er/x.bin": blobs.put_bytes(b"x")}
    manifest = Manifest("model", refs)
    folder = blobs.folder(manifest)
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    assert {name: path.read_bytes() for name, path in found.items()} == {
        "config.json": b"{}",
        "deep/er/x.bin": b"x",
    }
    inodes = {path.stat().st_ino for path in found.values()}
    assert blobs.folder(manifest) == folder
    assert {
        path.stat().st_ino for path in found.values()
    } == inodes  # not written again under a reader
    assert not any(os.stat(path).st_mode & 0o222 for path in found.values())
    assert list(blobs.folder(Manifest("empty", {})).iterdir()) == []


def test_writing_again_makes_a_blob_young(blobs: Blobs) -> None:
    ref = blobs.put_bytes(b"abc")
    [(_, before)] = list(blobs.listing())
    time.sleep(0.05)
    assert blobs.put_bytes(b"abc") == ref
    [(_, after)] = list(blobs.listing())
    assert after > before


def test_threads_may_write_the_same_and_different_bytes_at_once(
    blobs: Blobs, tmp_path: Path
) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for i in range(30):
                data = f"{(number * i) % 7}".encode() * 2000
                ref = blobs.put_bytes(data)
                with blobs.open(ref.sha256) as stream:
                    assert stream.read() == data
                blobs.folder(Manifest("asset", {"x": ref}))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(blobs.verify(ref) for ref, _ in blobs.listing())  # type: ignore[attr-defined]
