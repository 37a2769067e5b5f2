"""Where a person is in bytes, and files without them: spellings planted anywhere, and neighbours left alone."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.data.privacy.person import read_person
from tenfold.data.privacy.rewriting import rewrite
from tenfold.data.privacy.search import search
from tenfold.data.privacy.traces import Traces

WHO = Traces(
    read_person(
        ["Zoë Krüger", "zoe.k@web.de", "+49 171 5550173", "AB-90417", "DE89 3704 0044 0532 0130 00"]
    )
)
SPELLED = [
    b"zoe.k@web.de", b"ZOE.K@WEB.DE", b"zoe.k%40web.de", "zoe.k@web.de".encode("utf-16-le"),
    "Zoë Krüger".encode(), "ZOË  KRÜGER".encode(), "Krüger, Zoë".encode(), json.dumps("Zoë Krüger")[1:-1].encode(),
    quote("Zoë Krüger").encode(), b"0171 555 01 73", b"0171/5550173", b"+49 (0) 171-555-0173", b"0049 171 5550173",
    b"491715550173", b"ab-90417", b"DE89370400440532013000", b"de89 3704 0044 0532 0130 00",
]  # fmt: skip
OTHERS = [
    b"alzoe.k@web.de2", b"zoe.k@web.d", b"91715550173", b"1715550174", b"AB-904170", b"xAB-90417", b"Kr\xc3\xbcger",
    b"DE8937040044053201300", b"zoe", b"",
]  # fmt: skip


@pytest.mark.parametrize("spelled", SPELLED)
def test_every_spelling_is_found_and_blanked(spelled):
    data, count = WHO.blanked(b"before " + spelled + b" behind")
    assert count == 1
    assert data.replace(b"\0", b"") == b"before [ERASED] behind"
    assert len(WHO.blanked(spelled, None)[0]) == len(spelled)


@pytest.mark.parametrize("other", OTHERS)
def test_what_is_others_stays(other):
    assert WHO.blanked(b"<" + other + b">") == (b"<" + other + b">", 0)


@given(
    st.lists(
        st.sampled_from([*SPELLED, *OTHERS, b"\n", b"5", b"\xff\xfe", b" ", b"x" * 900]),
        max_size=30,
    ),
    st.sampled_from([b" | ", b"\n", b"\x1f", b'"']),
)
def test_blanking_leaves_nothing(pieces, between):
    data, _ = WHO.blanked(between.join(pieces))
    assert not WHO.any(data)


def test_a_name_in_fields_of_a_row_is_found():
    assert WHO.in_record({"last": "krüger", "first": "Zoë", "n": 1})
    assert WHO.in_record([{"who": {"full": "zoë krüger"}}])
    assert not WHO.in_record({"last": "krüger", "first": "zoe"})
    assert not WHO.in_record({"text": "Zoë and a Krüger"})


def test_packed_files_are_opened_and_damaged_ones_searched_as_far_as_they_go(tmp_path):
    line = b"x" * 5_000_000 + b" zoe.k@web.de " + b"y" * 100
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/b.txt.gz", gzip.compress(line))
    for name, data in {
        "plain": line,
        "gz": gzip.compress(line),
        "zip in gz": gzip.compress(inner.getvalue()),
        "torn": gzip.compress(line + bytes(range(256)) * 2000)[:-900],
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert search(path, WHO).traces == len("zoe.k@web.de"), name
    (tmp_path / "none").write_bytes(gzip.compress(b"nothing here"))
    assert search(tmp_path / "none", WHO).traces == 0


@given(
    st.lists(
        st.sampled_from([*(s for s in SPELLED if b"\0" not in s), b"tom", b'a "b"', b"c\nd", b""]),
        max_size=12,
    )
)
def test_csv_loses_whole_rows_and_no_other(tmp_path_factory, cells):
    folder = tmp_path_factory.mktemp("csv")
    rows = [b'%d,"%s",end\r\n' % (n, cell.replace(b'"', b'""')) for n, cell in enumerate(cells)]
    (folder / "t.csv").write_bytes(b"".join(rows))
    done = rewrite("t.csv", folder / "t.csv", folder / "new", WHO, frozenset())
    stays = [row for row, cell in zip(rows, cells, strict=True) if cell not in SPELLED]
    assert (folder / "new").read_bytes() == b"".join(stays)
    assert done.removed == len(rows) - len(stays)


def test_what_cannot_be_rewritten_says_so(tmp_path):
    (tmp_path / "w.bin").write_bytes(b"\0\1\2zoe.k@web.de")
    assert rewrite("w.bin", tmp_path / "w.bin", tmp_path / "new", WHO, frozenset()) is None
    (tmp_path / "torn.jsonl.gz").write_bytes(gzip.compress(b"{}\n" * 9000)[:-20])
    assert (
        rewrite("torn.jsonl.gz", tmp_path / "torn.jsonl.gz", tmp_path / "new", WHO, frozenset())
        is None
    )
    assert not (tmp_path / "new").exists()
