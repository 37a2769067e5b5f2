"""The operator that reads images: what each is, what it is known by, and why one cannot be read.

Everything else about images works on what this writes, so each is decoded once. Knows no thresholds of copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa

from tenfold.data import record
from tenfold.data.images import phash
from tenfold.data.images.decode import CAUSES, MAX_PIXELS, Picture, Unreadable, decode
from tenfold.data.images.signature import signature, unpack
from tenfold.data.operator import dropped, with_column

WIDTH, HEIGHT, FORMAT = "image.width", "image.height", "image.format"
HASH, SIGNATURE, FAULT = "image.hash", "image.signature", "image.fault"
_DRAFT = 384
"""Pixels a side that a large JPEG is decoded at: eight times what the signature needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """Size, format, perceptual hash and signature of every image; `image.<cause>` where it is unreadable."""

    name: ClassVar[str] = "image"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.IMAGE,)
    writes: ClassVar[tuple[str, ...]] = (
        WIDTH, HEIGHT, FORMAT, HASH, SIGNATURE, FAULT, record.DROP,
    )  # fmt: skip

    max_pixels: int = MAX_PIXELS
    """Larger images are refused undecoded (`image.bomb`)."""
    min_side: int = 0
    """Pixels; an image with a shorter side goes (`image.small`). 0: off."""

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        images = batch.column(record.IMAGE)
        found: list[Picture | Unreadable] = []
        signatures: list[bytes | None] = []
        for image in images:
            picture = decode(image.as_py() or b"", max_pixels=self.max_pixels, draft=_DRAFT)
            found.append(picture)
            signatures.append(
                None
                if isinstance(picture, Unreadable)
                else signature(picture.pixels, (picture.width, picture.height))
            )
        known = [one for one in signatures if one is not None]
        hashes = iter(phash.hashes(unpack(known).luma) if known else np.empty(0, np.uint64))
        told = [None if one is None else int(next(hashes)) for one in signatures]
        pictures = [None if isinstance(one, Unreadable) else one for one in found]
        columns = {
            WIDTH: pa.array([p.width if p else None for p in pictures], pa.uint32()),
            HEIGHT: pa.array([p.height if p else None for p in pictures], pa.uint32()),
            FORMAT: pa.array([p.format if p else None for p in pictures], pa.string()),
            HASH: pa.array(told, pa.uint64()),
            SIGNATURE: pa.array(signatures, pa.binary()),
            FAULT: pa.array(
                [one.fact if isinstance(one, Unreadable) else None for one in found], pa.string()
            ),
        }
        for name, values in columns.items():
            batch = with_column(batch, name, values)
        for cause in CAUSES:
            fires = [isinstance(one, Unreadable) and one.cause == cause for one in found]
            batch = dropped(batch, pa.array(fires, pa.bool_()), f"image.{cause}")
        if self.min_side:
            small = [p is not None and min(p.width, p.height) < self.min_side for p in pictures]
            batch = dropped(batch, pa.array(small, pa.bool_()), "image.small")
        return batch
