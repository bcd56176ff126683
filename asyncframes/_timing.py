"""Ticks, seconds, and the display matrix."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction

# A float of seconds may fall short of the tick it was computed from by some 1e-6 ticks.
_TICK_TOLERANCE = Fraction(1, 1000)


def seconds_to_ticks(seconds: float | Fraction, time_base: Fraction) -> int:
    """Return the last tick at or before `seconds`.

    ``seconds_to_ticks(float(ticks * time_base), time_base) == ticks`` for every
    tick within the precision of a double.
    """
    return math.floor(Fraction(seconds) / time_base + _TICK_TOLERANCE)


def seconds_to_tick_after(seconds: float | Fraction, time_base: Fraction) -> int:
    """Return the first tick at or after `seconds`, within the precision of a double."""
    return math.ceil(Fraction(seconds) / time_base - _TICK_TOLERANCE)


@dataclass(frozen=True, slots=True)
class Orientation:
    """How a stored picture becomes upright: transpose first, then flip.

    Attributes
    ----------
    transpose
        Swap rows and columns.
    flip_x, flip_y
        Reverse the order of columns, of rows.
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
        """Whether the picture is mirrored besides being rotated."""
        return self.transpose ^ self.flip_x ^ self.flip_y

    @property
    def rotation(self) -> int:
        """Degrees counterclockwise, as ``av_display_rotation_get`` counts; mirroring comes after."""
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
        The identity for angles that are no multiple of 90 degrees.
    """
    a, b, _, c, d = struct.unpack_from("=5i", matrix)
    if a and d and not (b or c):
        return Orientation(flip_x=a < 0, flip_y=d < 0)
    if b and c and not (a or d):
        return Orientation(transpose=True, flip_x=c < 0, flip_y=b < 0)
    return Orientation()


def orientation_from_degrees(degrees: int) -> Orientation:
    """Return the unmirrored orientation for degrees counterclockwise; the identity for odd angles."""
    return {
        90: Orientation(transpose=True, flip_y=True),
        180: Orientation(flip_x=True, flip_y=True),
        270: Orientation(transpose=True, flip_x=True),
    }.get(degrees % 360, Orientation())
