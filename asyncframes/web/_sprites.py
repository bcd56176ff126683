"""Sprite sheets of open videos."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from asyncframes._frames.sprites import SpriteLayout, sprite_vtt
from asyncframes._model.shown import ticks_shown
from asyncframes._model.table import FrameTable
from asyncframes._types import Image
from asyncframes._video import Video
from asyncframes.errors import FrameIndexError

COLUMNS = 10
WIDTH = 160
TILES = 100
"""How many tiles there are at most if the interval is not given, which is then at least a second."""


@dataclass(frozen=True, slots=True)
class Sprites:
    """What is on a sprite sheet.

    Attributes
    ----------
    layout
        Where the tiles are.
    indices
        The frame of each tile.
    times
        From when each tile is shown, in seconds.
    end
        Until when the last one is.
    """

    layout: SpriteLayout
    indices: tuple[int, ...]
    times: tuple[Fraction, ...]
    end: Fraction

    def vtt(self, image: str) -> str:
        """Return the WebVTT for a sheet at an address."""
        return sprite_vtt(self.layout, self.times, self.end, image)


def bounds_of(table: FrameTable) -> tuple[Fraction, Fraction]:
    """Return from when to when the video is shown, in exact seconds.

    Raises
    ------
    FrameIndexError
        It has no frames.
    ValueError
        It has neither times nor a rate.
    """
    if not len(table):
        raise FrameIndexError("the video has no frames", length=0)
    ticks = table.ticks()
    last = ticks_shown(ticks, len(table) - 1, int(table.packets.duration[table.packet_of[-1]]))
    return int(ticks[0]) * table.time_base, (int(ticks[-1]) + last) * table.time_base


async def plan_sprites(
    video: Video, *, every: Fraction | None, columns: int = COLUMNS, width: int = WIDTH, most: int
) -> Sprites:
    """Plan a sheet with the frame that is shown at each multiple of an interval, from the first frame on.

    Parameters
    ----------
    video
        The open video.
    every
        Seconds from one tile to the next; by default as many as give `TILES`, but at least one.
    columns
        Most tiles in a row.
    width
        Width of a tile; the height follows from the video.
    most
        Most tiles.

    Raises
    ------
    ValueError
        The interval is not positive, or there would be too many tiles.
    """
    table = await video.frame_table()
    begin, end = bounds_of(table)
    if every is None:
        every = max(Fraction(1), (end - begin) / TILES)
    if every <= 0:
        raise ValueError(f"every={float(every):g}: expected more than 0 seconds")
    tiles = max(1, -((begin - end) // every))
    if tiles > most:
        raise ValueError(f"{tiles} tiles: expected at most {most}; ask for a longer interval")
    height = max(1, round(video.info.height * width / video.info.width))
    layout = SpriteLayout(tiles, columns, width, height)
    times = tuple(begin + place * every for place in range(tiles))
    shown = await video.indices(times=times)
    return Sprites(layout, tuple(shown.tolist()), times, max(end, times[-1]))


async def draw_sprites(video: Video, sprites: Sprites) -> Image:
    """Decode the frames of a sheet, each scaled as it comes. Of the source, only their GOPs are read."""
    layout = sprites.layout
    sheet = layout.blank()
    indices = np.array(sprites.indices, np.int64)
    size = (layout.width, layout.height)
    async with aclosing(video.frames(indices=indices, resize=size, queue_maxsize=4)) as frames:
        place = 0
        async for frame in frames:
            layout.put(sheet, place, frame.image)
            place += 1
    return sheet
