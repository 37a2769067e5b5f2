"""What is kept of an image to know it again: a small picture, its colours, its hash.

2,600 bytes an image, whatever its size. Knows pixels and bytes; which images are copies is `neardup`'s business.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tenfold.data.images import phash
from tenfold.data.images.alignment import COLOUR_SIDE, SIDE
from tenfold.errors import InputError

_LUMA = SIDE * SIDE
_COLOUR = 2 * COLOUR_SIDE * COLOUR_SIDE
NUM_BYTES = _LUMA + _COLOUR + 8
FLAT = 4.0
"""Grey levels of contrast (standard deviation) below which there is nothing to know an image by."""


@dataclass(frozen=True, slots=True)
class Signatures:
    """Of n images."""

    luma: np.ndarray
    """uint8, n x SIDE x SIDE."""
    colour: np.ndarray
    """uint8, n x COLOUR_SIDE x COLOUR_SIDE x 2: blue and red difference, 128 for grey."""

    size: np.ndarray
    """uint32, n x 2: width and height of the image as it is shown, pixels."""

    def __len__(self) -> int:
        return len(self.luma)

    def hashes(self) -> np.ndarray:
        """n perceptual hashes, uint64."""
        return phash.hashes(self.luma)

    def flat(self) -> np.ndarray:
        """bool, n: pages without content, which all look alike and are never called copies by their looks."""
        return self.luma.reshape(len(self), -1).std(axis=1) < FLAT


def signature(pixels: np.ndarray, size: tuple[int, int] | None = None) -> bytes:
    """Of RGB pixels (uint8, height x width x 3): luma and colour row by row, then width and height.

    `size`: of the whole image, where `pixels` were decoded at less. Luma and colour differences as JFIF has them (ITU-T T.871, 7).
    """
    image = Image.fromarray(pixels).convert("YCbCr")
    # Hamming's filter sees every pixel of the large image, where nearest or box lets fine patterns beat.
    luma = image.getchannel("Y").resize((SIDE, SIDE), Image.Resampling.HAMMING)
    small = image.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.HAMMING)
    stream = io.BytesIO()
    stream.write(np.asarray(luma).tobytes())
    stream.write(np.asarray(small)[:, :, 1:].tobytes())
    stream.write(np.array(size or image.size, dtype="<u4").tobytes())
    return stream.getvalue()


def unpack(signatures: Sequence[bytes]) -> Signatures:
    """Raises InputError for bytes that are no signature."""
    for number, found in enumerate(signatures):
        if len(found) != NUM_BYTES:
            raise InputError(
                "not the signature of an image",
                where=f"signature {number}",
                seen=f"{len(found)} bytes, not {NUM_BYTES}",
            )
    everything = np.frombuffer(b"".join(signatures), np.uint8).reshape(len(signatures), NUM_BYTES)
    return Signatures(
        everything[:, :_LUMA].reshape(-1, SIDE, SIDE),
        everything[:, _LUMA : _LUMA + _COLOUR].reshape(-1, COLOUR_SIDE, COLOUR_SIDE, 2),
        np.ascontiguousarray(everything[:, _LUMA + _COLOUR :]).view("<u4"),
    )
