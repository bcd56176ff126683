"""The functions of ``supervisely.video.sampling`` that stream frames, with the same signatures.

::

    from asyncframes.supervisely import stream_video_frames_to_dir

The import is the only line to change. The SDK is not required: a `SuperviselyServer` replaces
its ``Api`` object. ``docs/supervisely.md`` lists the differences, and the reasons for them.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, aclosing, asynccontextmanager, nullcontext
from typing import Any, Literal, TypeAlias

from asyncframes._frames.frame import Frame
from asyncframes._model.color import UNSPECIFIED_SPACES
from asyncframes._opening import open_video
from asyncframes._runtime.threads import in_thread, run_to_completion
from asyncframes._saving.progress import packet_bars
from asyncframes._types import Image, PacketProgress
from asyncframes._video import Video
from asyncframes.abc import FrameWriter
from asyncframes.sources._supervisely.server import SuperviselyServer
from asyncframes.sources._supervisely.source import SuperviselyApi, SuperviselySource
from asyncframes.sync import _blocking
from asyncframes.writers import DirectoryWriter, write_frames
from asyncframes.writers._fill import call_writer

__all__ = [
    "SuperviselyApi",
    "SuperviselyServer",
    "SuperviselySource",
    "async_stream_video_frames",
    "async_stream_video_frames_to_dir",
    "stream_video_frames_to_dir",
]

AnyWriter: TypeAlias = Callable[[str, Image], Any]
"""Stores an image at a path. An awaitable result is awaited; any other is ignored."""


async def async_stream_video_frames(
    api: SuperviselyApi | SuperviselyServer,
    video_id: int,
    start: int | None = None,
    end: int | None = None,
    queue_maxsize: int = 32,
    show_decoding_progress: bool = False,
) -> AsyncGenerator[tuple[int, Image], None]:
    """Stream frames of a video.

    Damaged frames are omitted; one warning in the log counts them and names the first.

    Parameters
    ----------
    api
        The SDK's ``Api`` object, or a replacement that `SuperviselySource` accepts.
    video_id
        ID of the video.
    start, end
        First and last frame, both inclusive, from 0. A negative `start` becomes 0. An
        `end` past the last frame clamps.
    queue_maxsize
        How many frames are decoded ahead of the consumer.
    show_decoding_progress
        Show tqdm bars that count packets.

    Yields
    ------
    tuple of (int, ndarray)
        Frame index, and the image: ``uint8``, ``(height, width, 3)``, RGB.

    Raises
    ------
    FrameIndexError
        `start` is past the last frame.
    SourceError
        The server or its storage does not deliver the bytes.
    MediaError
        The bytes are not a video that can be decoded.
    ValueError
        `end` is before `start`.
    """
    first, last = _bounds(start, end)
    async with (
        _opened(api, video_id, show_decoding_progress=show_decoding_progress) as video,
        aclosing(_frames(video, first, last, queue_maxsize)) as frames,
    ):
        async for frame in frames:
            yield frame.index, frame.image
            del frame


async def async_stream_video_frames_to_dir(
    api: SuperviselyApi | SuperviselyServer,
    video_id: int,
    output_dir: str | os.PathLike[str],
    start: int | None = None,
    end: int | None = None,
    ext: str = "png",
    progress_cb: Callable[[int], Any] | None = None,
    image_writer: AnyWriter | None = None,
    max_write_workers: int = 4,
    queue_maxsize: int = 32,
    show_decoding_progress: bool = False,
) -> list[str]:
    """Write frames of a video as image files ``frame_<index:06d>.<ext>``.

    Existing files are replaced. Each file appears only once complete.
    Damaged frames are omitted; one warning in the log counts them and names the first.

    Parameters
    ----------
    api, video_id
        As for `async_stream_video_frames`.
    output_dir
        Directory for the files; created if it does not exist.
    start, end
        As for `async_stream_video_frames`.
    ext
        Kind of image file: png, jpg, npy, or any that imageio writes.
    progress_cb
        Called with 1 after each file is on disk, on the event loop; plain or async.
    image_writer
        Called with each path and image instead of the encoders: in a thread, or on
        the event loop if it is async. It decides what to write, and where.
    max_write_workers
        How many frames are encoded and written at once.
    queue_maxsize
        How many frames are decoded ahead of the writers.
    show_decoding_progress
        Show tqdm bars that count packets.

    Returns
    -------
    list of str
        Absolute paths, in frame order.

    Raises
    ------
    FrameWriteError
        A frame could not be stored.
    Exception
        Whatever `image_writer` or `progress_cb` raises, unchanged.
    AsyncFramesError
        As `async_stream_video_frames` does.
    ValueError
        `end` is before `start`, `ext` cannot be written, or a number is below 1.
    """
    first, last = _bounds(start, end)
    async with _workers(max_write_workers) as executor:
        files = DirectoryWriter(
            output_dir, ext=ext, overwrite="replace", image_writer=image_writer, executor=executor
        )
        writer = files if image_writer is None else _CallersWriter(files, image_writer, executor)
        async with _opened(api, video_id, show_decoding_progress=show_decoding_progress) as video:
            await files.prepare()
            frames = _frames(video, first, last, queue_maxsize)
            return await write_frames(
                frames, writer, max_write_workers=max_write_workers, progress_cb=progress_cb
            )


_to_dir = _blocking(async_stream_video_frames_to_dir)


def stream_video_frames_to_dir(
    api: SuperviselyApi | SuperviselyServer,
    video_id: int,
    output_dir: str | os.PathLike[str],
    start: int | None = None,
    end: int | None = None,
    ext: str = "png",
    progress_cb: Callable[[int], Any] | None = None,
    image_writer: AnyWriter | None = None,
    max_write_workers: int = 4,
    queue_maxsize: int = 32,
    show_decoding_progress: bool = False,
) -> list[str]:
    """Do what `async_stream_video_frames_to_dir` does, blocking.

    Works in a script, in any thread, and inside a running loop, which it blocks.
    `progress_cb` is called in another thread.

    Parameters
    ----------
    api, video_id, output_dir, start, end, ext, progress_cb, image_writer, max_write_workers, \
queue_maxsize, show_decoding_progress
        As for `async_stream_video_frames_to_dir`.

    Returns
    -------
    list of str
        Absolute paths, in frame order.

    Raises
    ------
    AsyncFramesError
        As for `async_stream_video_frames_to_dir`, like every other error.
    """
    return _to_dir(
        api,
        video_id,
        output_dir,
        start=start,
        end=end,
        ext=ext,
        progress_cb=progress_cb,
        image_writer=image_writer,
        max_write_workers=max_write_workers,
        queue_maxsize=queue_maxsize,
        show_decoding_progress=show_decoding_progress,
    )


class _CallersWriter(FrameWriter):
    """Passes images to the user's function, with the path that each frame's file would have."""

    def __init__(self, files: DirectoryWriter, image_writer: AnyWriter, executor: Executor) -> None:
        self._files = files
        self._image_writer = image_writer
        self._executor = executor

    async def write(self, frame: Frame) -> str:
        path = self._files.path_for(frame.index)
        await call_writer(self._image_writer, path, frame.image, self._executor)
        return path


def _bounds(start: int | None, end: int | None) -> tuple[int, int | None]:
    """Clamp a negative start, as the SDK does. Refuse an empty range, where the SDK returns one frame."""
    first = max(0, start or 0)
    if end is not None and end < first:
        raise ValueError(f"end={end} is before start={first}: expected start <= end, both inclusive")
    return first, end


def _frames(video: Video, first: int, last: int | None, queue_maxsize: int) -> AsyncGenerator[Frame, None]:
    """Request frames in the SDK's colours: if the stream names no matrix, FFmpeg uses BT.601."""
    is_untagged = video.info.color_space in UNSPECIFIED_SPACES and video.info.color_matrix != "rgb"
    matrix: Literal["bt601", "auto"] = "bt601" if is_untagged else "auto"
    return video.frames(first, last, queue_maxsize=queue_maxsize, color_matrix=matrix)


@asynccontextmanager
async def _opened(
    api: SuperviselyApi | SuperviselyServer, video_id: int, *, show_decoding_progress: bool
) -> AsyncIterator[Video]:
    source = SuperviselySource(api, video_id)
    with _bars(video_id) if show_decoding_progress else nullcontext() as progress:
        async with open_video(source, on_corrupt="skip", packet_progress=progress) as video:
            yield video


def _bars(video_id: int) -> AbstractContextManager[PacketProgress]:
    labels = {"index": f"Demuxing video ID {video_id}", "decode": f"Decoding video ID {video_id}"}
    return packet_bars(labels, leave=False)


@asynccontextmanager
async def _workers(number: int) -> AsyncIterator[Executor]:
    """Provide a thread for each concurrent write. The loop's own executor may have fewer."""
    if number < 1:
        raise ValueError(f"max_write_workers={number}: expected 1 or more")
    executor = ThreadPoolExecutor(number, thread_name_prefix="asyncframes write")
    try:
        yield executor
    finally:
        await run_to_completion(in_thread(None, executor.shutdown))
