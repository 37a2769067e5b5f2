"""Images: the bytes as they came, proven to decode, with size and format beside them."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from PIL import Image, UnidentifiedImageError

from tenfold.data.sources.connector import Quarantined
from tenfold.data.sources.file_source import FileSource
from tenfold.data.sources.limits import Limits
from tenfold.data.sources.moment import moment
from tenfold.data.sources.packing import Found
from tenfold.data.sources.shape import Shape
from tenfold.data.sources.stream import Stream

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
"""No others: Pillow also opens vector formats through outside programs."""
_TAKEN = 0x0132  # EXIF: DateTime, TIFF 6.0, section 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFiles(FileSource):
    """`kind: images`. Places: the file. The name of its folder is `folder` in meta, often its class."""

    MATCH: ClassVar[tuple[str, ...]] = (
        "*.jpg", "*.jpeg", "*.png", "*.gif", "*.bmp", "*.tif", "*.tiff", "*.webp", "*.ppm", "*.pgm",
    )  # fmt: skip

    def found(self, stream: Stream, shape: Shape | None) -> Iterator[Found | Quarantined]:
        data = stream.whole(self.limits.file_bytes)
        if isinstance(data, Quarantined):
            yield data
            return
        made = image(data, stream.place, self.limits)
        if isinstance(made, Found):
            made.meta["folder"] = stream.place.rpartition("/")[0].rpartition("/")[2]
        yield made


def image(data: bytes, place: str, limits: Limits) -> Found | Quarantined:
    """The record of an image, or why there is none. The first frame is decoded whole."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow warns of is judged here
        try:
            with Image.open(io.BytesIO(data), formats=FORMATS) as opened:
                width, height = opened.size
                if width * height > limits.pixels:
                    fact = f"{width} x {height} pixels in {len(data)} bytes"
                    return Quarantined(place, "bomb", fact, data)
                opened.load()
                taken = opened.getexif().get(_TAKEN)
                meta = {
                    "width": width,
                    "height": height,
                    "format": opened.format,
                    "mode": opened.mode,
                }
        except Image.DecompressionBombError as error:
            return Quarantined(place, "bomb", str(error), data)
        except UnidentifiedImageError:
            return Quarantined(place, "corrupt", f"none of {', '.join(FORMATS)}", data)
        except (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError,
                OverflowError, MemoryError, struct.error, zlib.error) as error:  # fmt: skip
            cause = "truncated" if "truncated" in str(error) else "corrupt"
            return Quarantined(place, cause, f"does not decode: {error}"[:300], data)
    # It reads "2019:07:31 12:00:00".
    time = moment(taken.replace(":", "-", 2)) if isinstance(taken, str) else None
    return Found(place, data, time, meta)
