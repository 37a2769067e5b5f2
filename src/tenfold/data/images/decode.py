"""Bytes of an image file -> pixels, safely: every way in which a file can be bad has a cause of its own.

Orientation is applied, transparency is laid on white, CMYK, palettes and 16-bit grey become 8-bit RGB, and of
an animation the first frame is taken. What is larger than `max_pixels` is refused by its header, before a
pixel is decoded. Knows nothing of records, hashes or where the bytes come from.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is tried. Others (EPS, PDF, ...) would start programs or parsers that nobody asked for."""
MAX_PIXELS = 89_478_485
"""Pillow's own limit for one image: a quarter of a gigabyte of RGB."""
CAUSES = ("bomb", "corrupt", "empty", "format", "truncated")


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded image."""

    pixels: np.ndarray
    """uint8, height x width x 3, RGB."""
    format: str
    """As Pillow names it: `JPEG`, `PNG`, ..."""
    mode: str
    """The mode of the file before it became RGB: `L`, `CMYK`, `I;16`, ..."""
    width: int
    """Pixels of the image as it is shown, after its orientation was applied."""
    height: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that cannot be decoded."""

    cause: str
    """One of `CAUSES`."""
    fact: str


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, draft: int = 0) -> Picture | Unreadable:
    """The first frame of an image file as RGB.

    `draft`: where a small picture is enough, a JPEG may be decoded at a half, a quarter or an eighth of its
    size as long as both sides keep this many pixels (0: full size); `width` and `height` stay those of the
    file. Never raises for what the bytes hold.
    """
    if not data:
        return Unreadable("empty", "no bytes")
    # Pillow warns of damaged metadata and of sizes that we judge ourselves.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _decoded(data, max_pixels, draft)
        except UnidentifiedImageError:
            return Unreadable("format", "not an image of a known format")
        except Image.DecompressionBombError as error:
            return Unreadable("bomb", str(error))
        except MemoryError:
            return Unreadable("bomb", "its pixels do not fit in memory")
        except (
            Exception
        ) as error:  # decoders raise OSError, SyntaxError, struct.error, ... for bad bytes
            text = f"{type(error).__name__}: {error}"
            short = "truncated" in text.lower() or "unexpected end" in text.lower()
            return Unreadable(
                "truncated" if short or isinstance(error, EOFError) else "corrupt", text
            )


def _decoded(data: bytes, max_pixels: int, draft: int) -> Picture | Unreadable:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        width, height = image.size
        if width * height > max_pixels:
            return Unreadable(
                "bomb", f"{width} x {height} pixels; at most {max_pixels} are decoded"
            )
        kind, mode = image.format or "", image.mode
        if draft:
            image.draft(None, (draft, draft))
        image.load()
        turned = image.getexif().get(0x0112, 1)
        upright = ImageOps.exif_transpose(image) if turned != 1 else image
        if turned >= 5:
            width, height = height, width
        return Picture(np.asarray(rgb(upright)), kind, mode, width, height)


def rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of any mode; what is transparent shows white, as on a page."""
    if image.mode.startswith("I") or image.mode == "F":
        # Pillow clips more than 8 bits at 255; the brightest value becomes white instead, unless 16 bits say.
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if image.mode != "F" else float(np.nanmax(values, initial=1.0))
        scaled = np.clip(np.nan_to_num(values) / max(top, 1.0), 0.0, 1.0) * 255
        return Image.fromarray(scaled.round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        clear = image.convert("RGBA")
        page = Image.new("RGBA", clear.size, (255, 255, 255, 255))
        return Image.alpha_composite(page, clear).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
