"""Malformed input of every kind: each under its cause, with its place, and the rest goes on."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import re
import struct
import tarfile
import zipfile
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tenfold.data.sources.connector import RAW_BYTES


def line(**fields) -> bytes:
    return json.dumps(fields).encode() + b"\n"


JSON_LINES = [
    (b'{"text": "a", "text": "b"}\n', "duplicate_key"),
    (b'{"text": "a", "x": {"y" : 1, "y": 2}}\n', "duplicate_key"),
    (b'{"text": "\\":", "a\\\\":1, "a\\\\":2}\n', "duplicate_key"),
    (b'{"text": "a"\n', "json"),
    (b"[1, 2]\n", "json"),
    (b'{"other": "a"}\n', "field"),
    (b'{"text": 7}\n', "field"),
    (b'{"text": "  "}\n', "empty"),
    (b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"\n", "nesting"),
    (b'{"text": "' + b"\x01\x02\x00" * 30 + b'\xff"}\n', "binary"),
    (b'{"text": "' + b"x" * 5000 + b'"}\n', "too_long"),
    (b"1" * 4400 + b"\n", "json"),
]


def test_each_bad_line_costs_itself(put, read):
    good = line(text="good")
    path = put("a.jsonl", good + b"".join(bad + good for bad, _ in JSON_LINES))
    found = read(kind="jsonl", path=path, limits={"record_bytes": 4_500})
    wanted = [("too_long" if len(bad) > 4_501 else cause) for bad, cause in JSON_LINES]
    assert [one.cause for one in found.quarantined] == wanted
    assert [one.place for one in found.quarantined] == [
        f"a.jsonl:{2 * n}" for n in range(1, len(JSON_LINES) + 1)
    ]
    assert found.texts == ["good"] * (len(JSON_LINES) + 1)
    assert all(len(one.raw) <= RAW_BYTES for one in found.quarantined)
    assert found.integration.causes == {c: wanted.count(c) for c in sorted(set(wanted))}


def test_deep_json_is_named_so(put, read):
    deep = b'{"text": "a", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}\n"
    assert read(kind="jsonl", path=put("a.jsonl", deep)).causes == ["nesting"]


@pytest.mark.parametrize(
    ("raw", "text", "repair"),
    [
        (b'{"text": "a\\ud800b"}', "a\ufffdb", "surrogate"),
        ('{"text": "café"}'.encode("latin-1"), "café", "encoding"),
        (b'{"text": "ok", "score": NaN}', "ok", "number"),
        (b'{"text": "a\\u0000b"}', "a\ufffdb", "nul"),
        (
            ('{"text": "' + "日本" * 30 + '"}').encode().replace("日".encode(), b"\xe6\x97", 1),
            "\ufffd本" + "日本" * 29,
            "damaged",
        ),
    ],
)
def test_what_is_repaired_says_so(put, read, raw, text, repair):
    found = read(kind="jsonl", path=put("a.jsonl", raw))
    assert found.texts == [text]
    assert json.loads(found.records[0]["meta"])["repaired"] == [repair]
    assert found.integration.repaired == {repair: 1}


def test_equal_keys_in_different_objects_and_in_strings_are_no_fault(put, read):
    raw = line(text='says {"a": 1, "a": 2}', x={"text": 1}, y=[{"text": 1}, {"text": 2}])
    found = read(kind="jsonl", path=put("a.jsonl", raw))
    assert found.texts == ['says {"a": 1, "a": 2}']


@pytest.mark.parametrize(
    "name", ["utf-16", "utf-32", "utf-8-sig", "utf-16-le", "windows-1251", "shift-jis"]
)
def test_text_in_another_encoding_is_read_right_or_quarantined(put, read, name):
    text = {
        "windows-1251": "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 20,
        "shift-jis": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。" * 20,
    }.get(name, "Grüße aus Köln, und vieles mehr.\n" * 5)
    found = read(kind="files", path=put("a.txt", text.encode(name)))
    assert found.texts == [text]
    lines = read(kind="files", unit="paragraph", path=put("b.txt", text.encode(name)))
    assert lines.texts == [text] or name == "utf-16-le"  # without a mark, lines end anywhere


def test_nuls_binaries_and_nothing(put, read, tmp_path):
    put("a/nul.txt", b"a few words\0and some more of them")
    put("a/binary.txt", random.Random(7).randbytes(4000))
    put("a/empty.txt", b"")
    put("a/blank.txt", b" \n\t\n")
    put("a/good.txt", b"good")
    found = read(kind="files", path=str(tmp_path / "a"))
    assert found.texts == ["good", "a few words\ufffdand some more of them"]
    assert {one.place: one.cause for one in found.quarantined} == {
        "binary.txt": "binary", "empty.txt": "empty", "blank.txt": "empty",
    }  # fmt: skip


def test_links_in_circles_pipes_and_closed_files(put, read, tmp_path):
    put("a/b/good.txt", b"good")
    os.symlink("..", tmp_path / "a/b/up")
    os.symlink("self.txt", tmp_path / "a/self.txt")
    os.symlink("nowhere.txt", tmp_path / "a/broken.txt")
    os.mkfifo(tmp_path / "a/pipe.txt")
    os.makedirs(tmp_path / "z")
    (tmp_path / "z/other.txt").write_bytes(b"other")
    os.symlink("../../z", tmp_path / "a/b/other")
    (tmp_path / os.fsdecode(b"a/\xff\xfe.txt")).write_bytes(b"named in bytes")
    found = read(kind="files", path=str(tmp_path / "a"))
    assert sorted(found.texts) == ["good", "named in bytes", "other"]
    assert {one.place: one.cause for one in found.quarantined} == {
        "b/up": "symlink_loop", "self.txt": "symlink_loop", "broken.txt": "io", "pipe.txt": "special_file",
    }  # fmt: skip
    assert "\\xff\\xfe.txt" in {one["place"] for one in found.records}


def test_a_file_that_cannot_be_opened(put, read, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may open everything")
    os.chmod(put("a/closed.txt", b"secret"), 0)
    put("a/good.txt", b"good")
    found = read(kind="files", path=str(tmp_path / "a"))
    assert (found.texts, found.causes) == (["good"], ["io"])


def test_a_truncated_gzip_gives_what_it_has_and_says_so(put, read):
    lines = b"".join(
        line(text=f"number {n}", pad=str(random.Random(n).random())) for n in range(5000)
    )
    packed = gzip.compress(lines)
    found = read(kind="jsonl", path=put("a.jsonl.gz", packed[: len(packed) // 2]))
    assert 1000 < len(found.records) < 4000
    assert found.texts == [f"number {n}" for n in range(len(found.records))]
    assert found.causes == ["truncated"]
    assert found.quarantined[0].place == f"a.jsonl.gz:{len(found.records) + 1}"


def test_a_gzip_bomb_ends_early(put, read):
    zeros = gzip.compress(b" " * (32 << 20), 9)
    found = read(kind="jsonl", path=put("a.jsonl.gz", zeros * 20))
    assert "bomb" in found.causes
    assert not found.records


def test_zip_bombs_encrypted_and_nested_members(put, read):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.txt", "good")
        archive.writestr("deep.zip", b"PK")
        archive.writestr("secret.txt", "secret")
        archive.writestr("big.txt", b"\0" * (70 << 20))
        archive.writestr("noise.bin", random.Random(1).randbytes(300_000))
    data = bytearray(held.getvalue())
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"secret.txt"))
    data[at + 8] |= 1  # the flag that says encrypted (APPNOTE 4.4.4)
    found = read(kind="files", path=put("a.zip", bytes(data)))
    assert found.texts == ["good"]
    assert {one.place: one.cause for one in found.quarantined} == {
        "a.zip/deep.zip": "nested_archive", "a.zip/secret.txt": "password", "a.zip/big.txt": "bomb",
    }  # fmt: skip
    only = io.BytesIO()
    with zipfile.ZipFile(only, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("big.txt", b"\0" * (70 << 20))
    assert read(kind="files", path=put("b.zip", only.getvalue())).causes == ["bomb"]


def test_a_tar_with_links_and_a_giant_header(put, read):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        info = tarfile.TarInfo("good.txt")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"good"))
        link = tarfile.TarInfo("../../escape.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        long = tarfile.TarInfo("name")
        long.type, long.size = tarfile.GNUTYPE_LONGNAME, 3 << 20
        archive.addfile(long, io.BytesIO(b"n" * (3 << 20)))
    found = read(kind="files", path=put("a.tar", held.getvalue()))
    assert (found.texts, found.causes) == (["good"], ["corrupt", "special_file"])


CSV = b"""name,city,note
Ann,Oslo,fine
Bob,Rome
Cid,Kiel,two,many
"Dora","Ulm, old","a ""quoted""
note over lines"
Eve,Bonn,"never closed
Fay,Lyon,ok
Gus,K\xf6ln,latin
Hal,Graz,x,,
"""


def test_columns_never_shift(put, read):
    found = read(kind="csv", path=put("a.csv", CSV))
    rows = {one["place"]: one["row"] for one in found.records}
    assert [row["name"] for row in rows.values()] == ["Ann", "Dora", "Fay", "Gus", "Hal"]
    assert rows["a.csv:5"] == {
        "name": "Dora", "city": "Ulm, old", "note": 'a "quoted"\nnote over lines',
    }  # fmt: skip
    assert rows["a.csv:9"]["city"] == "Köln"
    assert [(one.place, one.cause) for one in found.quarantined] == [
        ("a.csv:3", "columns"), ("a.csv:4", "columns"), ("a.csv:7", "quoting"),
    ]  # fmt: skip
    assert found.integration.repaired == {"encoding": 1, "trailing": 1}


def test_duplicate_columns_and_duplicate_keys_of_tables(put, read):
    twice = read(kind="csv", path=put("a.csv", b"id,name,id\n1,a,2\n"))
    assert (twice.records, twice.causes) == ([], ["duplicate_columns"])
    keyed = read(kind="csv", key="id", path=put("b.csv", b"id;name\n1;a\n2;b\n1;c\n"))
    assert [one["row"]["name"] for one in keyed.records] == ["a", "b"]
    assert [(one.place, one.cause) for one in keyed.quarantined] == [("b.csv:4", "duplicate_key")]


def test_tables_of_one_source_have_one_schema(put, read, tmp_path):
    put("t/a.csv", b"x,y\n1,2\n")
    put("t/b.csv", b"y,x,z\n2,1,3\n")
    found = read(kind="csv", path=str(tmp_path / "t"))
    assert [one["row"] for one in found.records] == [{"x": "1", "y": "2"}] * 2
    assert json.loads(found.records[1]["meta"]) == {"extra": {"z": "3"}}


def test_rows_whose_values_are_of_another_type(put, read):
    first = b"".join(line(n=n, tags=["a"]) for n in range(1024))
    found = read(
        kind="jsonl", modality="row", path=put("a.jsonl", first + line(n="x") + line(n=5, m=1))
    )
    assert len(found.records) == 1025
    assert [(one.place, one.cause) for one in found.quarantined] == [
        ("a.jsonl:1025", "column_type")
    ]
    assert json.loads(found.records[-1]["meta"]) == {"extra": {"m": 1}}


def test_html_bombs_and_their_honest_neighbours(put, read, tmp_path):
    put("p/deep.html", b"<div>" * 100_000 + b"deep")
    put("p/wide.html", b"<html><body>" + b"<p>line<br>" * 20_000)
    said = b"When the rain had stopped, the two of them walked home along the river, slowly. " * 6
    put("p/attribute.html", b'<p title="' + b"x" * (1 << 20) + b'">' + said + b"</p>")
    put("p/parts.html", b"<p>line</p>" * 70_000)
    put("p/large.html", b"<p>" + b"word " * (1 << 20))
    put("p/nothing.html", b"<html><body></body></html>")
    found = read(kind="html", path=str(tmp_path / "p"), limits={"record_bytes": 2 << 20})
    assert {one.place: one.cause for one in found.quarantined} == {
        "deep.html": "nesting", "large.html": "too_long", "nothing.html": "no_text",
        "wide.html": "no_main_text", "parts.html": "too_many_blocks",
    }  # fmt: skip
    assert [one["text"] for one in found.records] == [said.decode().strip()]


def png(width: int, height: int) -> bytes:
    """A well-formed PNG that says it is that large, and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def test_images_that_are_cut_broken_or_bombs(put, read, tmp_path):
    held = io.BytesIO()
    pixels = random.Random(3).randbytes(64 * 64 * 3)
    Image.frombytes("RGB", (64, 64), pixels).save(held, "JPEG")
    good = held.getvalue()
    put("i/cat/good.jpg", good)
    put("i/cat/cut.jpg", good[: len(good) // 2])
    put("i/bomb.png", png(30_000, 30_000))
    put("i/larger.png", png(11_000, 10_000))
    put("i/page.jpg", b"<html>not found</html>")
    put("i/none.png", b"")
    found = read(kind="images", path=str(tmp_path / "i"))
    assert {one.place: one.cause for one in found.quarantined} == {
        "cat/cut.jpg": "truncated", "bomb.png": "bomb", "larger.png": "bomb", "page.jpg": "corrupt",
        "none.png": "empty",
    }  # fmt: skip
    assert [one["image"] for one in found.records] == [good]
    assert json.loads(found.records[0]["meta"]) == {
        "folder": "cat", "format": "JPEG", "height": 64, "mode": "RGB", "width": 64,
    }  # fmt: skip


def test_parquet_with_a_broken_row_group(put, read, tmp_path):
    table = pa.table({"text": [f"row {n} {random.Random(n).random()}" for n in range(3000)]})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=1000, compression="snappy")
    about = pq.read_metadata(tmp_path / "a.parquet").row_group(1).column(0)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    begin = min(n for n in (about.dictionary_page_offset, about.data_page_offset) if n)
    data[begin : begin + about.total_compressed_size] = b"\xff" * about.total_compressed_size
    found = read(kind="parquet", modality="text", path=put("b/b.parquet", bytes(data)))
    assert [(one.place, one.cause) for one in found.quarantined] == [
        ("b.parquet#group=2", "corrupt")
    ]
    assert found.texts == table["text"].to_pylist()[:1000] + table["text"].to_pylist()[2000:]
    assert found.records[-1]["place"] == "b.parquet#row=3000"
    cut = read(kind="parquet", modality="text", path=put("c/c.parquet", bytes(data[:-20])))
    assert cut.causes == ["corrupt"]


def test_nothing_in_a_quarantined_place_or_fact_is_unprintable(put, read):
    found = read(
        kind="jsonl", path=put("a.jsonl", b'{"\\ud800": 1, "\\ud800": 2}\n{"\\ud801": 3}\n')
    )
    assert found.causes == ["duplicate_key", "field"]
    for one in found.quarantined:
        assert re.fullmatch(r"[^\ud800-\udfff]*", one.place + one.fact)
