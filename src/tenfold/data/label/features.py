"""Features of records for the small classifier: hashed n-grams of texts and rows, grey thumbnails of images."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, UnidentifiedImageError

from tenfold.data import record
from tenfold.data.label.classifier import text_features
from tenfold.errors import InputError

SIDE = 16
"""Pixels of a thumbnail's edge."""


def features(table: pa.Table) -> Any:
    """(num_records, num_features), dense or sparse. Raises InputError for records without a payload."""
    if record.TEXT in table.column_names:
        return text_features([text or "" for text in table[record.TEXT].to_pylist()])
    if record.ROW in table.column_names:
        return text_features([_row_text(row or {}) for row in table[record.ROW].to_pylist()])
    if record.IMAGE in table.column_names:
        return np.stack([_thumbnail(data) for data in table[record.IMAGE].to_pylist()])
    raise InputError("records without text, row or image", seen=table.column_names)


def _row_text(row: dict[str, Any]) -> str:
    return " ".join(f"{name}={json.dumps(value, default=str)}" for name, value in row.items())


def _thumbnail(data: bytes | None) -> np.ndarray:
    """float64 (SIDE * SIDE,), -1 to 1 around the image's own mean, so that a cosine is a correlation; 0 for what
    is no image."""
    try:
        with Image.open(io.BytesIO(data or b"")) as image:
            small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
        return np.zeros(SIDE * SIDE)
    pixels = np.asarray(small, np.float64).ravel() / 255
    return pixels - pixels.mean()
