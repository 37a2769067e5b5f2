"""Erasing a person from a real factory: every byte looked at by other means, killed in the middle, certified."""

from __future__ import annotations

import gzip
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tenfold.core.asset import Asset, Corpus, Document, Draft, Table
from tenfold.core.facts import AliasMove, AuditEntry, Event, RequestEvent, StepResult
from tenfold.core.step import Context, step
from tenfold.data.privacy.forms import forms
from tenfold.errors import InfrastructureError, UsageError
from tenfold.factory import Factory, erasing
from tenfold.ledger.audit import first_broken

WHO = ["Jane Miller", "jane.miller@web.de", "+49 30 901820", "7541234"]
NEEDLES = [b"jane.miller", b"901820", b"90 18 20", b"7541234", b"jane miller", b"miller, jane"]
TEXTS = [
    "Nothing here but the weather of a long week.",
    "Write to Jane.Miller@web.de before noon.",
    "Call 030/90 18 20 and ask.",
    "Signed: MILLER, Jane",
    "Another person, jane.millers@web.de, stays: 1901820 and 17541234.",
]
ROWS = [
    {"id": "7541234", "given": "jane", "last": "miller", "note": ""},
    {"id": "7541235", "given": "tom", "last": "miller", "note": "Jane Austen"},
    {"id": "7541236", "given": "Jane", "last": "Miller", "note": "same name, other id"},
    {"id": "7541237", "given": "bo", "last": "li", "note": ""},
]


@step(version="1", name="test.texts", produces=Corpus)
def texts(*, ctx: Context, more: int = 0) -> Draft:
    rows = [*TEXTS, *(f"filler number {n} " * 20 for n in range(more))]
    made = [Document(id=str(n), text=t, source="s", licence="CC0") for n, t in enumerate(rows)]
    return Corpus.write(ctx.draft(Corpus.kind), made)


@step(version="1", name="test.rows", produces=Table)
def rows(*, ctx: Context) -> Draft:
    return Table.write(ROWS, draft=ctx.draft(Table.kind))


@step(version="1", name="test.segments", produces=Asset)
def segments(documents: Corpus, *, ctx: Context, key: str = "") -> Draft:
    """Parquet as the hub writes it, packed JSON Lines, a CSV and a plain text."""
    from tenfold.data.privacy.subject_key import open_key

    draft = ctx.draft("snapshot")
    given = [d.text for d in documents.documents()]
    phone = open_key(Path(key)).subject(forms("phone", "030 901820")[0])
    keys = [*([] for _ in given), [b"x" * 16, phone]]
    table = pa.table(
        {"text": [*given, "by her hash only"], "subjects": pa.array(keys, pa.list_(pa.binary()))}
    )
    pq.write_table(table, draft.path("data/0.parquet"), compression="zstd", row_group_size=2)
    pq.write_table(table.slice(0, 1), draft.path("data/1.parquet"))
    lines = "".join(json.dumps({"t": t}) + "\n" for t in given)
    draft.path("packed.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    draft.path("t.csv").write_text('id,note\n7541234,"a\nb"\n7541235,"c ""d"""\n')
    draft.path("notes.md").write_text("# Notes\n\nJane Miller was here.\n")
    return draft


@step(version="1", name="test.shards", produces=Asset)
def shards(documents: Corpus, *, ctx: Context) -> Draft:
    draft = ctx.draft("shards")
    ids = np.frombuffer(
        "".join(d.text for d in documents.documents()).encode("utf-32-le"), np.uint16
    )
    draft.write_bytes("0.bin", (ids * 3 + 1).astype(np.uint16).tobytes())
    return draft


@step(version="1", name="test.model", produces=Asset)
def model(tokens: Asset, *, ctx: Context) -> Draft:
    draft = ctx.draft("model")
    draft.write_bytes("model.safetensors", bytes(range(256)) * 4)
    return draft


@step(version="1", name="test.bystander", produces=Asset)
def bystander(*, ctx: Context) -> Draft:
    draft = ctx.draft("asset")
    draft.write_bytes("a.txt", b"a miller and her friend jane, apart")
    return draft


def factory_in(folder: Path, more: int = 0) -> Factory:
    key = str(folder / ".tenfold" / "privacy" / "subject.key")
    return (
        Factory("town", directory=folder)
        .add(texts, config={"more": more})
        .add(rows)
        .add(segments, needs=["texts"], config={"key": key})
        .add(shards, needs=["texts"])
        .add(model, needs=["shards"])
        .add(bystander)
    )


def build(folder: Path, more: int = 0) -> Factory:
    factory = factory_in(folder, more)
    assert factory.run().ok
    for asset, alias in (
        ("texts", "texts@live"),
        ("shards", "shards@live"),
        ("model", "model@champion"),
    ):
        factory.promote(asset, alias)
    factory.asset("texts").folder()  # a view: another name for the same bytes
    now_s = time.time()
    factory.ledger.append(
        [
            Event(
                run_id="r",
                asset="a",
                event="odd",
                fields={"line": "from jane.miller@web.de"},
                at_s=now_s,
            ),
            Event(run_id="r", asset="a", event="fine", fields={"line": "from tom"}, at_s=now_s),
        ]
    )
    batch = folder / ".tenfold" / "gateway" / "batch" / "tenants" / "ab" / "files"
    batch.mkdir(parents=True)
    (batch / "file-1").write_text(json.dumps({"q": "who is Jane Miller?", "n": 1}) + "\n")
    return factory


def everything(folder: Path) -> bytes:
    """All bytes of the store, packed ones unpacked, by means of our own."""
    found = []
    for path in (folder / ".tenfold").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            found.append(data)
            if data[:2] == b"\x1f\x8b":
                found.append(gzip.decompress(data))
            if data[:4] == b"PAR1":
                found.append(json.dumps(pq.read_table(path).to_pylist(), default=repr).encode())
    return b"\n".join(found).lower()


def traces(folder: Path) -> dict[bytes, int]:
    data = (
        everything(folder)
        .replace(b"jane.millers@", b"")
        .replace(b"1901820", b"")
        .replace(b"17541234", b"")
    )
    return {needle: data.count(needle) for needle in NEEDLES if needle in data}


def consistent(folder: Path) -> None:
    with factory_in(folder) as factory:
        for result in factory.ledger.read(StepResult):
            assert all(factory.blobs.verify(ref) for ref in result.output.files.values())
        for move in factory.ledger.read(AliasMove):
            now = factory.ledger.alias(move.alias)
            assert now.digest is None or factory.ledger.manifest(now.digest) is not None
        assert first_broken(factory.ledger.read(AuditEntry)) is None


@pytest.fixture
def town(tmp_path):
    factory = build(tmp_path)
    yield factory
    factory.close()


def test_no_byte_is_left_and_others_stay(town, tmp_path):
    before = {name: town.asset(name).digest for name in ("texts", "rows", "segments", "bystander")}
    assert traces(tmp_path)
    done = erasing.erase(town, erasing.read_person(WHO), actor="clerk")
    assert done.left == 0
    assert traces(tmp_path) == {}
    consistent(tmp_path)

    assert [d.text for d in town.asset("texts").documents()] == [TEXTS[0], TEXTS[4]]
    assert town.asset("texts").meta["documents"] == 2
    assert [r["id"] for r in town.asset("rows").rows()] == ["7541235", "7541237"]
    made = town.asset("segments")
    table = pq.read_table(made.path("data/0.parquet"))
    assert table.column("text").to_pylist() == [TEXTS[0], TEXTS[4]]
    assert (
        pq.read_metadata(made.path("data/0.parquet")).row_group(0).column(0).compression == "ZSTD"
    )
    lines = gzip.decompress(made.read_bytes("packed.jsonl.gz")).splitlines()
    assert [json.loads(line)["t"] for line in lines] == [TEXTS[0], TEXTS[4]]
    assert made.read_bytes("t.csv") == b'id,note\n7541235,"c ""d"""\n'
    assert made.read_bytes("notes.md") == b"# Notes\n\n[ERASED] was here.\n"
    assert town.asset("bystander").digest == before["bystander"]
    assert town.asset("texts").digest != before["texts"]


def test_aliases_move_and_what_was_made_from_it_is_named(town):
    old = town.asset("texts").digest
    trained = town.asset("model").digest
    done = erasing.erase(town, erasing.read_person(WHO))
    assert town.ledger.alias("texts@live").digest == town.asset("texts").digest != old
    assert (
        town.ledger.alias("shards@live").digest is None
    )  # token ids cannot be searched: made again
    assert town.ledger.alias("model@champion").digest == trained
    certificate = done.certificate
    assert {"texts@live", "shards@live"} == set(certificate["aliases"])
    assert [d["asset"] for d in certificate["descendants"] if d["digest"] == trained] == ["model"]
    assert town.ledger.read(StepResult, asset="shards") == []
    assert old not in {ref.sha256 for ref, _ in town.blobs.listing()}
    # the record says what happened to it
    [result] = town.ledger.read(StepResult, asset="texts")
    assert result.environment["erased"]["digest"] == old
    assert "source" in "".join(certificate["not_reached"])
    # the factory knows what is to be made again
    assert {"shards", "model"} <= {s.asset for s in town.plan().steps if s.action != "skip"}


def test_the_certificate_holds_until_somebody_touches_it(town, tmp_path):
    done = erasing.erase(town, erasing.read_person(WHO))
    assert erasing.verify(town, done.file) == []
    plain = json.loads(done.file.read_text())
    forged = tmp_path / "forged.json"
    forged.write_text(json.dumps({**plain, "descendants": []}))
    assert erasing.verify(town, forged) == ["changed since it was signed"]
    gone = plain["blobs_removed"][0]
    path = tmp_path / ".tenfold" / "blobs" / gone[:2] / gone
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"back")
    assert erasing.verify(town, done.file) == [f"the blob {gone[:12]} is there again"]
    folder = tmp_path / ".tenfold" / "privacy"
    assert stat.S_IMODE((folder / "subject.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_again_finds_nothing_more(town):
    erasing.erase(town, erasing.read_person(WHO))
    before = {r.output.digest for r in town.ledger.read(StepResult)}
    again = erasing.erase(town, erasing.read_person(WHO))
    assert again.left == 0
    assert again.certificate["rewritten"] == []
    assert {r.output.digest for r in town.ledger.read(StepResult)} == before


def test_cached_answers_go_with_their_free_pages(town, tmp_path):
    import lmdb

    folder = tmp_path / ".tenfold" / "gateway" / "answers"
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=1 << 20) as env:
        with env.begin(write=True) as txn:
            txn.put(b"k", b"jane.miller@web.de lives there " * 50)
        with env.begin(write=True) as txn:
            txn.delete(b"k")  # gone for a reader, still in the file
    assert b"jane.miller@web.de" in (folder / "data.mdb").read_bytes()
    done = erasing.erase(town, erasing.read_person(WHO))
    assert done.left == 0
    assert traces(tmp_path) == {}


def test_waits_for_nobody_who_could_write_it_back(town, tmp_path):
    import fcntl

    guard = tmp_path / ".tenfold" / "gateway" / "answers" / "guard"
    guard.parent.mkdir(parents=True)
    with guard.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        with pytest.raises(InfrastructureError, match="gateway is running"):
            erasing.erase(town, erasing.read_person(WHO))


def test_refuses_what_stands_everywhere():
    with pytest.raises(UsageError, match="shorter one stands everywhere"):
        erasing.read_person(["Al"])
    with pytest.raises(UsageError, match="in memory"):
        erasing.erase(Factory("m", store="memory:"), erasing.read_person(WHO))


def test_killed_anywhere_it_goes_on_when_called_again(tmp_path):
    """A child erases and is killed after a time that grows until it gets through."""
    build(tmp_path, more=1000).close()
    script = (
        "import sys, pathlib; sys.path[:0] = sys.argv[2:4]\n"
        "from test_erase import WHO, factory_in\n"
        "from tenfold.factory import erasing\n"
        "factory = factory_in(pathlib.Path(sys.argv[1]))\n"
        "print('ready', flush=True)\n"
        "print(erasing.erase(factory, erasing.read_person(WHO)).left, flush=True)\n"
    )
    here = str(Path(__file__).parent)
    source = str(Path(erasing.__file__).parents[2])
    delay_s, kills = 0.02, 0
    while True:
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), here, source],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout.readline() == "ready\n"
        time.sleep(delay_s)
        os.kill(child.pid, signal.SIGKILL)
        rest, _ = child.communicate()
        consistent(tmp_path)
        if rest == "0\n":
            break
        assert rest == ""
        kills += 1
        delay_s *= 2
        assert delay_s < 30
    assert kills >= 3
    assert traces(tmp_path) == {}
    with factory_in(tmp_path) as factory:
        certificate = sorted((tmp_path / ".tenfold" / "privacy" / "certificates").iterdir())[-1]
        assert erasing.verify(factory, certificate) == []
        assert {pair[0] for pair in json.loads(certificate.read_text())["exchanged"]} >= {
            "texts",
            "shards",
        }


def test_requests_on_record_lose_the_name_too(town, tmp_path):
    town.ledger.append(
        [
            RequestEvent(
                id=f"q-{name}", at_s=time.time(), tenant=name, key_name="k", endpoint="/", model="m",
                model_digest="", backend="b", tier="model", status=200,
            )
            for name in ("jane.miller@web.de", "tom")
        ]
    )  # fmt: skip
    erasing.erase(town, erasing.read_person(WHO))
    tenants = [event.tenant for event in town.ledger.read(RequestEvent)]
    assert tenants[1] == "tom"
    assert tenants[0].startswith("erased-")
    assert len(town.ledger.read(RequestEvent)) == 2
