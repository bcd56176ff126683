"""Sprite sheets: small pictures in rows, and the WebVTT that tells players which one to show when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from asyncframes._frames.drawing import MOST_PIXELS, clock
from asyncframes._types import Image

# JPEG stores no longer side.
_LONGEST_SIDE = 65_500


@dataclass(frozen=True, slots=True)
class SpriteLayout:
    """Where the tiles of a sprite sheet are, in pixels.

    Attributes
    ----------
    tiles
        How many there are, at least one.
    columns
        Most tiles in a row.
    width, height
        Size of a tile.

    Raises
    ------
    ValueError
        A number is not positive, or the sheet would be too large.
    """

    tiles: int
    columns: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if min(self.tiles, self.columns, self.width, self.height) < 1:
            raise ValueError(
                f"{self.tiles} tiles of {self.width}x{self.height} pixels in {self.columns} columns: "
                "expected 1 or more of each"
            )
        width, height = self.size
        if width * height > MOST_PIXELS or max(width, height) > _LONGEST_SIDE:
            raise ValueError(
                f"a sprite sheet of {width}x{height} pixels: expected at most {MOST_PIXELS:,} pixels and "
                f"{_LONGEST_SIDE} on a side; ask for fewer or smaller tiles, or other columns"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the sheet."""
        columns = min(self.columns, self.tiles)
        return columns * self.width, -(-self.tiles // columns) * self.height

    def corner(self, place: int) -> tuple[int, int]:
        """Return where the upper left corner of a tile is."""
        row, column = divmod(place, self.columns)
        return column * self.width, row * self.height

    def blank(self) -> Image:
        """Return a black sheet."""
        width, height = self.size
        return np.zeros((height, width, 3), np.uint8)

    def put(self, sheet: Image, place: int, tile: Image) -> None:
        """Copy a tile of the right size to its place."""
        x, y = self.corner(place)
        sheet[y : y + self.height, x : x + self.width] = tile


def sprite_vtt(layout: SpriteLayout, times: Sequence[Fraction], end: Fraction, image: str) -> str:
    """Return the WebVTT of a sprite sheet.

    Parameters
    ----------
    layout
        Where the tiles are.
    times
        From when each tile is shown, in seconds, ascending. WebVTT has no times before 0.
    end
        Until when the last one is.
    image
        Address of the sheet.
    """
    lines = ["WEBVTT", ""]
    for place, (start, stop) in enumerate(zip(times, [*times[1:], end], strict=True)):
        if stop <= 0:
            continue
        x, y = layout.corner(place)
        lines.append(f"{clock(max(0.0, float(start)))} --> {clock(float(stop))}")
        lines += [f"{image}#xywh={x},{y},{layout.width},{layout.height}", ""]
    return "\n".join(lines)
