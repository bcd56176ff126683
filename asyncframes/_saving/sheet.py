"""A contact sheet of the frames that a request selects."""

from __future__ import annotations

import operator
from contextlib import aclosing
from dataclasses import replace
from inspect import isawaitable

from asyncframes._frames.frame import Frame
from asyncframes._frames.sheet import ContactSheet
from asyncframes._model.options import FrameOptions, SheetOptions, option, part_of
from asyncframes._model.selection import Selection
from asyncframes._model.table import Int64Array
from asyncframes._requests.request import make_request
from asyncframes._requests.video_requests import VideoRequests
from asyncframes._runtime.threads import in_thread, run_to_completion
from asyncframes.sources._limits import check_counts

_QUEUE = 4


class SheetRequest:
    """A request for a contact sheet.

    Raises
    ------
    ValueError
        The selection or an option is invalid. Nothing has been read.
    """

    def __init__(self, start: int | None, end: int | None, step: int, options: SheetOptions) -> None:
        self._columns, self._rows, self._width = (
            _positive(options, name) for name in ("columns", "rows", "width")
        )
        self._title: str | None = option(options, "title")
        self._progress_cb = option(options, "progress_cb")
        frame_options = part_of(options, FrameOptions)
        self._request = make_request(start, end, step, {**frame_options, "queue_maxsize": _QUEUE})

    async def run(self, requests: VideoRequests) -> ContactSheet:
        """Decode the frames, each scaled down as it comes, and draw the sheet in a thread."""
        selected = await requests.resolve(self._request.selection)
        if not len(selected):
            raise ValueError("no frame is selected: a contact sheet needs at least one")
        indices = spread(selected, self._columns * self._rows)
        frames = await self._decoded(requests, indices)
        return await run_to_completion(in_thread(requests.executor, self._draw, frames))

    async def _decoded(self, requests: VideoRequests, indices: Int64Array) -> list[Frame]:
        tiles = []
        asked = replace(self._request, selection=Selection(indices=indices))
        async with aclosing(requests.frames(asked)) as frames:
            async for frame in frames:
                job = in_thread(requests.executor, self._tile, frame, len(indices))
                tiles.append(await run_to_completion(job))
                del frame, job
                if self._progress_cb is not None and isawaitable(outcome := self._progress_cb(1)):
                    await outcome
        return tiles

    def _tile(self, frame: Frame, frames: int) -> Frame:
        # Pillow takes 50 ms to import: this is called in a thread, and so is `_draw`.
        from asyncframes._frames.drawing import Layout, tile_width_for

        tile_width = tile_width_for(self._width, self._columns)
        return Layout(frames, self._columns, tile_width, self._title).tile(frame)

    def _draw(self, frames: list[Frame]) -> ContactSheet:
        from asyncframes._frames.drawing import contact_sheet, tile_width_for

        tile_width = tile_width_for(self._width, self._columns)
        return contact_sheet(frames, columns=self._columns, tile_width=tile_width, title=self._title)


def spread(indices: Int64Array, number: int) -> Int64Array:
    """Pick at most `number` of `indices`, from the middles of as many equal parts."""
    number = min(number, len(indices))
    return indices[[(2 * part + 1) * len(indices) // (2 * number) for part in range(number)]]


def _positive(options: SheetOptions, name: str) -> int:
    value = operator.index(option(options, name))
    check_counts(least=1, **{name: value})
    return value
