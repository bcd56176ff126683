"""One call from a source to a writer: `stream_frames_to_writer`."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from fractions import Fraction
from typing import Unpack

from asyncframes._model.rendering import make_rendering
from asyncframes._model.selection import make_selection
from asyncframes._streaming import opened_video
from asyncframes._types import ImageFormat, OnCorrupt, PictureOptions, ProgressCallback, TimeRange
from asyncframes._video import Video
from asyncframes.abc import FrameWriter
from asyncframes.sources import SourceLike
from asyncframes.writers import write_frames


async def stream_frames_to_writer(
    source: SourceLike | Video,
    writer: FrameWriter,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
    *,
    indices: Iterable[int] | None = None,
    times: Iterable[float | Fraction] | None = None,
    time_range: TimeRange | None = None,
    fps: float | Fraction | None = None,
    keyframes: bool = False,
    tolerance_seconds: float | Fraction = 0,
    progress_cb: ProgressCallback | None = None,
    max_write_workers: int = 4,
    queue_maxsize: int = 32,
    image_format: ImageFormat = "rgb24",
    on_corrupt: OnCorrupt = "raise",
    threads: int | None = None,
    executor: Executor | None = None,
    **picture: Unpack[PictureOptions],
) -> list[str]:
    """Open a video, write frames with a writer, and close both.

    The writer is closed by its `FrameWriter.abort` where anything fails. For
    frames of several videos in one writer use `write_frames`. Peak memory is as
    for `stream_frames_to_dir`.

    Parameters
    ----------
    source
        What `open_video` takes, or a `Video`, which is then left open.
    writer
        Takes the frames, in the order asked.
    start, end, step, indices, times, time_range, fps, keyframes, tolerance_seconds
        As for `Video.frames`.
    progress_cb
        Called with 1 after each frame is taken, on the event loop; plain or async.
    max_write_workers
        How many frames the writer has in hand at once.
    queue_maxsize
        How many frames are decoded ahead of the writer.
    image_format
        As for `Video.frames`.
    on_corrupt, threads, executor
        As for `open_video`; a `Video` keeps its own.
    **picture
        How images are made; see `PictureOptions`.

    Returns
    -------
    list of str
        What the writer said of each frame.

    Raises
    ------
    FrameWriteError
        A frame could not be stored.
    AsyncFramesError
        As `open_video` and `Video.frames` do.
    ValueError
        The selection is invalid.
    """
    make_rendering(image_format, picture)
    selection = make_selection(
        start,
        end,
        step,
        indices=indices,
        times=times,
        time_range=time_range,
        fps=fps,
        keyframes=keyframes,
        tolerance_seconds=tolerance_seconds,
    )
    opened = opened_video(source, on_corrupt=on_corrupt, threads=threads, executor=executor)
    async with writer, opened as video:
        frames = video.frames(
            **selection.arguments(), image_format=image_format, queue_maxsize=queue_maxsize, **picture
        )
        return await write_frames(
            frames, writer, max_write_workers=max_write_workers, progress_cb=progress_cb
        )
