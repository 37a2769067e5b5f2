"""Augmented images: flipped, turned, cropped, lit, coloured, blurred, with noise and holes.

What happens to a copy is drawn from the seed and the record's id, so neither the order of records nor the
number of workers matters. Functions on pixels take and give uint8 arrays, height x width x 3. Knows no file.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from PIL import Image, ImageFilter

from tenfold.data import record
from tenfold.data.augment.offspring import Child, draws, offspring, parents, seed_of
from tenfold.data.images.decode import Unreadable, decode
from tenfold.errors import ConfigError

_LUMA = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
"""FCC's YIQ (1953): in it, hue is an angle around the grey axis."""


def flip(pixels: np.ndarray) -> np.ndarray:
    """Left and right exchanged."""
    return pixels[:, ::-1]


def rotate(pixels: np.ndarray, degrees: float) -> np.ndarray:
    """Counter-clockwise about the centre; corners without a pixel repeat the nearest border."""
    margin = max(pixels.shape[:2]) // 2 + 2
    padded = np.pad(pixels, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    turned = Image.fromarray(padded).rotate(degrees, Image.Resampling.BICUBIC)
    return np.asarray(turned)[margin:-margin, margin:-margin]


def crop(pixels: np.ndarray, kept: float, across: float, along: float) -> np.ndarray:
    """A window of `kept` of each side, at `across` and `along` (0 to 1) of its room, at the old size."""
    height, width = pixels.shape[:2]
    left, top = (1 - kept) * across * width, (1 - kept) * along * height
    return np.asarray(
        Image.fromarray(pixels).resize(
            (width, height),
            Image.Resampling.BICUBIC,
            box=(left, top, left + kept * width, top + kept * height),
        )
    )


def colour(
    pixels: np.ndarray, brightness: float, contrast: float, saturation: float, hue: float
) -> np.ndarray:
    """Factors 1 leave it as it is; `hue` is an angle in turns."""
    values = pixels.astype(np.float64) * brightness
    middle = float((values @ _LUMA).mean())
    values = (values - middle) * contrast + middle
    grey = (values @ _LUMA)[..., None]
    values = grey + (values - grey) * saturation
    if hue:
        angle = 2 * math.pi * hue
        turn = np.array(
            [
                [1, 0, 0],
                [0, math.cos(angle), -math.sin(angle)],
                [0, math.sin(angle), math.cos(angle)],
            ]
        )
        values = values @ (np.linalg.inv(_TO_YIQ) @ turn @ _TO_YIQ).T
    return _bytes(values)


def blur(pixels: np.ndarray, radius: float) -> np.ndarray:
    """Gaussian, `radius` in pixels."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius)))


def noise(pixels: np.ndarray, level: float, random: np.random.Generator) -> np.ndarray:
    """Gaussian, independent for every channel, standard deviation `level` of 255."""
    return _bytes(pixels + random.normal(0.0, level, pixels.shape))


def cutout(pixels: np.ndarray, share: float, across: float, along: float) -> np.ndarray:
    """A square hole with `share` of the shorter side, filled with the mean colour (DeVries and Taylor 2017)."""
    height, width = pixels.shape[:2]
    side = max(1, round(share * min(height, width)))
    left, top = round(across * (width - side)), round(along * (height - side))
    holed = pixels.copy()
    holed[top : top + side, left : left + side] = pixels.mean(axis=(0, 1)).round()
    return holed


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentImages:
    """How many copies, and the most that may happen to one. 0 leaves an operation out."""

    name: ClassVar[str] = "image.augment"
    version: ClassVar[str] = "1"
    reads: ClassVar[tuple[str, ...]] = (record.IMAGE,)
    writes: ClassVar[tuple[str, ...]] = ()

    copies: int = 1
    """Children of each image, 0 or more."""
    seed: int = 0
    flip: float = 0.5
    """Chance of being mirrored, 0 to 1. Not for images of text or of hands that sign."""
    rotate: float = 10.0
    """Degrees to either side, 0 to 180."""
    crop: float = 0.15
    """Share of each side that may go, 0 to 0.9."""
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    """Factors are drawn from 1 - x to 1 + x, 0 to 1."""
    hue: float = 0.02
    """Turns of the colour circle to either side, 0 to 0.5."""
    blur: float = 0.7
    """Pixels of radius, 0 or more."""
    noise: float = 6.0
    """Standard deviation in levels of 255, 0 or more."""
    cutout: float = 0.2
    """Share of the shorter side, 0 to 1."""

    def __post_init__(self) -> None:
        highest = {
            "flip": 1, "rotate": 180, "crop": 0.9, "brightness": 1, "contrast": 1, "saturation": 1,
            "hue": 0.5, "blur": 100, "noise": 255, "cutout": 1, "copies": 1000,
        }  # fmt: skip
        for name, most in highest.items():
            if not 0 <= getattr(self, name) <= most:
                raise ConfigError(f"{name} must be between 0 and {most}", seen=getattr(self, name))

    def pixels(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """One augmented copy. Every draw is made whether it is used or not, so that turning one operation
        off leaves the others as they were."""
        chance, angle, light, strength, colours, hue, radius, level, side = random.random(
            9
        ).tolist()
        kept, across, along, hole_across, hole_along = random.random(5).tolist()
        if chance < self.flip:
            image = flip(image)
        if self.rotate:
            image = rotate(image, (2 * angle - 1) * self.rotate)
        if self.crop:
            image = crop(image, 1 - kept * self.crop, across, along)
        image = colour(
            image,
            1 + (2 * light - 1) * self.brightness,
            1 + (2 * strength - 1) * self.contrast,
            1 + (2 * colours - 1) * self.saturation,
            (2 * hue - 1) * self.hue,
        )
        if self.blur:
            image = blur(image, radius * self.blur)
        if self.cutout:
            image = cutout(image, side * self.cutout, hole_across, hole_along)
        return noise(image, level * self.noise, random) if self.noise else image

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The children alone, marked as such (`offspring`): put them behind their parents.

        JPEG stays JPEG (quality 95), everything else becomes PNG. An image that cannot be decoded has none:
        the operator that reads images gives it its cause.
        """
        images, ids = batch.column(record.IMAGE), batch.column(record.ID).to_pylist()
        children = []
        for row in parents(batch):
            picture = decode(images[row].as_py() or b"")
            if isinstance(picture, Unreadable):
                continue
            for copy in range(self.copies):
                seed = seed_of(self.seed, ids[row], self.name, copy)
                stream = io.BytesIO()
                made = Image.fromarray(
                    np.ascontiguousarray(self.pixels(picture.pixels, draws(seed)))
                )
                if picture.format == "JPEG":
                    made.save(stream, "JPEG", quality=95)
                else:
                    made.save(stream, "PNG")
                children.append(Child(row, stream.getvalue(), f"{self.name}/{self.version}", seed))
        return offspring(batch, children, record.IMAGE)
