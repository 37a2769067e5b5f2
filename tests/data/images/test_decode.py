"""What cameras, designers and attackers write, decoded or refused under its cause."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tenfold.data.images.decode import CAUSES, Picture, Unreadable, decode
from tenfold.data.images.facts import ImageFacts


def test_all_eight_exif_orientations_show_the_same_picture(make):
    scene = make.scene(1)
    # How a camera that was turned stores it: the inverse of what a viewer does (EXIF 2.3, tag 0x0112).
    stored = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    for orientation, operation in stored.items():
        turned = scene if operation is None else scene.transpose(operation)
        exif = Image.Exif()
        exif[0x0112] = orientation
        found = decode(make.encoded(turned, exif=exif))
        assert isinstance(found, Picture)
        assert (found.width, found.height) == scene.size
        assert np.array_equal(found.pixels, np.asarray(scene)), orientation


def test_what_is_transparent_is_white():
    import io

    pixels = np.zeros((4, 6, 4), np.uint8)
    pixels[:, 3:] = (200, 10, 10, 255)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    found = decode(stream.getvalue())
    assert (found.pixels[:, :3] == 255).all()
    assert (found.pixels[:, 3:] == (200, 10, 10)).all()


def test_a_palette_with_a_clear_colour_is_laid_on_white(make):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (4, 0, 8, 8))
    found = decode(make.encoded(image, "PNG", transparency=0))
    assert (found.pixels[0, 0] == 255).all()
    assert (found.pixels[0, 7] == (0, 0, 255)).all()


def test_cmyk_agrees_with_pillow(make):
    data = make.encoded(make.scene(2).convert("CMYK"), "JPEG", quality=95)
    found = decode(data)
    assert found.mode == "CMYK"
    assert abs(found.pixels.astype(int) - np.asarray(make.scene(2))).mean() < 12


def test_sixteen_bits_keep_their_shades_instead_of_turning_white(make):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None, :].repeat(4, 0)
    found = decode(make.encoded(Image.fromarray(ramp), "PNG"))
    assert found.mode.startswith("I")
    assert np.abs(found.pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1


def test_the_first_frame_of_an_animation(make):
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "blue")]
    found = decode(make.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert (found.pixels == (255, 0, 0)).all()


def bomb(width: int, height: int) -> bytes:
    """A PNG of 100 bytes that claims to be large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 64)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(12_000, 12_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_by_its_header(size):
    found = decode(bomb(*size))
    assert isinstance(found, Unreadable)
    assert found.cause == "bomb"


def test_each_fault_has_its_cause(make):
    data = make.encoded(make.scene(3), "JPEG")
    assert decode(b"").cause == "empty"
    assert decode(b"<html>not found</html>").cause == "format"
    assert decode(data[: len(data) // 2]).cause == "truncated"
    png = bytearray(make.encoded(make.scene(3)))
    png[len(png) // 2] ^= 0xFF
    assert decode(bytes(png)).cause in ("corrupt", "truncated")
    # Formats that run programs or wrap other files are not even tried.
    assert decode(make.encoded(make.scene(3), "EPS")).cause == "format"
    assert decode(make.encoded(make.scene(3), "PDF")).cause == "format"


@given(kind=st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), data=st.data())
def test_damage_anywhere_raises_nothing(make, kind, data):
    whole = bytearray(make.encoded(make.scene(4, 40, 30), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    found = decode(bytes(whole[: data.draw(st.integers(0, len(whole)))]), max_pixels=1_000_000)
    if isinstance(found, Picture):
        assert found.pixels.shape == (found.height, found.width, 3)
        assert found.pixels.dtype == np.uint8
    else:
        assert found.cause in CAUSES


def test_the_operator_gives_every_unreadable_row_its_cause_and_keeps_all_rows(make):
    good = make.encoded(make.scene(5))
    batch = make.batch_of([good, b"", b"text", bomb(12_000, 12_000), good[:200]])
    out = ImageFacts()(batch)
    assert out.num_rows == batch.num_rows
    assert out["drop"].to_pylist() == [
        None, "image.empty", "image.format", "image.bomb", "image.truncated",
    ]  # fmt: skip
    assert out["image.width"].to_pylist() == [120, None, None, None, None]
    assert out["image.fault"].null_count == 1
    assert ImageFacts()(batch).equals(out)


def test_a_null_payload_is_empty(make):
    batch = make.batch_of([b"x"])
    schema = batch.schema
    import pyarrow as pa

    empty = batch.set_column(
        schema.get_field_index("image"), schema.field("image"), pa.array([None], pa.binary())
    )
    assert ImageFacts()(empty)["drop"].to_pylist() == ["image.empty"]
