"""What an image shows of its picture, and its size: options, their order, and what contradicts."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import asyncframes as af
from asyncframes._model.rendering import Framing, Region, make_rendering
from asyncframes.errors import CropError

SQUARE = Fraction(1)
HALF = Fraction(1, 2)

sides = st.integers(1, 5000)
sizes = st.tuples(sides, sides)


def framing(size: tuple[int, int], shape: Fraction = SQUARE, **options: Any) -> Framing:
    return make_rendering(**options).framing_of(*size, shape)


@st.composite
def crops(draw: st.DrawFn) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Draw a size and a region inside it."""
    width, height = draw(sizes)
    x, y = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    return (width, height), (x, y, draw(st.integers(1, width - x)), draw(st.integers(1, height - y)))


@given(sizes, sizes)
def test_inside_is_the_largest_of_its_shape(size: tuple[int, int], box: tuple[int, int]) -> None:
    """No side exceeds the box, one fills it, and the other is that of the aspect ratio to half a pixel."""
    made = framing(size, resize=box, fit="inside")
    assert made.region == (0, 0, *size)
    scale = min(Fraction(box[0], size[0]), Fraction(box[1], size[1]))
    assert made.size[0] <= box[0]
    assert made.size[1] <= box[1]
    assert made.size[0] == box[0] or made.size[1] == box[1]
    for length, whole in zip(made.size, size, strict=True):
        assert abs(length - whole * scale) <= HALF or length == 1


@given(sizes, sizes)
def test_cover_shows_the_largest_central_part(size: tuple[int, int], box: tuple[int, int]) -> None:
    """The image has the box's size, and shows a region of its shape as large as there is, in the middle."""
    made = framing(size, resize=box, fit="cover")
    x, y, width, height = made.region
    assert made.size == box
    assert x == (size[0] - width) // 2
    assert y == (size[1] - height) // 2
    # Of a picture of a few pixels, rounding may leave both sides whole.
    is_as_high = abs(height - Fraction(width * box[1], box[0])) <= HALF or height == 1
    is_as_wide = abs(width - Fraction(height * box[0], box[1])) <= HALF or width == 1
    assert (width == size[0] and is_as_high) or (height == size[1] and is_as_wide)


@given(sizes, sides)
def test_the_longer_side_is_bounded(size: tuple[int, int], most: int) -> None:
    """A larger image gets exactly that side and keeps its aspect ratio. A smaller one stays."""
    made = framing(size, max_side=most)
    assert made.region == (0, 0, *size)
    if max(size) <= most:
        assert made.size == size
    else:
        assert max(made.size) == most
        for length, whole in zip(made.size, size, strict=True):
            assert abs(length - Fraction(whole * most, max(size))) <= HALF or length == 1


@given(
    sizes,
    st.integers(1, 64),
    st.one_of(
        st.fixed_dictionaries({"max_side": sides}),
        st.fixed_dictionaries({"resize": sizes, "fit": st.sampled_from(["stretch", "inside", "cover"])}),
        st.fixed_dictionaries({"resize": st.tuples(st.none(), sides)}),
        st.just({}),
    ),
)
def test_sides_are_multiples(size: tuple[int, int], unit: int, options: dict[str, Any]) -> None:
    """Each is Python's nearest multiple of the side without it, or the one below where a bound is passed."""
    if "max_side" in options:
        bounds = [options["max_side"]] * 2
    elif options.get("fit") == "inside":
        bounds = options["resize"]
    else:
        bounds = [10**9] * 2
    assume(min(bounds) >= unit)
    plain = framing(size, **options).size
    made = framing(size, multiple_of=unit, **options)
    for length, before, bound in zip(made.size, plain, bounds, strict=True):
        nearest = max(1, round(Fraction(before, unit))) * unit
        assert length == min(nearest, bound // unit * unit)
    if options.get("fit") == "cover":
        assert made == framing(size, resize=made.size, fit="cover")


@given(crops(), st.sampled_from([{}, {"max_side": 448}, {"resize": (64, None)}, {"multiple_of": 28}]))
def test_a_crop_goes_before_every_size(
    whole_and_crop: tuple[tuple[int, int], tuple[int, int, int, int]], options: dict[str, Any]
) -> None:
    """The image has the size of one whose picture is no larger than the crop."""
    whole, crop = whole_and_crop
    made = framing(whole, crop=crop, **options)
    assert (made.whole, made.region) == (whole, crop)
    assert made.size == framing(crop[2:], **options).size
    for fit in ("inside", "cover"):
        made = framing(whole, crop=crop, resize=(60, 40), fit=fit)
        alone = framing(crop[2:], resize=(60, 40), fit=fit)
        x, y, width, height = alone.region
        assert made == Framing(whole, Region(crop[0] + x, crop[1] + y, width, height), alone.size)


def test_square_pixels_go_before_a_crop() -> None:
    """A crop counts in the pixels that are shown."""
    made = framing((720, 576), Fraction(16, 15), square_pixels=True, crop=(700, 0, 68, 576))
    assert (made.whole, made.size) == ((768, 576), (68, 576))
    assert framing(
        (720, 576), Fraction(16, 15), square_pixels=True, resize=(384, 384), fit="inside"
    ).size == (
        384,
        288,
    )
    with pytest.raises(CropError):
        framing((720, 576), Fraction(16, 15), crop=(700, 0, 68, 576))


@given(crops(), st.integers(1, 100), st.sampled_from([(1, 0), (0, 1), (1, 1)]))
def test_a_crop_outside_is_refused(
    whole_and_crop: tuple[tuple[int, int], tuple[int, int, int, int]], more: int, at: tuple[int, int]
) -> None:
    """The error holds the crop and the size of the image, and is a `ValueError` too."""
    whole, (x, y, *_) = whole_and_crop
    crop = (x, y, whole[0] - x + more * at[0], whole[1] - y + more * at[1])
    with pytest.raises(CropError, match=f"image of {whole[0]}x{whole[1]}") as caught:
        framing(whole, crop=crop)
    assert isinstance(caught.value, ValueError)
    assert (caught.value.crop, caught.value.width, caught.value.height) == (crop, *whole)


def test_numbers_of_numpy_are_numbers() -> None:
    """What labelling tools give is taken, and kept as plain integers."""
    rendering = make_rendering(crop=np.array([1, 2, 3, 4]), max_side=np.int64(5), multiple_of=np.uint8(2))  # type: ignore[arg-type]
    assert (rendering.crop, rendering.max_side, rendering.multiple_of) == ((1, 2, 3, 4), 5, 2)
    assert {type(number) for number in (*(rendering.crop or ()), rendering.max_side)} == {int}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"crop": (0, 0, 4)}, ["crop"]),
        ({"crop": (0, 0, 4, 4, 4)}, ["crop"]),
        ({"crop": (-1, 0, 4, 4)}, ["crop"]),
        ({"crop": (0, -1, 4, 4)}, ["crop"]),
        ({"crop": (0, 0, 0, 4)}, ["crop"]),
        ({"crop": (0, 0, 4, 0)}, ["crop"]),
        ({"crop": (0, 0, 2**31, 4)}, ["crop"]),
        ({"max_side": 0}, ["max_side"]),
        ({"max_side": 10**5000}, ["max_side"]),
        ({"resize": (4, 2**31)}, ["resize"]),
        ({"multiple_of": 0}, ["multiple_of"]),
        ({"multiple_of": -28}, ["multiple_of"]),
        ({"resize": (4, 4), "fit": "contain"}, ["fit", "stretch, inside, cover"]),
        ({"fit": "inside"}, ["fit", "resize"]),
        ({"fit": "cover", "resize": (4, None)}, ["fit", "resize"]),
        ({"fit": "cover", "max_side": 4}, ["fit", "resize"]),
        ({"max_side": 4, "resize": (4, 4)}, ["max_side", "resize"]),
        ({"max_side": 4, "resize": (None, 4)}, ["max_side", "resize"]),
        ({"max_side": 27, "multiple_of": 28}, ["max_side", "multiple_of"]),
        ({"resize": (448, 27), "fit": "inside", "multiple_of": 28}, ["resize", "multiple_of"]),
    ],
)
def test_what_contradicts_is_refused(options: dict[str, Any], named: list[str]) -> None:
    """A `ValueError` that names the options, before anything is opened."""
    with pytest.raises(ValueError, match=r".*".join(named)) as caught:
        af.stream_frames("nowhere.mp4", **options)
    assert not isinstance(caught.value, CropError)


@pytest.mark.parametrize(
    "options",
    [
        {"crop": (0, 0, 4.0, 4)},
        {"crop": 4},
        {"crop": "abcd"},
        {"max_side": 4.5},
        {"max_side": "4"},
        {"multiple_of": None},
        {"multiple_of": 2.0},
    ],
)
def test_wrong_types_are_refused(options: dict[str, Any]) -> None:
    """A `TypeError` that names the option."""
    [name] = options
    with pytest.raises(TypeError, match=f"{name}="):
        af.stream_frames("nowhere.mp4", **options)
