"""Steps from frame to frame: pictures around the last request are decoded once and kept."""

from __future__ import annotations

from concurrent.futures import Executor

import numpy as np

from asyncframes._frames.frame import Frame
from asyncframes._media.codec.kept_pictures import KeptPictures
from asyncframes._media.image.convert import Converter
from asyncframes._model.rendering import Rendering
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._runtime.threads import in_thread
from asyncframes._types import VideoInfo

# A request this many frames from the one before is a step, even if it is in another GOP.
_STEP = 8

# The most pictures decoded for one step. A step that finds none kept waits for them.
_MOST_ROWS = 128

# Steps are decoded ahead into this share of the bound, so that those around the last request stay.
_SHARE = 2

_MOST_CONVERTERS = 2


class Steps:
    """Serves single frames from kept pictures, and decides which pictures to keep.

    Parameters
    ----------
    pictures
        The kept pictures of the video.
    executor
        Converts them.
    source
        Name of the video, for errors.
    """

    def __init__(self, pictures: KeptPictures, executor: Executor, source: str) -> None:
        self.pictures = pictures
        self._executor = executor
        self._source = source
        self._last: int | None = None
        self._idle: list[Converter] = []

    def may_keep(self, rendering: Rendering, info: VideoInfo) -> bool:
        """Whether kept pictures are all that images of this kind are made of."""
        # Deinterlacing needs neighbours, and opacity may be a picture of its own.
        return not rendering.deinterlace and not (info.has_alpha and rendering.image_format == "rgba")

    async def kept_frame(
        self, table: FrameTable, index: int, rendering: Rendering, info: VideoInfo
    ) -> Frame | None:
        """Make a frame from a kept picture; ``None`` if there is none."""
        if index not in self.pictures.rows or not self.may_keep(rendering, info):
            return None
        self._last = index
        return await in_thread(self._executor, self._made, table, index, rendering, info)

    def _made(self, table: FrameTable, index: int, rendering: Rendering, info: VideoInfo) -> Frame | None:
        picture = self.pictures.get(table, index)
        if picture is None:
            return None
        convert = self._converter_for(rendering, info)
        image = convert(picture.frame)
        convert.rest()
        if len(self._idle) < _MOST_CONVERTERS:
            self._idle.append(convert)
        return Frame(
            index=index,
            image=image,
            pts=table.pts_of(index),
            time_base=table.time_base,
            is_keyframe=picture.frame.key_frame,
            duration_seconds=table.duration_seconds_of(index),
            image_format=rendering.image_format,
        )

    def _converter_for(self, rendering: Rendering, info: VideoInfo) -> Converter:
        """Return a converter for this thread alone; an idle one of another rendering is dropped."""
        try:
            idle = self._idle.pop()
        except IndexError:
            idle = None
        if idle is None or idle.rendering != rendering:
            return Converter(rendering, info.sample_aspect_ratio, self._source)
        return idle

    def rows_for(self, table: FrameTable, index: int, info: VideoInfo) -> Int64Array:
        """Return the frames whose pictures are kept while `index` is decoded: `index` itself, at least.

        A step forward keeps the rest of its GOP, and a step back what comes before it in its GOP.
        """
        last, self._last = self._last, index
        alone = np.array([index], np.int64)
        if last is None or last == index:
            return alone
        most = min(_MOST_ROWS, self._fitting(info))
        if index > last:
            rows = np.arange(index, min(index + most, len(table)))
        else:
            rows = np.arange(max(index + 1 - most, 0), index + 1)
        start = table.start_for(index)
        if most < 1 or (abs(index - last) > _STEP and table.start_for(last) != start):
            return alone
        rows = rows[table.starts_for(rows) == start]
        return rows if len(rows) else alone

    def missing(self, rows: Int64Array, info: VideoInfo) -> Int64Array:
        """Return the first of some frames whose pictures are not kept yet, as many as fit."""
        missing = [row for row in rows.tolist() if row not in self.pictures.rows]
        return np.array(missing[: self._fitting(info)], np.int64)

    def _fitting(self, info: VideoInfo) -> int:
        return self.pictures.fitting(info.coded_width * info.coded_height * 3 // 2) // _SHARE

    def close(self) -> None:
        """Drop the pictures and what converts them."""
        self.pictures.close()
        self._idle.clear()
