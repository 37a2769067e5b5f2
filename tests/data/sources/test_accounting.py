"""Whatever bytes a file holds: the process survives, and everything in it is a record or quarantined."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

KINDS = ["files", "jsonl", "csv", "parquet", "html", "warc", "pdf", "images"]
SUFFIX = {
    "files": "txt", "jsonl": "jsonl", "csv": "csv", "parquet": "parquet", "html": "html",
    "warc": "warc", "pdf": "pdf", "images": "png",
}  # fmt: skip
some = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)

LINES = st.lists(
    st.one_of(
        st.binary(max_size=40).map(lambda b: b.replace(b"\n", b" ")),
        st.text(max_size=30).map(lambda text: json.dumps({"text": text}).encode()),
        st.sampled_from(
            [
                b'{"text":"a","text":"b"}',
                b'{"text":"\\ud800"}',
                b'{"text": NaN}',
                b'{"text":"caf\xe9"}',
                b"[" * 3000,
                b'{"a":' * 600 + b"1" + b"}" * 600,
                b'{"text":"' + b"x" * 300 + b'"}',
                b'{"text":"x","n":123456789012345678901234567890}',
                b"\xff\xfe",
            ]
        ),
    ),
    max_size=12,
)


@some
@given(lines=LINES, last=st.booleans())
def test_every_line_that_is_not_blank_is_counted_once(tmp_path, read, lines, last):
    path = tmp_path / "a.jsonl"
    data = b"\n".join(lines) + (b"\n" if last else b"")
    if data.startswith(
        (b"\xff\xfe", b"\xfe\xff", b"\x1f\x8b", b"BZh", b"\x28\xb5\x2f\xfd", b"\xfd7z")
    ):
        data = b" " + data  # marks of another encoding or packing: the test below
    path.write_bytes(data)
    found = read(kind="jsonl", path=str(path), limits={"record_bytes": 200})
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    wanted = [
        n for n, line in enumerate(data[start:].split(b"\n"), 1) if line and not line.isspace()
    ]
    places = [one["place"] for one in found.records] + [one.place for one in found.quarantined]
    if not data[start:]:
        assert found.causes == ["empty"]
    else:
        assert sorted(places) == sorted(f"a.jsonl:{n}" for n in wanted)


@some
@given(
    rows=st.lists(
        st.lists(st.text("ab,\"'; \r\té", max_size=6), min_size=1, max_size=4), max_size=12
    ),
)
def test_every_line_of_a_table_is_in_a_row_or_quarantined(tmp_path, read, rows):
    """Raw joins, so quotes and delimiters shift columns and open quotes that nobody closes."""
    lines = ["a,b", *(",".join(row).replace("\n", "") for row in rows)]
    (tmp_path / "a.csv").write_bytes("\n".join(lines).encode())
    found = read(kind="csv", path=str(tmp_path / "a.csv"), delimiter=",")
    starts = {int(one["place"].rpartition(":")[2]) for one in found.records}
    starts |= {int(one.place.rpartition(":")[2]) for one in found.quarantined}
    reached = 1
    for number, line in enumerate(lines[1:], 2):
        if number in starts:
            reached = number
        elif line.strip():
            # Not the beginning of anything: then it is part of the quoted row that began before it.
            spanning = [one for one in found.records if one["place"] == f"a.csv:{reached}"]
            bad = [one for one in found.quarantined if one.place == f"a.csv:{reached}"]
            texts = [value or "" for one in spanning for value in one["row"].values()]
            texts += [(one.raw or b"").decode() for one in bad]
            assert any("\n" in text for text in texts), (number, line)


@pytest.mark.parametrize("kind", KINDS)
@some
@given(data=st.binary(max_size=400))
def test_any_bytes_are_records_or_quarantined(tmp_path, read, kind, data):
    path = tmp_path / f"a.{SUFFIX[kind]}"
    path.write_bytes(data)
    found = read(kind=kind, path=str(path))
    blank = kind in ("jsonl", "csv") and data.strip() == b""
    header = kind == "csv"
    assert found.records or found.quarantined or blank or header


def _zip(data: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("in/a.txt", data)
        archive.writestr("in/b.txt", data)
    return held.getvalue()


def _tar(data: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name in ("a.txt", "b.txt"):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return held.getvalue()


PACKED = {
    "a.txt.gz": gzip.compress, "a.txt.bz2": bz2.compress, "a.txt.xz": lzma.compress,
    "a.zip": _zip, "a.tar.gz": _tar,
}  # fmt: skip


@pytest.mark.parametrize("name", PACKED)
@some
@given(draw=st.data())
def test_a_packed_file_cut_or_flipped_anywhere_is_never_silently_short(tmp_path, read, name, draw):
    text = b"".join(b"line %d of the text, and more of it\n" % n for n in range(200))
    packed = bytearray(PACKED[name](text))
    at = draw.draw(st.integers(0, len(packed) - 1))
    if draw.draw(st.booleans()):
        del packed[at:]
    else:
        packed[at] ^= 1 << draw.draw(st.integers(0, 7))
    (tmp_path / name).write_bytes(bytes(packed))
    found = read(kind="files", path=str(tmp_path / name))
    expected = 2 if name in ("a.zip", "a.tar.gz") else 1
    whole = [one for one in found.texts if one.encode() == text]
    # A flipped bit in a name or a time leaves all texts whole; a text that is not there has a cause.
    assert len(whole) == expected or found.quarantined
    # A stream's checksum stands at its end: what was read before stays, with the fault beside it.
    assert all(one.encode() == text for one in found.texts) or found.quarantined
