"""Assets and drafts: manifests, reading verbs, and names that stay inside."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenfold.core.asset import (
    Asset,
    Corpus,
    Document,
    Draft,
    FileRef,
    Manifest,
    Report,
    Table,
    view,
)
from tenfold.errors import InputError, UnknownName, UsageError
from tenfold.stores.memory import MemoryBlobs

text = st.text(st.characters(exclude_categories=["Cs"]))


def made(draft: Draft, name: str = "it") -> Asset:
    blobs = MemoryBlobs()
    return view(name, draft.commit(blobs), blobs)


@given(
    st.dictionaries(text, st.tuples(st.integers(0), text), max_size=4),
    st.dictionaries(text, st.integers() | text, max_size=4),
)
def test_manifests_survive_the_trip_and_order_does_not_matter(files: dict, meta: dict) -> None:
    refs = {name: FileRef(sha, size) for name, (size, sha) in files.items()}
    manifest = Manifest("model", refs, meta)
    again = Manifest.from_bytes(manifest.to_bytes())
    assert again == manifest
    assert again.digest == manifest.digest
    turned = Manifest("model", dict(reversed(refs.items())), dict(reversed(meta.items())))
    assert turned.digest == manifest.digest
    assert Manifest("report", refs, meta).digest != manifest.digest


def test_the_same_bytes_are_the_same_asset_wherever_they_were_made(tmp_path: Path) -> None:
    on_disk, in_memory = Draft("report", tmp_path / "staged"), Draft("report")
    for draft in (on_disk, in_memory):
        draft.write_json("report.json", {"b": 1, "a": [1.5, None, "ä"]})
        draft.write_bytes("deep/inside/x.bin", b"\x00\xff")
        draft.meta["n"] = 1
    assert made(on_disk).digest == made(in_memory).digest


@given(st.lists(st.builds(Document, id=text, text=text, source=text, licence=text,
                          split=st.sampled_from(["train", "heldout"]))))  # fmt: skip
def test_a_corpus_gives_back_its_documents(documents: list[Document]) -> None:
    corpus = made(Corpus.write(Draft("corpus"), iter(documents)))
    assert isinstance(corpus, Corpus)
    assert list(corpus.documents()) == documents
    assert corpus.count == len(documents)
    assert corpus.meta["characters"] == sum(len(d.text) for d in documents)
    assert list(corpus.documents("heldout")) == [d for d in documents if d.split == "heldout"]


def test_a_corpus_that_cannot_be_read_says_where() -> None:
    good = b'{"id":"1","text":"t","source":"s","licence":"l"}\n'
    for bad, says in (
        (b"{", "not a document"),
        (b"[]", "not a document"),
        (b'{"id":"2"}', "missing"),
    ):
        draft = Draft("corpus")
        draft.write_bytes("documents.jsonl", good + bad + b"\n")
        with pytest.raises(InputError, match=says) as caught:
            list(made(draft).documents())
        assert caught.value.where == "it/documents.jsonl:2"
    draft = Draft("corpus")
    draft.write_bytes("documents.jsonl", good + b"\xff\xfe\n")
    with pytest.raises(InputError, match="UTF-8"):
        list(made(draft).documents())


def test_a_table_keeps_its_columns() -> None:
    table = made(Table.write([{"a": 1, "b": "x"}, {"a": 2, "b": None}]))
    assert isinstance(table, Table)
    assert list(table.rows()) == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]
    assert dict(table.schema) == {"a": "int", "b": "str"}
    assert made(Table.write([])).count == 0
    with pytest.raises(InputError, match="row 2"):
        Table.write([{"a": 1}, {"b": 1}])


def test_a_report_that_is_not_json() -> None:
    draft = Draft("report")
    draft.write_bytes(Report.FILE, b"{")
    with pytest.raises(InputError, match="not JSON"):
        _ = made(draft).content


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", "."])
def test_files_stay_inside_their_asset(tmp_path: Path, name: str) -> None:
    for draft in (Draft("asset"), Draft("asset", tmp_path)):
        with pytest.raises(UsageError, match="stay inside"):
            draft.write_bytes(name, b"")


def test_an_unknown_file_is_named() -> None:
    draft = Draft("report")
    draft.write_json("report.json", {})
    with pytest.raises(UnknownName, match=r'did you mean "report\.json"'):
        made(draft).read_bytes("reprot.json")


def test_notebooks_show_hostile_names_as_text() -> None:
    draft = Draft("<script>kind")
    draft.write_bytes("<script>file", b"")
    html = made(draft, "<script>name")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;name" in html


def test_a_memory_draft_has_no_paths() -> None:
    with pytest.raises(UsageError, match="in memory"):
        Draft("asset").path("x")


def test_a_link_in_a_draft_is_adopted_by_content(tmp_path: Path) -> None:
    from tenfold.stores.local import LocalBlobs

    blobs = LocalBlobs(tmp_path / "store")
    outside = tmp_path / "outside.txt"
    outside.write_text("content")
    draft = Draft("asset", blobs.staging())
    draft.path("link.txt").symlink_to(outside)
    asset = view("it", draft.commit(blobs), blobs)
    outside.unlink()
    assert asset.read_bytes("link.txt") == b"content"
