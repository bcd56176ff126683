"""Ticks, seconds and display matrices."""

from __future__ import annotations

import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._model.timing import (
    CLOSE,
    MOST_TICKS,
    Orientation,
    as_float,
    even_ticks,
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
    """The seconds of a tick are that tick again, within what floats round."""
    whole, part = seconds_to_ticks(np.array([ticks / rate]), Fraction(1, rate), 0)
    assert abs(int(whole[0]) + part[0] - ticks) < CLOSE


@given(
    seconds=st.lists(st.fractions() | st.floats(-1e300, 1e300), max_size=5),
    over=st.integers(1, 2**31),
    under=st.integers(1, 2**31),
    origin=st.integers(-(2**63), 2**63),
)
def test_ticks_are_those_of_exact_arithmetic(
    seconds: list[float | Fraction], over: int, under: int, origin: int
) -> None:
    """Whatever the seconds and the time base: the floor and what is left of it, clipped, and no overflow."""
    entries = np.empty(len(seconds), object)
    entries[:] = seconds
    floats = np.array([as_float(value) for value in seconds], np.float64)
    for values in (entries, floats):
        whole, part = seconds_to_ticks(values, Fraction(over, under), origin)
        for value, ticks, rest in zip(values.tolist(), whole.tolist(), part.tolist(), strict=True):
            exact = Fraction(value) * under / over - origin
            clipped = min(max(exact, Fraction(-MOST_TICKS)), Fraction(MOST_TICKS))
            assert abs(ticks + Fraction(rest) - clipped) < CLOSE
            assert 0 <= rest <= 1


@given(count=st.integers(0, 50), interval=st.fractions(0, 10**6).filter(bool))
def test_even_ticks_are_multiples(count: int, interval: Fraction) -> None:
    """Multiple number i is the floor of i intervals, and what is left."""
    whole, part = even_ticks(count, interval)
    exact = [number * interval for number in range(count)]
    assert all(abs(a + Fraction(b) - e) < 1e-6 for a, b, e in zip(whole.tolist(), part, exact, strict=True))


def test_too_many_ticks_are_refused() -> None:
    """Multiples beyond what is reckoned with are no OverflowError."""
    assert even_ticks(1, Fraction(10**400))[0].tolist() == [0]
    with pytest.raises(ValueError, match="by index"):
        even_ticks(2, Fraction(10**400))
    whole, _ = even_ticks(10**6, Fraction(2**40, 2**40 - 1))
    assert whole[-1] == 10**6 - 1


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
