"""What leaves the hub, read by others: pyarrow, Hugging Face's datasets, mlcroissant (both where installed)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
import yaml

from tenfold.data.card import card
from tenfold.data.ingest import ingest
from tenfold.data.out.croissant import licence_url, required
from tenfold.data.out.facts import About, Gauge, Made, facts_of, public_place
from tenfold.data.out.folder import export
from tenfold.data.refine import refine
from tenfold.errors import ConfigError, InputError, UsageError

ABOUT = About(
    name="lamps", creator="The lamp works", published="2026-11-21", url="https://example.org/lamps"
)


@pytest.fixture
def split(run, curated):
    return run(refine, curated, operators=[{"split": {"heldout_share": 0.2}}])


@pytest.fixture
def write(tmp_path):
    """(snapshot, format, lineage) -> folder"""

    def go(snapshot, form, **lineage) -> Path:
        folder = tmp_path / "out" / form
        told = []
        facts = facts_of(snapshot, **lineage)
        export(snapshot, facts, ABOUT, folder, form, lambda done, note: told.append(done))
        assert told == sorted(told)
        assert told[-1] == 1.0
        return folder

    return go


def rows_of(snapshot):
    table = pa.Table.from_batches(snapshot.batches())
    return {row["id"]: row for row in table.drop_columns(["subjects", "drop"]).to_pylist()}


def peer(name):
    """The interpreter of bench/peers.py, where it was made."""
    sys.path.insert(0, str(Path(__file__).parents[3] / "bench"))
    try:
        import peers

        return peers.python(name)
    except peers.Unavailable as absent:
        pytest.skip(str(absent))
    finally:
        sys.path.pop(0)


def asked(name, code, *arguments, cwd):
    done = subprocess.run(
        [peer(name), "-c", code, *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
        env={"HOME": str(cwd), "HF_HUB_OFFLINE": "1", "HF_HOME": str(cwd / ".hf"), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_the_layout_of_hugging_face_holds_every_record_on_its_side(split, write):
    folder = write(split, "hf")
    wanted = rows_of(split)
    front = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])
    found = {}
    for part in front["configs"][0]["data_files"]:
        files = sorted(folder.glob(part["path"]))
        assert [f.name for f in files] == [
            f"{part['split']}-{n:05}-of-{len(files):05}.parquet" for n in range(len(files))
        ]
        for row in ds.dataset(files).to_table().to_pylist():
            assert row["split"] == part["split"]
            found[row["id"]] = row
    assert found == wanted
    assert not any(b"tenfold.subjects" in path.read_bytes() for path in folder.glob("data/*"))
    assert front["license"] == ["cc0-1.0", "other"]
    assert {path.name for path in folder.iterdir()} == {"README.md", "croissant.json", "data"}


def test_json_lines_hold_the_same(split, write):
    folder = write(split, "jsonl")
    wanted = rows_of(split)
    found = {}
    for side in ("train", "heldout"):
        for line in (folder / "data" / f"{side}.jsonl").read_text().splitlines():
            row = json.loads(line)
            assert row["split"] == side
            found[row["id"]] = row
    assert {n: row["text"] for n, row in found.items()} == {
        n: row["text"] for n, row in wanted.items()
    }


def test_tables_leave_with_columns_of_their_own_and_images_as_bytes(run, write, tmp_path):
    from PIL import Image

    (tmp_path / "t.csv").write_text("name,age\nann,3\nbob,5\n")
    made = run(ingest, sources=[{"kind": "csv", "path": "t.csv", "licence": "MIT"}])
    table = ds.dataset(write(made, "parquet") / "data").to_table()
    assert table["row.name"].to_pylist() == ["ann", "bob"]
    assert "row" not in table.column_names
    Image.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    images = run(ingest, sources=[{"kind": "images", "path": "red.png", "licence": "MIT"}])
    folder = write(images, "croissant")
    [row] = ds.dataset(folder / "data").to_table().to_pylist()
    assert row["image"] == (tmp_path / "red.png").read_bytes()
    plain = json.loads((folder / "croissant.json").read_text())
    types = {f["name"]: f["dataType"] for f in plain["recordSet"][0]["field"]}
    assert types["image"] == "sc:ImageObject"
    (tmp_path / "u.csv").write_text("name,size\nann,3\n")
    two = run(ingest, sources=[
        {"kind": "csv", "path": "t.csv", "licence": "MIT"},
        {"kind": "csv", "path": "u.csv", "licence": "MIT"},
    ])  # fmt: skip
    with pytest.raises(InputError, match="same columns") as caught:
        export(two, facts_of(two), ABOUT, tmp_path / "two", "hf", lambda *_: None)
    assert any("row.size" in column for column in caught.value.seen)
    both = run(ingest, sources=[
        {"kind": "csv", "path": "t.csv", "licence": "MIT"},
        {"kind": "images", "path": "red.png", "licence": "MIT"},
    ])  # fmt: skip
    with pytest.raises(InputError, match="several modalities"):
        export(both, facts_of(both), ABOUT, tmp_path / "mixed", "hf", lambda *_: None)


def test_croissant_says_what_is_there_and_where_it_is_from(split, write):
    made = Made(
        asset="records", digest="ab" * 32, kind="snapshot", step="data.ingest", version="1",
        config={"segment_megabytes": 192, "sources": [
            {"kind": "jsonl", "path": "/home/ann/a.jsonl", "name": "a", "licence": "PSF-2.0"},
        ]}, finished="2026-11-21T10:00:00+00:00",
    )  # fmt: skip
    folder = write(split, "croissant", made=[made])
    text = (folder / "croissant.json").read_text()
    plain = json.loads(text)
    assert list(required(plain)) == []
    assert plain["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    files = [each for each in plain["distribution"] if each["@type"] == "cr:FileObject"]
    assert {each["contentUrl"] for each in files} == {
        path.relative_to(folder).as_posix() for path in (folder / "data").iterdir()
    }
    for each in files:
        data = (folder / each["contentUrl"]).read_bytes()
        assert each["sha256"] == hashlib.sha256(data).hexdigest()
        assert each["contentSize"] == f"{len(data)} B"
    columns = ds.dataset(folder / "data").schema.names
    assert [field["name"] for field in plain["recordSet"][0]["field"]] == columns
    derived = plain["prov:wasDerivedFrom"]
    by_label = {each["prov:label"]: each for each in derived}
    assert by_label["a"]["license"] == ["https://spdx.org/licenses/PSF-2.0.html"]
    assert by_label["a"]["prov:atLocation"] == "a.jsonl"
    assert "/home/ann" not in text
    assert by_label["parent"]["@id"].removeprefix("urn:sha256:") in split.content["parents"]
    [activity] = plain["prov:wasGeneratedBy"]
    assert activity["prov:endedAtTime"] == made.finished
    assert any("could not be read: 1 (json 1)" in limit for limit in plain["rai:dataLimitations"])


def test_mlcroissant_validates_it_and_reads_every_record(split, write):
    folder = write(split, "croissant")
    code = """
import json, sys, mlcroissant
dataset = mlcroissant.Dataset(sys.argv[1])
issues = dataset.metadata.ctx.issues
rows = [row["records/text"].decode() for row in dataset.records("records")]
print(json.dumps([list(issues.errors), list(issues.warnings), dataset.metadata.ctx.is_v1_1(), rows]))
"""
    (errors, warnings, newest, rows), _ = asked(
        "mlcroissant", code, folder / "croissant.json", cwd=folder
    )
    assert errors == []
    assert warnings == []
    assert newest
    assert sorted(rows) == sorted(row["text"] for row in rows_of(split).values())


def test_datasets_loads_the_folder_as_its_users_would(split, write, tmp_path):
    folder = write(split, "hf")
    code = """
import json, sys, datasets
found = datasets.load_dataset(sys.argv[1])
print(json.dumps({split: found[split]["id"][:] for split in found}))
"""
    found, _ = asked("datasets", code, folder, cwd=tmp_path)
    sides: dict[str, set[str]] = {"train": set(), "heldout": set()}
    for row in rows_of(split).values():
        sides[row["split"]].add(row["id"])
    assert {side: set(ids) for side, ids in found.items()} == sides


def test_datasets_decodes_images(run, write, tmp_path):
    from PIL import Image

    Image.new("RGB", (4, 4), "red").save(tmp_path / "red.png")
    images = run(ingest, sources=[{"kind": "images", "path": "red.png", "licence": "MIT"}])
    folder = write(images, "parquet")
    code = """
import json, sys, datasets
found = datasets.load_dataset("parquet", data_files=sys.argv[1], split="train")
image = found.cast_column("image", datasets.Image())[0]["image"]
print(json.dumps([image.size, image.getpixel((0, 0))]))
"""
    [file] = (folder / "data").iterdir()
    assert asked("datasets", code, file, cwd=tmp_path)[0] == [[4, 4], [255, 0, 0]]


def test_the_card_tells_sources_losses_steps_and_limits(split, write):
    gauge = Gauge(report="gauges", name="diversity", value=0.5, low=0.4, high=0.6)
    folder = write(split, "hf", gauges=[gauge])
    text = (folder / "README.md").read_text()
    for cause, count in split.content["lost"].items():
        assert f"{cause.replace('_', chr(92) + '_')} | taken out | {count:,} |" in text
    for source, licence in (("a", "PSF-2.0"), ("b", "CC0-1.0")):
        assert f"| {source} |  | " in text or f"| {source} (" in text
        assert licence in text
    assert "| json | could not be read | 1 |" in text
    for each in split.content["recipe"]["steps"]:
        assert f"{each['name']} {each['version']}" in text
    assert "| gauges | diversity | 0.5 | 0.4 | 0.6 |" in text
    assert "neither searched for nor removed" in text
    assert split.digest in text


def test_a_card_says_what_was_done_about_persons(run, ingested):
    redacted = run(refine, ingested, operators=["pii.redact"])
    report = run(card, redacted, creator="us", published="2026-11-21")
    content = report.content
    assert "replaced by placeholders (pii.redact)" in content["personal_data"]
    assert content["lacks"] == []
    assert content["metrics"]["records"] == redacted.count
    plain = json.loads(report.read_bytes("croissant.json"))
    by_name = {each["contentUrl"]: each for each in plain["distribution"] if "sha256" in each}
    for segment in redacted.segments():
        assert by_name[segment.file]["sha256"] == segment.sha256
    assert run(card, redacted).content["lacks"] == ["creator", "datePublished"]
    with pytest.raises(ConfigError, match="must be a day"):
        run(card, redacted, published="today")


def test_a_folder_is_there_whole_or_not_at_all(split, write, tmp_path, monkeypatch):
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / "mine").touch()
    with pytest.raises(UsageError, match="something already"):
        export(split, facts_of(split), ABOUT, folder, "hf", lambda *_: None)

    def stops(done, note):
        if done > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(split, facts_of(split), ABOUT, tmp_path / "half" / "x", "hf", stops)
    assert list((tmp_path / "half").iterdir()) == []


def test_no_place_tells_more_than_it_must():
    assert public_place("https://ann:secret@host/path?key=1") == "https://host/path"
    assert public_place("/home/ann/a.jsonl") == "a.jsonl"
    assert public_place("data/*.jsonl") == "data/*.jsonl"
    assert licence_url("CC-BY-4.0") == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert licence_url("https://example.org/terms") == "https://example.org/terms"
    assert licence_url("proprietary") == "proprietary"
