"""Ticks, seconds and display matrices."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._timing import (
    Orientation,
    orientation_from_degrees,
    orientation_from_matrix,
    seconds_to_ticks,
)

RIGHT_ANGLES = [
    (a, b, c, d)
    for a in (-1, 0, 1)
    for b in (-1, 0, 1)
    for c in (-1, 0, 1)
    for d in (-1, 0, 1)
    if (a and d and not b and not c) or (b and c and not a and not d)
]


@given(ticks=st.integers(-(2**40), 2**40), rate=st.sampled_from([24, 1000, 12800, 90000]))
def test_a_tick_survives_the_way_through_float_seconds(ticks: int, rate: int) -> None:
    """The seconds of a tick name that tick again."""
    time_base = Fraction(1, rate)
    assert seconds_to_ticks(float(ticks * time_base), time_base) == ticks


@given(seconds=st.floats(0, 1e6), rate=st.integers(1, 90000))
def test_a_tick_is_never_after_its_seconds(seconds: float, rate: int) -> None:
    """The tick lies at or before the time, and the next one after it."""
    time_base = Fraction(1, rate)
    tick = seconds_to_ticks(seconds, time_base)
    slack = time_base / 1000
    assert tick * time_base <= Fraction(seconds) + slack
    assert (tick + 1) * time_base > Fraction(seconds)


@pytest.mark.parametrize("matrix", RIGHT_ANGLES)
def test_orientation_moves_each_pixel_where_the_matrix_says(matrix: tuple[int, int, int, int]) -> None:
    """Pixel (x, y) lands at (a x + c y, b x + d y), moved into the picture."""
    a, b, c, d = matrix
    one = 1 << 16
    orientation = orientation_from_matrix(
        struct.pack("=9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    )
    stored = np.arange(6).reshape(2, 3)
    upright = stored.T if orientation.transpose else stored
    upright = upright[:, ::-1] if orientation.flip_x else upright
    upright = upright[::-1] if orientation.flip_y else upright
    places = {(x, y): (a * x + c * y, b * x + d * y) for x in range(3) for y in range(2)}
    left, top = min(x for x, _ in places.values()), min(y for _, y in places.values())
    for (x, y), (to_x, to_y) in places.items():
        assert upright[to_y - top, to_x - left] == stored[y, x]


@pytest.mark.parametrize("matrix", RIGHT_ANGLES)
def test_a_picture_is_mirrored_if_the_determinant_is_negative(matrix: tuple[int, int, int, int]) -> None:
    """`mirrored` is the sign of ad - bc."""
    a, b, c, d = matrix
    packed = struct.pack("=9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    assert orientation_from_matrix(packed).mirrored == (a * d - b * c < 0)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_degrees_turn_as_numpy_turns(degrees: int) -> None:
    """An angle counterclockwise is `numpy.rot90` by as many quarters."""
    orientation = orientation_from_degrees(degrees)
    assert orientation.rotation == degrees
    assert not orientation.mirrored
    stored = np.arange(6).reshape(2, 3)
    upright = stored.T if orientation.transpose else stored
    upright = upright[:, ::-1] if orientation.flip_x else upright
    upright = upright[::-1] if orientation.flip_y else upright
    assert np.array_equal(upright, np.rot90(stored, degrees // 90))


def test_an_odd_angle_is_left_alone() -> None:
    """A matrix that is no right angle changes nothing."""
    assert orientation_from_matrix(struct.pack("=9i", 1, 1, 0, -1, 1, 0, 0, 0, 1)) == Orientation()
