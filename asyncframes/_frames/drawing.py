"""Draws contact sheets: many frames in one image, each with its index and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

from asyncframes._frames.frame import Frame
from asyncframes._frames.picture import in_8_bits
from asyncframes._frames.sheet import ContactSheet

__all__ = ["Layout", "clock", "contact_sheet", "shrink", "tile_width_for"]

BACKGROUND = (18, 19, 23)
BRIGHT = (242, 243, 245)
DIM = (160, 164, 173)

MOST_PIXELS = 64 * 1024 * 1024


def clock(seconds: float) -> str:
    """Format seconds as ``hh:mm:ss.mmm``."""
    milliseconds = round(abs(seconds) * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    sign = "-" if seconds < 0 and milliseconds else ""
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"


def tile_width_for(sheet_width: int, columns: int) -> int:
    """Return the width of a tile so that `columns` of them fill a sheet of `sheet_width` pixels."""
    # A gap is a 24th of a tile, and there is one gap more than there are tiles.
    return max(1, int(sheet_width / (columns + (columns + 1) / 24)))


def shrink(frame: Frame, width: int) -> Frame:
    """Scale a frame down to `width` pixels and keep its aspect ratio. Narrower frames stay unchanged."""
    height, own_width = frame.image.shape[:2]
    if own_width <= width:
        return frame
    size = (width, max(1, round(height * width / own_width)))
    resized = PillowImage.fromarray(frame.image).resize(size, PillowImage.Resampling.LANCZOS)
    return replace(frame, image=np.asarray(resized))


@dataclass(frozen=True)
class Layout:
    """Sizes of a contact sheet, in pixels.

    Attributes
    ----------
    frames
        How many frames are on it.
    columns
        Frames per row. A sheet of fewer frames has fewer columns.
    tile_width
        Width of a frame. The height follows from the first frame's shape.
    title
        A line at the top, shortened if it is too long.

    Raises
    ------
    ValueError
        There are no frames, or a size is not positive.
    """

    frames: int
    columns: int
    tile_width: int
    title: str | None = None

    def __post_init__(self) -> None:
        if min(self.frames, self.columns, self.tile_width) < 1:
            raise ValueError(
                f"{self.frames} frames, columns={self.columns}, tile_width={self.tile_width}: "
                "expected 1 or more of each"
            )

    @cached_property
    def font(self) -> FreeTypeFont:
        """The font of the labels."""
        # "#123456" and "00:00:00.000" side by side are about eleven times as wide as the font size.
        size = min(20, max(8, self.tile_width // 14))
        return cast("FreeTypeFont", ImageFont.load_default(size))

    @property
    def gap(self) -> int:
        """Pixels between frames."""
        return max(4, self.tile_width // 24)

    @cached_property
    def line(self) -> int:
        """Height of a line of text."""
        ascent, descent = self.font.getmetrics()
        return int(ascent + descent)

    @property
    def top(self) -> int:
        """Where the first row begins."""
        return self.gap + (self.line + self.gap if self.title else 0)

    def tile_height(self, frame: Frame) -> int:
        """Return the height of all frames if this one is the first."""
        height, width = (int(side) for side in frame.image.shape[:2])
        return max(1, round(height * self.tile_width / width))

    def cell(self, tile_height: int) -> int:
        """Return how far it is from one row to the next."""
        return tile_height + self.gap // 2 + self.line + self.gap

    def size(self, tile_height: int) -> tuple[int, int]:
        """Return the width and height of the sheet.

        Raises
        ------
        ValueError
            The sheet would have more than `MOST_PIXELS`.
        """
        columns = min(self.columns, self.frames)
        rows = -(-self.frames // columns)
        width = self.gap + columns * (self.tile_width + self.gap)
        height = self.top + rows * self.cell(tile_height)
        if width * height > MOST_PIXELS:
            raise ValueError(
                f"a contact sheet of {width}x{height} pixels: expected at most {MOST_PIXELS:,} pixels; "
                "ask for fewer rows or columns, or a smaller width"
            )
        return width, height

    def tile(self, frame: Frame) -> Frame:
        """Return a frame in 8 bits, no wider than it is drawn.

        Raises
        ------
        ValueError
            A sheet of frames of this shape would have more than `MOST_PIXELS`.
        """
        tile = replace(frame, image=in_8_bits(frame.image, frame.image_format), image_format="rgb24")
        self.size(self.tile_height(tile))
        return shrink(tile, self.tile_width)


def contact_sheet(
    frames: Sequence[Frame], *, columns: int, tile_width: int, title: str | None = None
) -> ContactSheet:
    """Draw frames in rows on a dark background, with the index and time below each.

    Parameters
    ----------
    frames
        At least one frame.
    columns, tile_width, title
        See `Layout`.

    Raises
    ------
    ValueError
        There are no frames, a size is not positive, or the sheet would have more than
        `MOST_PIXELS`.
    """
    layout = Layout(len(frames), columns, tile_width, title)
    tiles = [layout.tile(frame) for frame in frames]
    tile_height = layout.tile_height(tiles[0])
    sheet = PillowImage.new("RGB", layout.size(tile_height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    if title:
        text = _shortened(title, layout.font, sheet.width - 2 * layout.gap)
        draw.text((layout.gap, layout.gap), text, font=layout.font, fill=BRIGHT)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, min(columns, len(tiles)))
        left = layout.gap + column * (tile_width + layout.gap)
        upper = layout.top + row * layout.cell(tile_height)
        image = PillowImage.fromarray(tile.image).convert("RGB")
        sheet.paste(image.resize((tile_width, tile_height), PillowImage.Resampling.LANCZOS), (left, upper))
        _label(draw, tile, layout, left, upper + tile_height + layout.gap // 2)
    return ContactSheet(np.asarray(sheet), tuple(frame.index for frame in frames))


def _label(draw: ImageDraw.ImageDraw, frame: Frame, layout: Layout, left: int, upper: int) -> None:
    index = f"#{frame.index}"
    time = "" if frame.pts_seconds is None else clock(frame.pts_seconds)
    draw.text((left, upper), index, font=layout.font, fill=BRIGHT)
    if layout.font.getlength(f"{index} {time}") <= layout.tile_width:
        draw.text((left + layout.tile_width, upper), time, font=layout.font, fill=DIM, anchor="ra")


def _shortened(text: str, font: FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
