"""Functions that open a video, stream or write its frames, and close it."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from typing import Unpack

from asyncframes._model.options import (
    FrameOptions,
    OpenOptions,
    StreamOptions,
    StreamToDirOptions,
    StreamToWriterOptions,
    option,
    part_of,
    with_options,
)
from asyncframes._opening import open_video
from asyncframes._requests.request import Request, make_request
from asyncframes._runtime.generators import Pinned
from asyncframes._runtime.life import GuardedFrames
from asyncframes._saving.progress import packet_bars
from asyncframes._saving.save import Saving, write
from asyncframes._types import Image
from asyncframes._video import Video
from asyncframes.abc import FrameWriter
from asyncframes.sources import SourceLike
from asyncframes.writers._pipeline import check_writer


@with_options(StreamOptions)
def stream_frames(
    source: SourceLike,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
    **options: Unpack[StreamOptions],
) -> AsyncGenerator[tuple[int, Image], None]:
    """Open a video, stream frames, and close it.

    Parameters
    ----------
    source
        As for `open_video`.
    start, end, step
        As for `Video.frames`.
    **options
        Options of `Video.frames` and of `open_video`.

    Yields
    ------
    tuple of (int, ndarray)
        Frame index and image; see `Frame.image`.

    Raises
    ------
    AsyncFramesError
        As `open_video` and `Video.frames` do.
    ValueError
        The selection or an option is invalid.
    """
    request = make_request(start, end, step, part_of(options, FrameOptions))
    opened = open_video(source, **part_of(options, OpenOptions))
    return GuardedFrames(_images(opened, request), "the iterator of stream_frames")


async def _images(
    opened: AbstractAsyncContextManager[Video], request: Request
) -> AsyncGenerator[tuple[int, Image], None]:
    async with Pinned(opened) as video, Pinned(aclosing(video._requests.frames(request))) as frames:
        async for frame in frames:
            yield frame.index, frame.image
            del frame


@with_options(StreamToDirOptions)
async def stream_frames_to_dir(
    source: SourceLike,
    output_dir: str | os.PathLike[str],
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
    **options: Unpack[StreamToDirOptions],
) -> list[str]:
    """Open a video, write frames as image files, and close it.

    Peak memory is about ``(queue_maxsize + max_write_workers + 1) * frame_bytes``,
    plus the source's cache and the codec's own pictures.

    Parameters
    ----------
    source
        As for `open_video`.
    output_dir
        Directory for the files. Created if it does not exist.
    start, end, step
        As for `Video.frames`. A frame that is selected twice is written once.
    **options
        Options of `Video.save` and of `open_video`, and ``show_decoding_progress=True``
        for tqdm bars that count packets.

    Returns
    -------
    list of str
        Absolute paths in frame order, including those of files that already existed.

    Raises
    ------
    FrameWriteError
        As `Video.save` does.
    AsyncFramesError
        As `open_video` and `Video.frames` do.
    ValueError
        The selection or an option is invalid.
    """
    opening = part_of(options, OpenOptions)
    saving = Saving(output_dir, start, end, step, options, opening)
    if (paths := await saving.finished(source)) is not None:
        return paths
    with packet_bars() if option(options, "show_decoding_progress") else nullcontext() as progress:
        if progress is not None:
            opening["packet_progress"] = progress
        async with open_video(source, **opening) as video:
            return await saving.run(video._requests)


@with_options(StreamToWriterOptions)
async def stream_frames_to_writer(
    source: SourceLike,
    writer: FrameWriter,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
    **options: Unpack[StreamToWriterOptions],
) -> list[str]:
    """Open a video, write frames with a writer, and close both.

    If anything fails, `FrameWriter.abort` closes the writer. To write frames of several
    videos with one writer, use `write_frames`. Peak memory is the same as for
    `stream_frames_to_dir`.

    Parameters
    ----------
    source
        As for `open_video`.
    writer
        Receives the frames, in the order requested.
    start, end, step
        As for `Video.frames`.
    **options
        Options of `Video.write` and of `open_video`.

    Returns
    -------
    list of str
        What the writer returned for each frame.

    Raises
    ------
    FrameWriteError
        A frame could not be stored.
    AsyncFramesError
        As `open_video` and `Video.frames` do.
    TypeError
        `writer` is not a `FrameWriter`.
    ValueError
        The selection or an option is invalid.
    """
    check_writer(writer)
    request = make_request(start, end, step, part_of(options, FrameOptions))
    async with writer, open_video(source, **part_of(options, OpenOptions)) as video:
        return await write(video._requests, request, writer, options)
