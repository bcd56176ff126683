"""Requests whose frames are delivered in batches."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

import numpy as np

from asyncframes._frames.batch import FrameBatch, make_batch
from asyncframes._frames.frame import Frame
from asyncframes._model.selection import Selection
from asyncframes._requests.jobs.images import BatchImages, refuse_too_large
from asyncframes._requests.limits import expected_shape
from asyncframes._requests.request import Request
from asyncframes._requests.video_requests import VideoRequests
from asyncframes._runtime.generators import Pinned, in_turns
from asyncframes._types import Image

# A batch of unknown length is decoded into arrays of this many frames, which are joined at the end.
_FRAMES_AT_ONCE = 64


async def one_batch(requests: VideoRequests, request: Request, *, max_bytes: int) -> FrameBatch:
    """Decode all frames of a request into one array; see `Video.batch`."""
    shape, dtype = expected_shape(requests.info, request.rendering), request.rendering.dtype
    image_bytes = math.prod(shape) * dtype.itemsize
    fitting = max_bytes // image_bytes
    selection, count = await _counted(requests, request.selection, fitting)
    refuse_too_large(count or 1, shape, image_bytes, max_bytes)
    size = max(1, min(_FRAMES_AT_ONCE, fitting) if count is None else count)
    images = BatchImages(size, image_bytes, max_bytes, requests.input.name)
    # All frames are held anyway. With room left after the last one, a decoder finds the end in the same step.
    request = replace(request, selection=selection, queue_maxsize=2 * size + 2)
    frames: list[Frame] = []
    async with aclosing(requests.frames(request, images)) as source:
        async for frame in source:
            frames.append(frame)
            refuse_too_large(len(frames), frame.image.shape, frame.image.nbytes, max_bytes)
    arrays = [images.take(number, len(frames) - number * size) for number in range(-(-len(frames) // size))]
    found = [array for array in arrays if array is not None] or [np.empty((0, *shape), dtype)]
    return _batch(requests, request, frames, found[0] if len(found) == 1 else np.concatenate(found))


async def batches(
    requests: VideoRequests, request: Request, *, size: int, drop_last: bool, max_bytes: int
) -> AsyncGenerator[FrameBatch, None]:
    """Decode the frames of a request into arrays of `size` frames; see `Video.batches`."""
    shape = expected_shape(requests.info, request.rendering)
    image_bytes = math.prod(shape) * request.rendering.dtype.itemsize
    refuse_too_large(size, shape, image_bytes, max_bytes)
    images = BatchImages(size, image_bytes, max_bytes, requests.input.name)
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
                    yield _batch(requests, request, done, array)
                del done, array
    last = images.take(number, len(frames))
    if last is not None and not drop_last:
        yield _batch(requests, request, frames, last)


def _batch(requests: VideoRequests, request: Request, frames: list[Frame], images: Image) -> FrameBatch:
    return make_batch(frames, images, requests.info, requests.known_count, request.rendering.image_format)


async def _counted(requests: VideoRequests, selection: Selection, most: int) -> tuple[Selection, int | None]:
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
