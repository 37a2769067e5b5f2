"""Copies among the images of a folder: found over segments as over one table, whatever the partitions."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageOps

from tenfold import Factory
from tenfold.data.images.copies import copies
from tenfold.data.images.neardup import NearDuplicates


def scene(seed: int) -> Image.Image:
    """Surfaces, edges and colours, unlike every other seed's."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:120, 0:160]
    pixels = draw.uniform(40, 200, 3) + draw.normal(0, 0.3, 3) * x[..., None] * 0.3
    for _ in range(12):
        cx, cy, size = draw.uniform(0, 160), draw.uniform(0, 120), draw.uniform(8, 36)
        inside = (abs(x - cx) < size) & (abs(y - cy) < size * draw.uniform(0.3, 1))
        pixels[inside] = draw.uniform(20, 235, 3)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def factory(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(16):
        (folder / f"{seed:02}.png").write_bytes(png(scene(seed)))
        if seed % 4 == 0:
            (folder / f"z{seed:02}.png").write_bytes(
                png(ImageOps.mirror(scene(seed).resize((240, 180))))
            )
        if seed % 8 == 0:
            (folder / f"same{seed}.png").write_bytes(png(scene(seed)))
    (folder / "broken.png").write_bytes(b"\x89PNG no picture")
    with Factory("photos", directory=tmp_path) as made:
        source = {"kind": "images", "path": "photos", "licence": "CC0-1.0"}
        made.add(
            "data.ingest", name="records", config={"sources": [source], "segment_megabytes": 1}
        )
        made.add("data.refine", name="seen", needs=["records"], config={"operators": ["image"]})
        made.add("data.dedup", name="marked", needs=["seen"])
        yield made


def test_copies_of_a_snapshot_are_those_of_one_table(factory, monkeypatch):
    monkeypatch.setattr("tenfold.data.deduplicate._PARTITION_BYTES", 100_000)
    outcome = factory.run()
    assert outcome.ok, [row.error for row in outcome.steps]
    seen = pa.Table.from_batches(factory.asset("seen").batches(kept_only=False))
    truth = copies(seen, NearDuplicates())
    kept = dict(zip(truth["row"].to_pylist(), truth["kept"].to_pylist(), strict=True))
    assert len(kept) == 6
    marked = pa.Table.from_batches(factory.asset("marked").batches(kept_only=False))
    assert marked["id"].equals(seen["id"])
    for row, (cause, twin) in enumerate(
        zip(marked["drop"].to_pylist(), marked["dedup.twin"].to_pylist(), strict=True)
    ):
        if row in kept:
            assert (cause, twin) == ("image.copy", kept[row])
        else:
            assert twin is None
            assert cause in (None, seen["drop"][row].as_py())


def test_images_that_nobody_looked_at_are_refused(factory):
    factory.add("data.dedup", name="early", needs=["records"])
    outcome = factory.run("early")
    [failed] = [row for row in outcome.steps if row.status == "failed"]
    assert "the operator `image` before it" in failed.error or "looked at" in failed.error
