"""Contact sheets: many frames in one image, each with its index and time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont
from PIL.ImageFont import FreeTypeFont

from asyncframes._frames.frame import Frame

__all__ = ["clock", "contact_sheet", "shrink", "tile_width_for"]

BACKGROUND = (18, 19, 23)
BRIGHT = (242, 243, 245)
DIM = (160, 164, 173)


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


def contact_sheet(
    frames: Sequence[Frame],
    *,
    columns: int,
    tile_width: int,
    title: str | None = None,
) -> PillowImage.Image:
    """Draw frames in rows on a dark background, with the index and time below each.

    Parameters
    ----------
    frames
        At least one frame, in ``rgb24``, ``rgba`` or ``gray``.
    columns
        Frames per row. A sheet of fewer frames has fewer columns.
    tile_width
        In pixels. The first frame's shape determines the height of all tiles.
    title
        A line at the top, shortened if it is too long.

    Raises
    ------
    ValueError
        There are no frames, or a size is not positive.
    """
    if not frames or columns < 1 or tile_width < 1:
        raise ValueError(
            f"{len(frames)} frames, columns={columns}, tile_width={tile_width}: expected 1 or more of each"
        )
    height, width = frames[0].image.shape[:2]
    tile_height = max(1, round(height * tile_width / width))
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    gap, font = _gap_for(tile_width), _font_for(tile_width)
    line = _line_height(font)
    top = gap + (line + gap if title else 0)
    cell_height = tile_height + gap // 2 + line + gap

    sheet = PillowImage.new("RGB", (gap + columns * (tile_width + gap), top + rows * cell_height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((gap, gap), _shortened(title, font, sheet.width - 2 * gap), font=font, fill=BRIGHT)
    for place, frame in enumerate(frames):
        row, column = divmod(place, columns)
        left, upper = gap + column * (tile_width + gap), top + row * cell_height
        tile = PillowImage.fromarray(frame.image).convert("RGB")
        sheet.paste(tile.resize((tile_width, tile_height), PillowImage.Resampling.LANCZOS), (left, upper))
        _label(draw, frame, font, left, upper + tile_height + gap // 2, tile_width)
    return sheet


def _label(
    draw: ImageDraw.ImageDraw, frame: Frame, font: FreeTypeFont, left: int, upper: int, width: int
) -> None:
    index = f"#{frame.index}"
    time = "" if frame.pts_seconds is None else clock(frame.pts_seconds)
    draw.text((left, upper), index, font=font, fill=BRIGHT)
    if font.getlength(f"{index} {time}") <= width:
        draw.text((left + width, upper), time, font=font, fill=DIM, anchor="ra")


def _gap_for(tile_width: int) -> int:
    return max(4, tile_width // 24)


def _font_for(tile_width: int) -> FreeTypeFont:
    # "#123456" and "00:00:00.000" side by side are about eleven times as wide as the font size.
    size = min(20, max(8, tile_width // 14))
    return cast("FreeTypeFont", ImageFont.load_default(size))


def _line_height(font: FreeTypeFont) -> int:
    ascent, descent = font.getmetrics()
    return int(ascent + descent)


def _shortened(text: str, font: FreeTypeFont, width: int) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."
