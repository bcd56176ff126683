"""What the table of other libraries rests on: telling which frame an image is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.exact.same_frame import FOREIGN, Grid, judge, reduced
from tests.support.marks import examples, grid
from tests.support.streams.clips import paint

FRAMES = 12


def picture(index: int, width: int = 320, height: int = 180) -> NDArray[np.uint8]:
    """A coloured slope with a small square that moves by four pixels a frame: neighbours differ little."""
    rows, columns = np.mgrid[:height, :width]
    slope = np.stack([columns * 255 // width, rows * 255 // height, (rows + columns) % 256], axis=-1)
    slope[60:90, 20 + 4 * index : 50 + 4 * index] = 230
    return slope.astype(np.uint8)


FRAMES_OF_IT: dict[int, Grid] = {index: reduced(picture(index)) for index in range(FRAMES)}


def given_images(offset: int, change: str) -> dict[int, Grid]:
    """The images of a library that is off by some frames, and sees the video in its own way."""
    noise = np.random.default_rng(offset + 2)
    matrix = [[0.9, 0.1, 0], [0.05, 0.85, 0.1], [0, 0.1, 0.9]]
    changes = {
        "none": lambda image: image,
        "rounding": lambda image: image + noise.integers(-1, 2, image.shape),
        "another matrix": lambda image: image.astype(float) @ matrix,
        "another range": lambda image: 16 + image * (219 / 255),
        "turned": lambda image: np.rot90(image),
        "mirrored": lambda image: image[:, ::-1],
    }
    images = {}
    for index in range(2, FRAMES - 2):
        image = changes[change](picture(index + offset).astype(np.int16))
        images[index] = reduced(np.clip(np.rint(image), 0, 255).astype(np.uint8))
    return images


CHANGES = ["none", "rounding", "another matrix", "another range", "turned", "mirrored"]


@pytest.mark.parametrize(
    ("offset", "change"), grid([-2, -1, 0, 1, 2], CHANGES, fast=lambda offset, _: offset in {-2, 0, 1})
)
def test_an_offset_is_told_whatever_the_colours_and_the_orientation(offset: int, change: str) -> None:
    """Every image of an exact library is right, and every one of a library that is off is seen to be."""
    images = given_images(offset, change)
    verdict = judge(images, FRAMES_OF_IT)
    assert set(verdict.wrong) == (set(images) if offset else set())
    if change in {"none", "rounding", "turned", "mirrored"}:
        assert all(found == index + offset for index, found in verdict.wrong.items())
        assert verdict.farthest < FOREIGN / 2
    assert verdict.upright == (change not in {"turned", "mirrored"})


def test_another_picture_is_no_frame() -> None:
    """A picture of another video, or of another size, is none of the frames."""
    verdict = judge({3: reduced(paint(3, 320, 180)), 5: reduced(picture(5, 96, 64))}, FRAMES_OF_IT)
    assert verdict.wrong == {3: None, 5: None}


def test_neighbours_that_show_the_same_are_one() -> None:
    """Where nothing moves, no index can be told, and none is called wrong."""
    still = {index: reduced(picture(0)) for index in range(FRAMES)}
    assert judge({5: still[6]}, still).wrong == {}


@settings(max_examples=examples(25))
@given(width=st.integers(1, 300), height=st.integers(1, 300))
def test_reducing_keeps_the_mean_and_the_turn(width: int, height: int) -> None:
    """Cells of any size weigh what they cover, so that a turned image is the turned grid."""
    image = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    grid = reduced(image)
    assert np.allclose(grid.mean(axis=(0, 1)), image.mean(axis=(0, 1)), atol=1e-2)
    assert np.allclose(np.rot90(grid), reduced(np.rot90(image)), atol=1e-2)
    assert np.allclose(grid[:, ::-1], reduced(image[:, ::-1]), atol=1e-2)


def darkened(index: int) -> Grid:
    """A frame under a steep gamma curve."""
    return reduced((255 * (picture(index) / 255) ** 3).astype(np.uint8))


def test_colours_that_no_linear_map_explains_are_forgiven_if_all_images_have_them() -> None:
    """An exact library with colours of its own is right; one wild image among exact ones is wrong."""
    assert judge({index: darkened(index) for index in range(1, FRAMES - 1)}, FRAMES_OF_IT).wrong == {}
    assert judge(FRAMES_OF_IT | {5: darkened(5)}, FRAMES_OF_IT).wrong == {5: None}
