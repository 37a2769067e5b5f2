"""A small descriptor of an image: its thumbnail without mean, as a vector of length one. Knows no record."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 12
WIDTH = SIDE * SIDE * 3 + 1
_MAX_PIXELS = 64_000_000
"""Larger ones are not decoded: a bomb is a bomb here too."""


def describe(data: bytes) -> npt.NDArray[np.float32] | None:
    """float32 (WIDTH,). None: it cannot be decoded."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            image.draft("RGB", (SIDE * 4, SIDE * 4))
            small: Any = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    except Exception:  # whatever a decoder makes of a broken file
        return None
    values = np.asarray(small, np.float32).ravel() / 255
    # The mean stands in one place of its own, so that an even picture has a direction too.
    vector = np.append(values - values.mean(), 1.0).astype(np.float32)
    found: npt.NDArray[np.float32] = vector / np.linalg.norm(vector)
    return found
