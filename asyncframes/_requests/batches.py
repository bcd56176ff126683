"""Requests whose frames are delivered in batches."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from asyncframes._frames.batch import FrameBatch, make_batch
from asyncframes._frames.frame import Frame
from asyncframes._model.rendering import Rendering
from asyncframes._model.selection import Selection
from asyncframes._requests.jobs.images import BatchImages, refuse_too_large
from asyncframes._requests.request import Request
from asyncframes._requests.requests import Requests
from asyncframes._runtime.generators import Pinned, in_turns
from asyncframes._types import Image, VideoInfo

# A batch of unknown length is decoded into arrays of this many frames, which are joined at the end.
_FRAMES_AT_ONCE = 64

_CHANNELS = {"rgb24": 3, "bgr24": 3, "rgba": 4, "rgb48": 3}


@dataclass(frozen=True, slots=True)
class _Shape:
    """The expected shape of an image. If the size changes mid-stream, images have other shapes."""

    shape: tuple[int, ...]
    dtype: type[np.uint8] | type[np.uint16]

    @property
    def image_bytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


async def one_batch(requests: Requests, request: Request, *, max_bytes: int) -> FrameBatch:
    """Decode all frames of a request into one array; see `Video.batch`."""
    expected = _expected(requests.info, request.rendering)
    fitting = max_bytes // max(expected.image_bytes, 1)
    selection, count = await _counted(requests, request.selection, fitting)
    refuse_too_large(count or 1, expected.shape, expected.image_bytes, max_bytes)
    size = max(1, min(_FRAMES_AT_ONCE, fitting) if count is None else count)
    images = BatchImages(size, max_bytes, requests.input.name)
    request = replace(request, selection=selection, queue_maxsize=size)
    frames: list[Frame] = []
    async with aclosing(requests.frames(request, images)) as source:
        async for frame in source:
            frames.append(frame)
            refuse_too_large(len(frames), frame.image.shape, frame.image.nbytes, max_bytes)
    arrays = [images.take(number, len(frames) - number * size) for number in range(-(-len(frames) // size))]
    return _batch(requests, frames, _joined([array for array in arrays if array is not None], expected))


async def batches(
    requests: Requests, request: Request, *, size: int, drop_last: bool, max_bytes: int
) -> AsyncGenerator[FrameBatch, None]:
    """Decode the frames of a request into arrays of `size` frames; see `Video.batches`."""
    expected = _expected(requests.info, request.rendering)
    refuse_too_large(size, expected.shape, expected.image_bytes, max_bytes)
    images = BatchImages(size, max_bytes, requests.input.name)
    number, frames = 0, list[Frame]()
    source = requests.frames(replace(request, queue_maxsize=size), images)
    async with Pinned(aclosing(source), requests.departures) as source:
        async for frame in source:
            frames.append(frame)
            del frame
            if len(frames) == size:
                array = images.take(number, size)
                done, frames, number = frames, [], number + 1
                if array is not None:
                    yield _batch(requests, done, array)
                del done, array
    last = images.take(number, len(frames))
    if last is not None and not drop_last:
        yield _batch(requests, frames, last)


def _batch(requests: Requests, frames: list[Frame], images: Image) -> FrameBatch:
    return make_batch(frames, images, requests.info, requests.known_count)


async def _counted(requests: Requests, selection: Selection, most: int) -> tuple[Selection, int | None]:
    """Return the frames as a selection that needs no further reading, and the most that may come.

    The number is ``None`` if it is known only at the end of a sequential source. A range from
    the beginning with a given end needs no frame table, unless its end may be far beyond the
    video's.
    """
    selection = await in_turns(selection.read())
    if requests.goes_forward(selection):
        start, end, step = selection.forward_range
        bound = None if end is None else len(range(start, end + 1, step))
        if requests.input.sequential:
            return selection, None
        if bound is not None and bound <= most:
            return selection, bound
    order = await requests.resolve(selection)
    return Selection(indices=order), len(order)


def _expected(info: VideoInfo, rendering: Rendering) -> _Shape:
    """Return the shape of images according to the header."""
    width, height = info.width, info.height
    pixel_shape = info.sample_aspect_ratio
    if not rendering.autorotate:
        width, height = info.coded_width, info.coded_height
    elif info.rotation % 180:
        pixel_shape = 1 / pixel_shape if pixel_shape else Fraction(1)
    width, height = rendering.size_of(width, height, pixel_shape)
    wide = np.uint16 if rendering.image_format in ("rgb48", "gray16") else np.uint8
    if rendering.image_format == "i420":
        return _Shape((height * 3 // 2, width), wide)
    channels = _CHANNELS.get(rendering.image_format)
    return _Shape((height, width) if channels is None else (height, width, channels), wide)


def _joined(arrays: list[Image], expected: _Shape) -> Image:
    if not arrays:
        return np.empty((0, *expected.shape), expected.dtype)
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
