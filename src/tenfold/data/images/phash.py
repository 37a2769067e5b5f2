"""Perceptual hashes: which of the 64 lowest cosine frequencies of an image lie above their median.

The 64-bit pHash of Zauner (2010, "Implementation and Benchmarking of Perceptual Image Hash Functions", 3.2.1), computed
for whole batches as matrix products. Turning or mirroring an image only swaps and negates its cosine
coefficients, so one transform gives the hashes of all eight orientations. Small turns and crops are linear
in the pixels too: each is a matrix of its own (`VIEWS`). Knows arrays only.
"""

from __future__ import annotations

import functools
import math

import numpy as np

BITS_A_SIDE = 8
ORIENTATIONS = 8
"""Bit 2: transposed first; then bit 1: mirrored left to right, bit 0: mirrored top to bottom."""
VIEWS = ((0.0, 1.0), (3.0, 1.0), (-3.0, 1.0), (0.0, 0.92), (3.0, 0.92), (-3.0, 0.92))
"""How a query is also looked at: degrees turned, share of each side kept. A copy that was turned by up to about
five degrees or cropped by up to about 12 % hashes near to one of them."""


@functools.cache
def cosines(size: int) -> np.ndarray:
    """float64, 8 x `size`: the first rows of the DCT-II (Ahmed, Natarajan and Rao 1974), as scipy scales it
    when not told otherwise. Other scales would move the median."""
    at = np.arange(size) + 0.5
    return 2 * np.cos(np.pi / size * np.outer(np.arange(BITS_A_SIDE), at))


def coefficients(luma: np.ndarray) -> np.ndarray:
    """n x s x s pixels -> n x 8 x 8 lowest coefficients of the two-dimensional DCT-II."""
    rows = cosines(luma.shape[1]).astype(np.float32)
    return rows @ luma.astype(np.float32) @ rows.T


@functools.cache
def _view(size: int, degrees: float, kept: float) -> np.ndarray:
    """float32, s*s x 64: pixels of an image -> coefficients of its turned and cropped view."""
    if degrees == 0.0 and kept == 1.0:
        warp = np.eye(size * size)
    else:
        centre = (size - 1) / 2
        y, x = np.mgrid[0:size, 0:size] - centre
        (a, b), (c, d) = turn(degrees, kept)
        # What lies outside repeats the border: the view of a copy has something there, too.
        at_x = np.clip(centre + a * x + b * y, 0, size - 1).ravel()
        at_y = np.clip(centre + c * x + d * y, 0, size - 1).ravel()
        left = np.minimum(at_x.astype(int), size - 2)
        top = np.minimum(at_y.astype(int), size - 2)
        right_share, low_share = at_x - left, at_y - top
        warp = np.zeros((size * size, size * size))
        to = np.arange(size * size)
        for down in (0, 1):
            for right in (0, 1):
                share = np.abs(1 - down - low_share) * np.abs(1 - right - right_share)
                np.add.at(warp, ((top + down) * size + left + right, to), share)
    rows = cosines(size)
    return (warp @ np.kron(rows, rows).T).astype(np.float32)


def turn(degrees: float, kept: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where a view's point comes from: the matrix from its (x, y) to the image's, both from the centre."""
    angle = math.radians(degrees)
    return (
        (kept * math.cos(angle), -kept * math.sin(angle)),
        (kept * math.sin(angle), kept * math.cos(angle)),
    )


def oriented(found: np.ndarray, orientation: int) -> np.ndarray:
    """n x 8 x 8 coefficients of an image -> those of the image in another orientation."""
    signs = (-1.0) ** np.arange(BITS_A_SIDE, dtype=np.float32)
    if orientation & 4:
        found = found.transpose(0, 2, 1)
    if orientation & 2:
        found = found * signs[None, None, :]
    if orientation & 1:
        found = found * signs[None, :, None]
    return found


def oriented_pixels(image: np.ndarray, orientation: int) -> np.ndarray:
    """What `oriented` does to coefficients, done to the pixels: y x x (x more)."""
    if orientation & 4:
        image = image.swapaxes(0, 1)
    if orientation & 2:
        image = image[:, ::-1]
    if orientation & 1:
        image = image[::-1]
    return np.ascontiguousarray(image)


def packed(found: np.ndarray) -> np.ndarray:
    """n x 8 x 8 coefficients -> n hashes, uint64; the first coefficient is the highest bit."""
    flat = found.reshape(len(found), BITS_A_SIDE**2)
    above = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(above, axis=1).view(">u8").astype(np.uint64).ravel()


def hashes(luma: np.ndarray) -> np.ndarray:
    """n x s x s pixels -> n hashes, uint64."""
    return packed(coefficients(luma))


def query_hashes(luma: np.ndarray) -> np.ndarray:
    """n x s x s pixels -> n x (6 views x 8 orientations) hashes, view by view, uint64."""
    size = luma.shape[1]
    flat = luma.reshape(len(luma), size * size).astype(np.float32)
    columns = []
    for degrees, kept in VIEWS:
        found = (flat @ _view(size, degrees, kept)).reshape(-1, BITS_A_SIDE, BITS_A_SIDE)
        columns += [packed(oriented(found, way)) for way in range(ORIENTATIONS)]
    return np.stack(columns, axis=1)
