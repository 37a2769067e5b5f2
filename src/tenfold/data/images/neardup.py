"""Near-duplicate images: candidates by perceptual hash, then a second look, then one kept of each cluster.

The hash alone calls photos that only look alike copies; the second look lays them over each other. Copies
are found through JPEG compression, resizing, light, contrast, crops up to about 12 %, turns up to about five degrees, and all
eight orientations. Knows signatures, not files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np

from tenfold.data.images import nearby, phash
from tenfold.data.images.alignment import MEASURES, SIDE, compare
from tenfold.data.images.signature import Signatures
from tenfold.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class NearDuplicates:
    """What counts as a copy. The measures are those of `alignment.MEASURES`."""

    radius: int = 12
    """Bits of 64 in which the hashes of a candidate may differ, 0 to 31."""
    rest: float = 0.21
    """Most of what may remain over the contrast, above 0."""
    block: float = 0.46
    """The same in the worst block, above 0."""
    detail: float = 0.07
    """Most by which the fine structure may disagree, above 0 to 2."""
    small: float = 0.5
    """Share of these thresholds that holds where either image has a side of under 48 pixels, above 0 to 1:
    so few pixels look alike sooner."""
    colour: float = 16.0
    """Largest colour difference, levels of 255. The same picture in other colours is another picture."""

    def __post_init__(self) -> None:
        if not 0 <= self.radius <= 31:
            raise ConfigError("radius must be between 0 and 31", seen=self.radius)
        for name in ("rest", "block", "detail", "small", "colour"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0", seen=getattr(self, name))


@dataclass(frozen=True, slots=True)
class Pairs:
    """m pairs of images that were compared, or those of them that are copies."""

    rows: np.ndarray
    """int64, m x 2, the lower row first; sorted."""
    distance: np.ndarray
    """int64, m: bits in which the hashes differ."""
    orientation: np.ndarray
    """int64, m: the orientation (`phash.ORIENTATIONS`) in which they match."""
    measures: np.ndarray
    """float64, m x 5 (`alignment.MEASURES`); inf where they could not be laid over each other."""
    small: np.ndarray
    """bool, m: one of the two has a side of fewer pixels than were compared."""

    def copies(self, config: NearDuplicates) -> Pairs:
        """Those that are within the thresholds: they may be moved without comparing again."""
        limits = np.array([config.rest, config.block, config.detail])
        strictness = np.where(self.small, config.small, 1.0)[:, None]
        within = (self.measures[:, :3] <= limits * strictness).all(axis=1)
        within &= self.measures[:, 3] <= config.colour
        return Pairs(
            self.rows[within],
            self.distance[within],
            self.orientation[within],
            self.measures[within],
            self.small[within],
        )


def compared(images: Signatures, config: NearDuplicates) -> Pairs:
    """All candidates by hash, each laid over the other and measured."""
    # Equal small pictures are represented by their first: a thousand copies cost one comparison each.
    raw = np.concatenate(
        [images.luma.reshape(len(images), -1), images.colour.reshape(len(images), -1)], axis=1
    )
    _, first, same = np.unique(raw, axis=0, return_index=True, return_inverse=True)
    representative = first[same.ravel()]
    looked_at = np.flatnonzero((representative == np.arange(len(images))) & ~images.flat())
    luma = images.luma[looked_at]
    near = nearby.pairs(phash.hashes(luma), phash.query_hashes(luma), config.radius)
    orientation = np.empty(len(near), dtype=np.int64)
    measures = np.full((len(near), len(MEASURES)), np.inf)
    for number, (low, high, column, _) in enumerate(near):
        # The query was seen in a view and an orientation; so it is the one that moves.
        moving, still, column = (low, high, column) if column >= 0 else (high, low, -1 - column)
        view, way = divmod(int(column), phash.ORIENTATIONS)
        orientation[number] = way
        out = np.empty(len(MEASURES))
        if compare(
            luma[still].astype(np.float64),
            phash.oriented_pixels(luma[moving], way).astype(np.float64),
            images.colour[looked_at[still]].astype(np.float64),
            phash.oriented_pixels(images.colour[looked_at[moving]], way).astype(np.float64),
            _start(view, way),
            out,
        ):
            measures[number] = out
    rows = looked_at[near[:, :2]].reshape(-1, 2)
    twins = np.flatnonzero((representative != np.arange(len(images))) & ~images.flat())
    rows = np.concatenate([rows, np.stack([representative[twins], twins], axis=1)])
    exact = np.tile([0.0, 0.0, 0.0, 0.0, 1.0], (len(twins), 1))
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    small = (images.size.min(axis=1) < SIDE)[rows].any(axis=1)
    nothing = np.zeros(len(twins), dtype=np.int64)
    return Pairs(
        rows[order],
        np.concatenate([near[:, 3], nothing])[order],
        np.concatenate([orientation, nothing])[order],
        np.concatenate([measures, exact])[order],
        small[order],
    )


def _start(view: int, way: int) -> np.ndarray:
    """The affine map less identity at which the alignment begins: the view, in the given orientation."""
    degrees, kept = phash.VIEWS[view]
    mirrored = bool(way & 4) ^ bool(way & 2) ^ bool(way & 1)
    (a, b), (c, d) = phash.turn(-degrees if mirrored else degrees, kept)
    return np.array([a - 1, b, 0.0, c, d - 1, 0.0])


def clusters(num_images: int, rows: np.ndarray) -> np.ndarray:
    """int64, `num_images`: the lowest row of the cluster to which each belongs. `rows`: m x 2 pairs."""
    parent = np.arange(num_images, dtype=np.int64)
    _united(parent, np.ascontiguousarray(rows, dtype=np.int64))
    return parent


@numba.njit(cache=True)
def _united(parent, rows):  # type: ignore[no-untyped-def]
    for k in range(len(rows)):
        a, b = rows[k, 0], rows[k, 1]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a < b:
            parent[b] = a
        else:
            parent[a] = b
    for k in range(len(parent)):
        parent[k] = parent[parent[k]]


def keepers(
    cluster: np.ndarray,
    *,
    authority: np.ndarray,
    time_us: np.ndarray,
    num_pixels: np.ndarray,
    ids: Sequence[str],
) -> np.ndarray:
    """int64, n: the row that stays in place of each row; its own where it stays itself.

    Of a cluster the one stays that has most authority; then the newest (unknown: oldest); then most pixels;
    then the lowest id. So it does not matter who came first.
    """
    oldest = np.iinfo(np.int64).min
    times = np.where(np.isnat(time_us), oldest, time_us.astype("datetime64[us]").astype(np.int64))
    # ~t sorts from new to old; -t would overflow for the oldest.
    order = np.lexsort((np.asarray(ids), -num_pixels.astype(np.int64), ~times, -authority))
    best = np.full(len(cluster), -1, dtype=np.int64)
    for row in order:
        if best[cluster[row]] < 0:
            best[cluster[row]] = row
    return best[cluster]
