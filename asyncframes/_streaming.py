"""One-call helpers: `stream_frames` and `stream_frames_to_dir`."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from fractions import Fraction
from functools import partial
from typing import Unpack

import numpy as np

from asyncframes._made_of import made_of
from asyncframes._media.progress import PacketProgress
from asyncframes._model.color import is_as_in_jpeg
from asyncframes._model.rendering import make_rendering
from asyncframes._model.selection import Selection, make_selection
from asyncframes._model.table import BoolArray, Int64Array
from asyncframes._opening import open_video
from asyncframes._progress import packet_bars
from asyncframes._requests.plan import each
from asyncframes._runtime.generators import Kept
from asyncframes._runtime.life import GuardedFrames
from asyncframes._runtime.threads import in_thread
from asyncframes._types import (
    Image,
    ImageFormat,
    ImageWriter,
    OnCorrupt,
    Overwrite,
    PictureOptions,
    ProgressCallback,
    TimeRange,
    VideoInfo,
)
from asyncframes._video import Video
from asyncframes.sources import SourceLike
from asyncframes.writers import DirectoryWriter, write_frames
from asyncframes.writers._encoders import is_jpeg

_EXTENSIONS_16_BIT = {"png", "npy", "raw"}


def stream_frames(
    source: SourceLike | Video,
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
    image_format: ImageFormat = "rgb24",
    on_corrupt: OnCorrupt = "raise",
    queue_maxsize: int = 32,
    threads: int | None = None,
    **picture: Unpack[PictureOptions],
) -> AsyncGenerator[tuple[int, Image], None]:
    """Open a video, stream frames, and close it.

    Parameters
    ----------
    source
        What `open_video` takes, or a `Video`, which is then left open.
    start, end, step, indices, times, time_range, fps, keyframes, tolerance_seconds, image_format
        As for `Video.frames`.
    on_corrupt
        As for `open_video`; a `Video` keeps its own.
    queue_maxsize
        As for `Video.frames`.
    threads
        As for `open_video`; a `Video` keeps its own.
    **picture
        How images are made; see `PictureOptions`.

    Yields
    ------
    tuple of (int, ndarray)
        Frame index, and the image as `Frame.image` describes it.

    Raises
    ------
    AsyncFramesError
        As `open_video` and `Video.frames` do.
    ValueError
        The selection is invalid.
    """
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
    make_rendering(image_format, picture)
    opened = opened_video(source, on_corrupt=on_corrupt, threads=threads)
    frames = _stream(opened, selection, image_format, queue_maxsize, picture)
    return GuardedFrames(frames, "the iterator of stream_frames")


async def _stream(
    opened: AbstractAsyncContextManager[Video],
    selection: Selection,
    image_format: ImageFormat,
    queue_maxsize: int,
    picture: PictureOptions,
) -> AsyncGenerator[tuple[int, Image], None]:
    async with Kept(opened) as video:
        stream = video.frames(
            **selection.arguments(), image_format=image_format, queue_maxsize=queue_maxsize, **picture
        )
        async with Kept(aclosing(stream)) as frames:
            async for frame in frames:
                yield frame.index, frame.image
                del frame


async def stream_frames_to_dir(
    source: SourceLike | Video,
    output_dir: str | os.PathLike[str],
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
    ext: str = "png",
    template: str = "frame_{index:06d}.{ext}",
    quality: int | None = None,
    compression_level: int | None = None,
    overwrite: Overwrite = "error",
    image_writer: ImageWriter | None = None,
    progress_cb: ProgressCallback | None = None,
    show_decoding_progress: bool = False,
    max_write_workers: int = 4,
    queue_maxsize: int = 32,
    image_format: ImageFormat = "rgb24",
    on_corrupt: OnCorrupt = "raise",
    threads: int | None = None,
    executor: Executor | None = None,
    **picture: Unpack[PictureOptions],
) -> list[str]:
    """Write frames as image files.

    Each file appears whole under its name or not at all. Peak memory is about
    ``(queue_maxsize + max_write_workers + 1) * frame_bytes``, besides the cache
    of the source and the codec's own pictures.

    Parameters
    ----------
    source
        What `open_video` takes, or a `Video`, which is then left open.
    output_dir
        Where the files go; made if it is not there.
    start, end, step, indices, times, time_range, fps, keyframes, tolerance_seconds
        As for `Video.frames`; a frame named twice is written once.
    ext
        Kind of image file: png, jpg, npy, raw (the array's bytes), or any that imageio writes.
    template
        File name, formatted with ``index``, ``ext``, ``pts`` and ``seconds``.
    quality, compression_level
        Of the encoder, where it has them.
    overwrite
        What to do where a file is already there: ``"error"``, ``"replace"``, or
        ``"skip"``, which leaves it and does not decode its frame again, so that
        a run that was killed goes on where it stopped. Only files are left that
        this request would make: the hidden file ``.asyncframes.json`` in the
        directory says of which source, by its name, size and validator, and with
        which options files are. Those that it tells nothing of are an error too.
    image_writer
        Plain or async function ``(path, image)`` that stores an image at a
        temporary path in place of the encoder.
    progress_cb
        Called with 1 after each file is on disk, on the event loop; plain or async.
    show_decoding_progress
        Show tqdm bars that count packets.
    max_write_workers
        How many frames are encoded and written at once.
    queue_maxsize
        How many frames are decoded ahead of the writers.
    image_format
        Any but ``"bgr24"``, which is for an `image_writer`; ``"rgb48"`` and
        ``"gray16"`` go into png, npy and raw files, ``"i420"`` into jpg, npy and raw.
        A jpg of RGB is made of the planes as they were decoded where these are
        what JPEG stores: 8-bit 4:2:0 of BT.601 in full range.
    on_corrupt, threads, executor
        As for `open_video`; a `Video` keeps its own.
    **picture
        How images are made; see `PictureOptions`.

    Returns
    -------
    list of str
        Absolute paths, in frame order; those that were already there included.

    Raises
    ------
    FrameWriteError
        A frame could not be stored; `FrameExistsError` where its file is already there,
        `FrameMismatchError` where ``overwrite="skip"`` would keep another video's.
    AsyncFramesError
        As `open_video` and `Video.frames` do.
    ValueError
        The selection or an option of the writer is invalid.
    """
    make_rendering(image_format, picture)
    if image_writer is None:
        _refuse_what_encoders_lack(image_format, ext)
    make_writer = partial(
        DirectoryWriter,
        output_dir,
        ext=ext,
        template=template,
        quality=quality,
        compression_level=compression_level,
        overwrite=overwrite,
        image_writer=image_writer,
        executor=executor,
    )
    writer = make_writer(image_format=image_format)
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
    asked = selection.arguments()
    async with AsyncExitStack() as stack:
        progress = stack.enter_context(packet_bars()) if show_decoding_progress else None
        opened = opened_video(
            source, on_corrupt=on_corrupt, threads=threads, executor=executor, packet_progress=progress
        )
        video = await stack.enter_async_context(opened)
        if image_writer is None and image_format == "rgb24" and is_jpeg(ext) and not picture:
            image_format = "i420" if _holds_jpeg_planes(video.info) else image_format
            writer = make_writer(image_format=image_format)
        await writer.prepare()
        facts = await made_of(
            video,
            image_format=image_format,
            picture=picture,
            ext=ext,
            quality=quality,
            compression_level=compression_level,
            image_writer=image_writer,
        )
        await writer._expect(facts)
        chosen, is_there = await _plan(video, selection, writer, overwrite, executor)
        await writer._claim()
        wanted = {"indices": chosen[~is_there]} if chosen is not None else asked
        frames = video.frames(**wanted, image_format=image_format, queue_maxsize=queue_maxsize, **picture)
        written = await write_frames(
            frames, writer, max_write_workers=max_write_workers, progress_cb=progress_cb
        )
    if chosen is None or not is_there.any():
        return written
    return await in_thread(executor, _all_paths, writer, chosen, is_there, written)


def _all_paths(
    writer: DirectoryWriter, chosen: Int64Array, is_there: BoolArray, written: list[str]
) -> list[str]:
    # Damaged frames that were left out have no file.
    stored = set(written)
    paths = zip(map(writer.path_for, each(chosen)), is_there.tolist(), strict=True)
    return [path for path, there in paths if there or path in stored]


def _refuse_what_encoders_lack(image_format: ImageFormat, ext: str) -> None:
    if image_format == "bgr24":
        raise ValueError(
            'image_format="bgr24": the encoders expect RGB; use "rgb24", or an image_writer of your own'
        )
    if image_format in {"rgb48", "gray16"} and ext.lower().removeprefix(".") not in _EXTENSIONS_16_BIT:
        raise ValueError(f'image_format="{image_format}" goes into png, npy and raw files, not {ext}')


def _holds_jpeg_planes(info: VideoInfo) -> bool:
    """Whether pictures are stored as JPEG stores them, so that no sample needs to be touched.

    To convert the range or the matrix of planes costs as much as the way by RGB.
    """
    full = info.color_range == "full" or info.pixel_format.startswith("yuvj")
    even = not info.width % 2 and not info.height % 2
    return even and is_as_in_jpeg(info.pixel_format, info.color_matrix, is_full_range=full)


async def _plan(
    video: Video,
    selection: Selection,
    writer: DirectoryWriter,
    overwrite: Overwrite,
    executor: Executor | None,
) -> tuple[Int64Array | None, BoolArray]:
    """Name the frames to write, each once and ascending, and say which are on disk already.

    A plain range that leaves nothing out needs no list: ``None``.
    """
    if selection.is_range and overwrite != "skip":
        return None, np.zeros(0, bool)
    chosen = await video._resolve(selection, distinct=True)
    if overwrite != "skip":
        return chosen, np.zeros(len(chosen), bool)
    present = await writer.existing(each(chosen))
    return chosen, await in_thread(executor, _mask, chosen, present)


def _mask(chosen: Int64Array, present: set[int]) -> BoolArray:
    return np.fromiter((index in present for index in each(chosen)), bool, len(chosen))


@asynccontextmanager
async def opened_video(
    source: SourceLike | Video,
    *,
    on_corrupt: OnCorrupt,
    threads: int | None,
    executor: Executor | None = None,
    packet_progress: PacketProgress | None = None,
) -> AsyncIterator[Video]:
    """Open a source while the context is open; a `Video` is left as it is."""
    if isinstance(source, Video):
        yield source
        return
    opener = open_video(
        source, on_corrupt=on_corrupt, threads=threads, executor=executor, packet_progress=packet_progress
    )
    async with opener as video:
        yield video
