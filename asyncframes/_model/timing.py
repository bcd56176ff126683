"""Ticks, seconds, and the display matrix."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Int64Array: TypeAlias = NDArray[np.int64]

MOST_TICKS = 2**61
"""Ticks are computed up to here, so that their sums and differences fit ``int64``."""

# Up to here the rounding of floats stays well below `CLOSE`.
_TICKS_IN_FLOATS = 2.0**40

# Integers up to here are exact as floats.
_EXACT_IN_FLOATS = 2**53

CLOSE = 1 / 1024
"""How many ticks a time may lose to the rounding of floats."""


def seconds_to_ticks(
    seconds: NDArray[Any], time_base: Fraction, origin: int
) -> tuple[Int64Array, NDArray[np.float64]]:
    """Convert times to whole ticks since `origin`, and the remaining fraction of a tick.

    Parameters
    ----------
    seconds
        Finite numbers: ``float64``, or objects such as `Fraction`.
    time_base
        Seconds per tick.
    origin
        The tick that counts as 0.

    Returns
    -------
    tuple of (ndarray, ndarray)
        Ticks, clipped to plus or minus `MOST_TICKS`, and ``0 <= fraction < 1``, with an error
        of less than `CLOSE`.
    """
    if seconds.dtype != object and abs(origin) < _TICKS_IN_FLOATS:
        numerator, denominator = float(time_base.numerator), float(time_base.denominator)
        if not len(seconds) or np.abs(seconds).max() < _TICKS_IN_FLOATS / denominator * numerator:
            ticks = seconds * denominator / numerator - origin
            whole = np.floor(ticks)
            return whole.astype(np.int64), ticks - whole
    found = [_ticks_exactly(value, time_base, origin) for value in seconds.tolist()]
    return (
        np.array([ticks for ticks, _ in found], np.int64),
        np.array([part for _, part in found], np.float64),
    )


def ticks_to_seconds(ticks: Int64Array, time_base: Fraction) -> NDArray[np.float64]:
    """Convert ticks to seconds. Each is rounded once, as in ``float(tick * time_base)``."""
    over, under = time_base.as_integer_ratio()
    largest = max(abs(int(ticks.min())), abs(int(ticks.max()))) if len(ticks) else 0
    if largest * over <= _EXACT_IN_FLOATS and under <= _EXACT_IN_FLOATS:
        return ticks * over / under
    return np.array([as_float(tick * time_base) for tick in ticks.tolist()], np.float64)


def _ticks_exactly(seconds: float | Fraction, time_base: Fraction, origin: int) -> tuple[int, float]:
    over, under = seconds.as_integer_ratio()
    under *= time_base.numerator
    ticks, rest = divmod(over * time_base.denominator - origin * under, under)
    if abs(ticks) >= MOST_TICKS:
        return (MOST_TICKS if ticks > 0 else -MOST_TICKS), 0.0
    return ticks, rest / under


def even_ticks(count: int, interval: Fraction) -> tuple[Int64Array, NDArray[np.float64]]:
    """Return the multiples 0, 1, … of an interval in whole ticks, and the remaining fraction of a tick.

    Parameters
    ----------
    count
        How many multiples to return.
    interval
        Ticks from each multiple to the next, more than 0.

    Raises
    ------
    ValueError
        The last multiple exceeds `MOST_TICKS`.
    """
    if count < 2:
        return np.zeros(count, np.int64), np.zeros(count)
    if count * interval > MOST_TICKS:
        raise ValueError(f"{count} frames last for more than {MOST_TICKS} ticks: ask for frames by index")
    numbers = np.arange(count, dtype=np.int64)
    over, under = interval.as_integer_ratio()
    whole, over = divmod(over, under)
    if count * under < MOST_TICKS:
        more, rest = np.divmod(numbers * over, under)
        return numbers * whole + more, np.asarray(rest / under, np.float64)
    left = np.asarray(numbers * (over / under), np.float64)
    floor = np.floor(left)
    return numbers * whole + floor.astype(np.int64), left - floor


def as_float(value: float | Fraction) -> float:
    """Convert a number to a float; infinity if it is too large for one."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture becomes upright: transpose first, then flip.

    Attributes
    ----------
    transpose
        Swap rows and columns.
    flip_x, flip_y
        Reverse the order of columns or rows.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def is_identity(self) -> bool:
        """Whether the picture is stored upright."""
        return not (self.transpose or self.flip_x or self.flip_y)

    @property
    def mirrored(self) -> bool:
        """Whether the picture is mirrored as well as rotated."""
        return self.transpose ^ self.flip_x ^ self.flip_y

    @property
    def rotation(self) -> int:
        """Degrees counterclockwise, as ``av_display_rotation_get`` returns them, before mirroring."""
        if self.transpose:
            return 90 if self.flip_y else 270
        return 180 if self.flip_y else 0


def orientation_from_matrix(matrix: bytes) -> Orientation:
    """Read a display matrix.

    Parameters
    ----------
    matrix
        Nine native-endian 32-bit integers, row by row, as FFmpeg's
        ``AV_FRAME_DATA_DISPLAYMATRIX`` holds them (ISO/IEC 14496-12, 8.3.2):
        ``x' = a x + c y`` and ``y' = b x + d y`` with a, b, c, d at 0, 1, 3, 4.

    Returns
    -------
    Orientation
        The identity for angles that are not a multiple of 90 degrees.
    """
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    if a and d and not (b or c):
        return Orientation(flip_x=a < 0, flip_y=d < 0)
    if b and c and not (a or d):
        return Orientation(transpose=True, flip_x=c < 0, flip_y=b < 0)
    return Orientation()


def orientation_from_degrees(degrees: int) -> Orientation:
    """Return the orientation for a rotation in degrees counterclockwise; the identity for odd angles."""
    return {
        90: Orientation(transpose=True, flip_y=True),
        180: Orientation(flip_x=True, flip_y=True),
        270: Orientation(transpose=True, flip_x=True),
    }.get(degrees % 360, Orientation())
