"""Augmented images: each operation against arithmetic or Pillow, and children that say whose they are."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageEnhance

from tenfold.data import record
from tenfold.data.images import augment
from tenfold.data.images.augment import AugmentImages
from tenfold.errors import ConfigError


def pixels(scene) -> np.ndarray:
    return np.asarray(scene)


def test_a_flip_twice_is_none(make):
    image = pixels(make.scene(1))
    assert not np.array_equal(augment.flip(image), image)
    assert np.array_equal(augment.flip(augment.flip(image)), image)


def test_a_quarter_turn_is_exact_and_corners_have_no_black(make):
    image = pixels(make.scene(2, 90, 90))
    assert np.abs(augment.rotate(image, 90).astype(int) - np.rot90(image)).max() <= 1
    bright = np.full((50, 70, 3), 200, np.uint8)
    assert (augment.rotate(bright, 17) == 200).all()


def test_a_crop_of_everything_is_the_image_and_a_corner_is_the_corner(make):
    image = pixels(make.scene(3))
    assert np.array_equal(augment.crop(image, 1.0, 0.3, 0.7), image)
    corner = augment.crop(image, 0.5, 1.0, 1.0)
    reference = Image.fromarray(image[45:, 60:]).resize((120, 90), Image.Resampling.BICUBIC)
    assert np.abs(corner.astype(int) - np.asarray(reference)).mean() < 3


def test_brightness_and_saturation_are_pillows(make):
    scene = make.scene(4)
    image = pixels(scene)
    brighter = augment.colour(image, 1.2, 1, 1, 0).astype(int)
    assert np.abs(brighter - np.asarray(ImageEnhance.Brightness(scene).enhance(1.2))).max() <= 1
    grey = augment.colour(image, 1, 1, 0, 0).astype(int)
    assert np.abs(grey - np.asarray(ImageEnhance.Color(scene).enhance(0))).max() <= 1
    contrast = augment.colour(image, 1, 1.3, 1, 0).astype(int)
    assert np.abs(contrast - np.asarray(ImageEnhance.Contrast(scene).enhance(1.3))).max() <= 2


def test_hue_turns_around_grey():
    grey = np.full((3, 3, 3), 90, np.uint8)
    assert (augment.colour(grey, 1, 1, 1, 0.3) == 90).all()
    soft = np.tile(np.array([120, 100, 90], np.uint8), (2, 2, 1))
    turned = augment.colour(soft, 1, 1, 1, 0.5).astype(float)
    weights = np.array([0.299, 0.587, 0.114])
    assert np.abs(turned @ weights - soft @ weights).max() < 1
    whole = augment.colour(soft, 1, 1, 1, 1.0)
    assert np.array_equal(whole, soft)


def test_noise_has_its_level():
    grey = np.full((200, 200, 3), 128, np.uint8)
    noisy = augment.noise(grey, 8.0, np.random.default_rng(0)).astype(float)
    assert abs(noisy.std() - 8) < 0.1


def test_a_hole_has_its_size():
    image = np.zeros((40, 80, 3), np.uint8)
    image[:, ::2] = 200
    holed = augment.cutout(image, 0.5, 0.5, 0.5)
    assert (holed != image).any(axis=2).sum() == 20 * 20
    assert (holed[10:30, 30:50] == 100).all()


def test_children_name_parent_operator_and_seed(make):
    batch = make.batch_of([make.encoded(make.scene(n), "JPEG") for n in range(3)])
    made = AugmentImages(copies=2, seed=5)(batch)
    assert made.schema.equals(batch.schema)
    assert made.num_rows == 6
    ids = batch["id"].to_pylist()
    told = [json.loads(meta)["augmented"] for meta in made["meta"].to_pylist()]
    assert [one["parent"] for one in told] == [one for one in ids for _ in range(2)]
    assert {one["operator"] for one in told} == {"image.augment/1"}
    assert len({one["seed"] for one in told}) == 6
    assert not set(made["id"].to_pylist()) & set(ids)
    for image, name in zip(made["image"].to_pylist(), made["id"].to_pylist(), strict=True):
        assert record.record_id("camera", image) == name
        assert Image.open(io.BytesIO(image)).size == (120, 90)


def test_draws_depend_on_the_record_alone(make):
    images = [make.encoded(make.scene(n)) for n in range(4)]
    operator = AugmentImages(copies=2, seed=1)
    together = operator(make.batch_of(images))
    alone = [operator(make.batch_of([image])) for image in reversed(images)]
    expected = {row["id"]: row["image"] for part in alone for row in part.to_pylist()}
    assert {row["id"]: row["image"] for row in together.to_pylist()} == expected
    other = AugmentImages(copies=2, seed=2)(make.batch_of(images))
    assert not set(other["id"].to_pylist()) & set(together["id"].to_pylist())


def test_held_out_dropped_broken_and_made_images_have_no_children(make):
    images = [make.encoded(make.scene(n)) for n in range(4)] + [b"broken"]
    batch = make.batch_of(
        images,
        drop=["image.small", None, None, None, None],
        meta=[None, '{"split": "heldout"}', None, None, None],
    )
    operator = AugmentImages()
    batch = batch.append_column("split", pa.array(["train", "train", "heldout", "train", "train"]))
    made = operator(batch)
    parents = [json.loads(meta)["augmented"]["parent"] for meta in made["meta"].to_pylist()]
    assert parents == [batch["id"][3].as_py()]
    assert operator(made).num_rows == 0


def test_with_nothing_to_do_a_child_would_be_its_parent(make):
    still = AugmentImages(
        flip=0, rotate=0, crop=0, brightness=0, contrast=0, saturation=0, hue=0, blur=0, noise=0, cutout=0
    )  # fmt: skip
    image = pixels(make.scene(1))
    assert np.array_equal(still.pixels(image, np.random.default_rng(0)), image)


def test_settings_out_of_range():
    with pytest.raises(ConfigError, match="crop"):
        AugmentImages(crop=1.5)
