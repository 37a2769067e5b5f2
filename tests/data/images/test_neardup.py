"""Copies that were compressed, cropped, turned or mirrored, among pictures that are others."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance

from tenfold.data import record
from tenfold.data.images.copies import copies
from tenfold.data.images.facts import ImageFacts
from tenfold.data.images.neardup import NearDuplicates, clusters, compared, keepers
from tenfold.data.images.signature import signature, unpack
from tenfold.errors import ConfigError, InputError

CONFIG = NearDuplicates()


def signatures(images):
    return unpack([signature(np.asarray(image)) for image in images])


def found(images, config=CONFIG):
    return {
        tuple(pair) for pair in compared(signatures(images), config).copies(config).rows.tolist()
    }


def again(image, quality=90):
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream).convert("RGB")


EDITS = {
    "jpeg": lambda image: again(image, 30),
    "resize": lambda image: image.resize((image.width * 6 // 10, image.height * 6 // 10)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    "crop": lambda image: image.crop(
        (image.width // 25, image.height // 25, image.width * 24 // 25, image.height * 24 // 25)
    ),
    "turn": lambda image: image.rotate(3, Image.Resampling.BICUBIC),
    "mirror": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "upside down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "quarter": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "transverse": lambda image: image.transpose(Image.Transpose.TRANSVERSE),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_scene_is_known_again_and_no_other(make, edit):
    scenes = [make.scene(seed, 160, 120) for seed in range(40)]
    edited = [again(EDITS[edit](scene)) for scene in scenes]
    truth = {(number, number + 40) for number in range(40)}
    pairs = found(scenes + edited)
    assert pairs <= truth
    assert len(pairs) >= 36


def test_photos_of_hands_that_make_the_same_sign_are_not_copies(shared):
    """Look-alikes: the same background, light and pose, another hand; each also mirrored."""
    with tarfile.open(shared / "image" / "sign_digits_a.tar.gz") as archive:
        members = sorted((m for m in archive if m.isfile()), key=lambda m: m.name)[::7]
        photos = [Image.open(archive.extractfile(member)).convert("RGB") for member in members]
    mirrored = [photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for photo in photos]
    number = len(photos)
    config = NearDuplicates()
    candidates = compared(signatures(photos + mirrored), config)
    assert len(candidates.rows) > 2 * number  # the hash alone would have called them copies
    assert {tuple(pair) for pair in candidates.copies(config).rows.tolist()} == {
        (row, row + number) for row in range(number)
    }


def test_the_same_shape_in_another_colour_is_another_picture(make):
    scene = np.asarray(make.scene(1))
    swapped = scene.copy()
    # Equal luma, other hues: only the colours tell them apart.
    luma = scene @ np.array([0.299, 0.587, 0.114])
    swapped = np.clip(2 * luma[..., None] - scene, 0, 255).astype(np.uint8)
    assert not found([Image.fromarray(scene), Image.fromarray(swapped)])
    assert found([Image.fromarray(scene), Image.fromarray(swapped)], NearDuplicates(colour=255.0))


def test_empty_pages_are_no_copies_of_each_other():
    pages = [Image.new("RGB", (100, 140), (250, 250, 250 - level)) for level in range(3)]
    assert not found(pages)


def test_slopes_without_structure_are_no_copies():
    across = np.tile(np.linspace(0, 255, 100).astype(np.uint8), (100, 1))
    assert not found(
        [Image.fromarray(across).convert("RGB"), Image.fromarray(across.T).convert("RGB")]
    )


def test_thousands_of_equal_pictures_cost_one_comparison_each(make):
    images = [make.scene(2)] * 3000
    pairs = compared(signatures(images[:1]).__class__(
        *(np.repeat(part, 3000, axis=0) for part in (
            signatures(images[:1]).luma, signatures(images[:1]).colour, signatures(images[:1]).size))
    ), CONFIG)  # fmt: skip
    assert len(pairs.rows) == 2999
    assert (clusters(3000, pairs.copies(CONFIG).rows) == 0).all()


def test_thresholds_move_without_comparing_again(make):
    scenes = [make.scene(seed) for seed in range(10)]
    every = compared(signatures(scenes + [EDITS["turn"](scene) for scene in scenes]), CONFIG)
    strict = every.copies(NearDuplicates(rest=0.001))
    assert len(strict.rows) < len(every.copies(CONFIG).rows)


@given(
    st.integers(1, 30).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=40),
        )
    )
)
def test_clusters_are_connected_components(graph):
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    number, edges = graph
    rows = np.array(edges, dtype=np.int64).reshape(-1, 2)
    ones = np.ones(len(rows))
    _, label = connected_components(
        coo_array((ones, (rows[:, 0], rows[:, 1])), (number, number)), False
    )
    lowest = [int(np.flatnonzero(label == label[row])[0]) for row in range(number)]
    assert clusters(number, rows).tolist() == lowest


def test_who_stays_authority_then_age_then_pixels_then_id():
    def kept(**columns):
        rule = {
            "authority": np.full(3, 0.5), "num_pixels": np.full(3, 100), "ids": ["b", "a", "c"],
            "time_us": np.full(3, np.datetime64("NaT"), "datetime64[us]"),
        }  # fmt: skip
        return keepers(np.zeros(3, np.int64), **{**rule, **columns}).tolist()

    times = np.array(["2020-01-01", "NaT", "2024-01-01"], "datetime64[us]")
    assert kept() == [1, 1, 1]
    assert kept(num_pixels=np.array([100, 100, 400])) == [2, 2, 2]
    assert kept(num_pixels=np.array([900, 100, 400]), time_us=times) == [2, 2, 2]
    assert kept(authority=np.array([0.9, 0.5, 0.5]), time_us=times) == [0, 0, 0]


def test_a_table_of_records(make):
    scenes = [make.scene(seed, 200, 150) for seed in range(6)]
    large = [make.encoded(scene) for scene in scenes]
    small = [make.encoded(EDITS["resize"](scene), "JPEG", quality=60) for scene in scenes[:3]]
    records = pa.Table.from_batches([ImageFacts()(make.batch_of([*small, *large, b"broken"]))])
    gone = copies(records, CONFIG)
    ids = records[record.ID].to_pylist()
    assert dict(zip(gone["id"].to_pylist(), gone["kept"].to_pylist(), strict=True)) == {
        ids[number]: ids[number + 3] for number in range(3)
    }
    shuffled = records.take(pa.array(np.random.default_rng(0).permutation(len(records))))
    named = ["id", "kept"]
    assert copies(shuffled, CONFIG).select(named).equals(gone.select(named))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ConfigError):
        NearDuplicates(radius=40)
    with pytest.raises(ConfigError):
        NearDuplicates(rest=0)
    with pytest.raises(InputError, match="signature"):
        unpack([b"short"])
