from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from tenfold.data import record


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def scene(seed: int, width: int = 120, height: int = 90) -> Image.Image:
    """A picture with surfaces, edges and colours, unlike every other seed's."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    pixels = random.uniform(40, 200, 3) + random.normal(0, 0.4, 3) * x[..., None] * 0.3
    for _ in range(12):
        cx, cy, size = random.uniform(0, width), random.uniform(0, height), random.uniform(8, 30)
        angle = random.uniform(0, 3)
        u, v = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle), (y - cy) * np.cos(angle)
        inside = (abs(u) < size) & (abs(v) < size * random.uniform(0.3, 1))
        pixels[inside] = random.uniform(20, 235, 3)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def batch_of(images: list[bytes], **columns) -> pa.RecordBatch:
    ids = [record.record_id("camera", image) for image in images]
    n = len(images)
    values = {
        record.ID: ids,
        record.SOURCE: ["camera"] * n,
        record.PLACE: [f"roll/{number}" for number in range(n)],
        record.MODALITY: ["image"] * n,
        record.TIME: [None] * n,
        record.LICENCE: ["CC0-1.0"] * n,
        record.AUTHORITY: [0.5] * n,
        record.SUBJECTS: [None] * n,
        record.META: [None] * n,
        record.DROP: [None] * n,
        record.IMAGE: images,
        **columns,
    }
    schema = record.ABOUT.append(pa.field(record.IMAGE, pa.binary()))
    return pa.RecordBatch.from_arrays(
        [pa.array(values[field.name], field.type) for field in schema], schema=schema
    )


@pytest.fixture(scope="session")
def make():
    """The three makers above, for tests: scene, encoded, batch_of."""

    class Make:
        scene, encoded, batch_of = (
            staticmethod(scene),
            staticmethod(encoded),
            staticmethod(batch_of),
        )

    return Make
