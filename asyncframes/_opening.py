"""`open_video`: from a source to a `Video`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Generator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from types import TracebackType
from typing import Any, get_args

from asyncframes._media.container.formats import containers_allowed
from asyncframes._media.container.limits import container_limits
from asyncframes._media.container.opening import ContainerOptions
from asyncframes._media.table.cache import TableCache
from asyncframes._model.options import refusing_unknown
from asyncframes._model.quoting import quoted, quoted_option
from asyncframes._model.table import FrameTable
from asyncframes._policy.policy import NEEDED, Isolation, Policy, check_isolation, limits_of
from asyncframes._requests.video_requests import VideoOptions
from asyncframes._runtime.deadline import leave_behind
from asyncframes._runtime.threads import threads_per_decoder
from asyncframes._types import OnCorrupt, PacketProgress, SeekMode
from asyncframes._video import Video
from asyncframes._video_arguments import CacheOptions, VideoArguments
from asyncframes.errors import DeadlineError, NotPicklableError
from asyncframes.sources import SourceLike
from asyncframes.sources._limits import check_counts, check_seconds
from asyncframes.sources._registry import admitted_source

_TABLE_CACHE_BYTES = 256 * 1024**2

# A policy checks itself when it is made. Making three for each video would double the time of `open_video`.
_TRUSTED = Policy.trusted()


@refusing_unknown
def open_video(
    source: SourceLike,
    *,
    policy: Policy | None = None,
    isolation: Isolation | None = None,
    stream_index: int | None = None,
    on_corrupt: OnCorrupt = "raise",
    threads: int | None = None,
    idle_priority: bool = False,
    cache_bytes: int = 64 * 1024 * 1024,
    read_ahead_bytes: int = 8 * 1024 * 1024,
    reorder_bytes: int = 256 * 1024 * 1024,
    picture_cache_bytes: int = 256 * 1024 * 1024,
    read_timeout_seconds: float = 60.0,
    deadline_seconds: float | None = None,
    max_pixels: int | None = None,
    max_table_frames: int | None = None,
    max_read_bytes: int | None = None,
    allow_containers: Sequence[str] = (),
    seek_mode: SeekMode = "exact",
    frame_table: FrameTable | None = None,
    table_cache: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    packet_progress: PacketProgress | None = None,
) -> VideoOpener:
    """Open a video for any number of requests.

    Use it as ``async with open_video(source) as video`` or as
    ``video = await open_video(source)`` followed by ``await video.aclose()``.

    Parameters
    ----------
    source
        URL (``data:`` and parsed ones too), path, bytes or a ``uint8`` array (copied), binary
        file or memory map (not copied), file descriptor, asynchronous iterable or iterator of
        bytes, `StreamSource` or `FFmpegUrlSource`. The video opens and closes a source. It
        never closes a file, a map or a descriptor.
    policy
        What the video may cost, and what its source may reach: ``Policy.untrusted()`` for files
        and addresses of other people. By default ``Policy.trusted()``. Options of this function
        can only make a policy stricter: the lower limit counts.
    isolation
        ``"process"`` decodes in a locked process of its own, ``"none"`` in threads of this one. By
        default as `policy` says, which this option can only make stricter. See ``isolation`` of
        `Policy`, and `Video.isolation` for what the system provides.
    stream_index
        Stream of the container to decode. By default, the first video stream that the
        container marks as default, or if it marks none, the first video stream. Cover art is
        never decoded.
    on_corrupt
        ``"raise"`` raises `CorruptMediaError` at the first damage. ``"skip"`` omits
        damaged frames and logs a warning. ``"keep"`` yields what the decoder made of them,
        marked with `Frame.is_corrupt`. With ``"skip"`` and ``"keep"``, and in short streams
        also with ``"raise"``, damage causes one decode of the stream from its beginning
        before a frame is found by index. That decode defines each frame, and what damage
        does to it.
    threads
        Most threads for each decoder. By default two more than there are CPUs, but at
        most 4. H.264 without fields, AV1 and some intra-only codecs (ProRes, DNxHD, FFV1,
        CineForm) use them, until the first sign of damage. Other codecs decode damage
        differently with several threads, so they get one. So does a short stream (up to 8
        Mi pixels or 512 KiB). Pass 1 for many videos at once: a decoder then has no thread
        of its own.
    idle_priority
        Whether these threads run only while nothing else needs the CPU (the policy
        ``SCHED_IDLE``, on Linux only). They then never delay the event loop, but decoding
        stops while other work keeps all CPUs busy. This has no effect with ``threads=1``.
    cache_bytes
        Most bytes of the source to cache in memory.
    read_ahead_bytes
        Most bytes of the source to fetch before a decoder asks for them, limited to a
        share of the cache. A lower value fetches fewer unneeded bytes if the consumer
        stops early, but costs more round trips. 0 fetches nothing ahead.
    reorder_bytes
        If frames are requested out of order, most bytes of frames to hold that were decoded
        before their turn.
    picture_cache_bytes
        Most bytes of decoded pictures kept by all open videos of the process, the least
        recently used of which go first. They are those around the last frame that `Video.frame`
        or `Video.frame_at` gave, so that stepping decodes each GOP once. 0 keeps none.
    read_timeout_seconds
        How long a decoder waits for bytes, including the source's retries.
    deadline_seconds
        Most seconds of wall-clock time for each request for frames, from asking for its
        first frame to receiving its last one, including the consumer's own time.
        ``None`` for no limit. After that, the request raises `DeadlineError`, even while
        FFmpeg computes. That call continues in its thread, and closing the video waits
        for it.
    max_pixels
        Refuse pictures with more pixels; see `Policy`. 64 Mi without a policy.
    max_table_frames
        Refuse frame tables with more frames, and headers that list many more
        samples; see `max_frames` of `Policy`. 1,048,576 without a policy. `Video.frames` without
        an index from the end needs no table.
    max_read_bytes
        Refuse to fetch more bytes over the lifetime of the video. By default 64 times
        the size of the source, but at least 1 GiB; 64 GiB if the size is unknown.
    allow_containers
        Names of more FFmpeg demuxers to allow, such as ``("swf",)``. By default, those that
        read one self-contained video file are allowed. Demuxers that open other files or
        addresses, such as ``hls``, ``concat`` and ``image2``, are never allowed. A policy with
        `containers` must allow them too.
    seek_mode
        ``"exact"``: frame i is the i-th frame that a decode of the whole stream outputs.
        ``"approximate"``: frame i is the frame shown ``i / average_rate`` seconds after the
        first one, found without a frame table. Both agree if the rate is constant. They
        differ if the rate varies or the header is wrong.
    frame_table
        Table of the same bytes, from `Video.frame_table` or `FrameTable.load`. This object
        never changes. `Video.frame_table` returns a table with what decoding has shown since.
    table_cache
        Folder that stores frame tables, up to 256 MiB of them. A table is found by the
        name, size, validator and first bytes of its source. The table of a source
        without a validator is not stored. An unusable entry is rebuilt.
    executor
        Runs blocking work. By default, all videos of the process share one bounded pool of
        daemon threads. A forked child has its own.
    packet_progress
        Called in a worker thread for each packet read, with ``"index"`` or
        ``"decode"`` and the number of packets that the header claims.

    Returns
    -------
    VideoOpener
        Awaitable, and an asynchronous context manager. It can be pickled until it is entered.

    Raises
    ------
    SourceError
        The bytes cannot be read; `SourceChangedError` if `frame_table` belongs to
        other bytes.
    MediaError
        The bytes are not a video that can be decoded.
    PolicyError
        The policy does not allow the source, or a limit stops the video; `IsolationError` if the
        system cannot isolate it as required.
    DecoderCrashedError
        The process that decodes the video ended.
    ValueError
        An option is invalid, no source type accepts the address, or `frame_table`
        belongs to another stream.

    Notes
    -----
    Many videos may be open at once. For each of its concurrent requests, a video holds
    about 1.3 MiB of FFmpeg's memory, and the pictures that its codec refers to (1.5 bytes
    per pixel for 8-bit 4:2:0; 4 to 17 pictures for H.264, as its encoder chose). A request
    with a slow consumer holds up to ``(queue_maxsize + 1) * frame_bytes`` more, but no
    thread. A local file takes one descriptor. Other sources cache up to `cache_bytes` of
    what was read. With ``threads=1``, all decoders run in the threads of `executor`. With
    more, each decoder also has that many threads of its own.
    """
    if isinstance(source, Video):
        raise TypeError(
            "source is a Video, which is already open: expected a path, URL, bytes, binary file or "
            "StreamSource; call the video's own frames, save or write instead"
        )
    if on_corrupt not in get_args(OnCorrupt):
        raise ValueError(
            f"on_corrupt={quoted_option(on_corrupt)}: expected one of {', '.join(get_args(OnCorrupt))}"
        )
    if seek_mode not in get_args(SeekMode):
        raise ValueError(
            f"seek_mode={quoted_option(seek_mode)}: expected one of {', '.join(get_args(SeekMode))}"
        )
    if deadline_seconds is not None and not deadline_seconds > 0:
        raise ValueError(f"deadline_seconds={deadline_seconds}: expected more than 0, or None")
    check_seconds(read_timeout_seconds=read_timeout_seconds)
    check_counts(least=0, reorder_bytes=reorder_bytes, picture_cache_bytes=picture_cache_bytes)
    counts = {
        "max_pixels": max_pixels,
        "max_table_frames": max_table_frames,
        "threads": threads,
        "max_read_bytes": max_read_bytes,
    }
    check_counts(least=1, **{name: count for name, count in counts.items() if count is not None})
    if stream_index is not None:
        check_counts(least=0, stream_index=stream_index)
    limits = limits_of(
        policy,
        max_pixels=max_pixels,
        max_frames=max_table_frames,
        max_read_bytes=max_read_bytes,
        deadline_seconds=deadline_seconds,
    )
    policed = _TRUSTED if policy is None else policy
    if isolation is not None:
        check_isolation(isolation)
        limits = limits if isolation == "none" else replace(limits, isolation=isolation)
    # The option is for requests for frames, and the policy's deadline for opening too.
    deadline = policed.deadline_seconds
    enforced = limits if limits.deadline_seconds == deadline else replace(limits, deadline_seconds=deadline)
    cached_tables = None if table_cache is None else TableCache(table_cache, max_bytes=_TABLE_CACHE_BYTES)
    opening = VideoArguments(
        source=admitted_source(source, policed),
        policy=policed,
        cache=CacheOptions(
            cache_bytes, read_ahead_bytes, None if limits.max_read_bytes == NEEDED else limits.max_read_bytes
        ),
        container=ContainerOptions(
            stream_index=stream_index,
            threads=threads or threads_per_decoder(1),
            max_pixels=limits.max_pixels,
            idle_priority=idle_priority,
            limits=container_limits(
                limits, containers_allowed(allow_containers), probes_within=policed != _TRUSTED
            ),
        ),
        options=VideoOptions(
            on_corrupt=on_corrupt,
            reorder_bytes=reorder_bytes,
            picture_cache_bytes=picture_cache_bytes,
            seek_mode=seek_mode,
            frame_table=frame_table,
            table_cache=cached_tables,
            deadline_seconds=limits.deadline_seconds,
            policy=enforced,
        ),
        read_timeout_seconds=read_timeout_seconds,
        executor=executor,
        packet_progress=packet_progress,
    )
    return VideoOpener(opening)


class VideoOpener:
    """The result of `open_video`: await it, or enter it with ``async with``.

    It can be pickled until it is entered, and entered in another process.
    """

    def __init__(self, opening: VideoArguments) -> None:
        self._opening = opening
        self._video: Video | None = None

    def __repr__(self) -> str:
        if self._video is None:
            return f"<open_video({quoted(self._opening.source.name, longest=80)}, not open yet)>"
        return f"<open_video({self._video._described()})>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._video is not None:
            raise NotPicklableError(
                f"{self!r} has been entered and belongs to this process: call open_video again, "
                "and pickle the result before it is entered"
            )
        if self._opening.executor is not None:
            raise NotPicklableError(
                f"{self!r} cannot be pickled, because its executor belongs to this process: omit executor="
            )
        return VideoOpener, (self._opening,)

    def __await__(self) -> Generator[None, None, Video]:
        return self._open().__await__()

    async def __aenter__(self) -> Video:
        return await self._open()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A policy's deadline is for the caller too, who does not wait for a thread that did not end in time.
        has_deadline = self._opening.policy.deadline_seconds is not None
        await self._close(waits=not (has_deadline and isinstance(exc, DeadlineError)))

    async def _close(self, *, waits: bool = True) -> None:
        if self._video is None:
            return
        closing = self._video.aclose()
        if waits:
            await closing
        else:
            leave_behind(closing)
            await asyncio.sleep(0)  # a task that is cancelled before its first step would close nothing

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(Video, name):
            raise AttributeError(f"'VideoOpener' has no attribute {quoted_option(name)}")
        raise AttributeError(
            f"the video is not open yet, so it has no {name!r}: use "
            "'async with open_video(...) as video:' or 'video = await open_video(...)'"
        )

    async def _open(self) -> Video:
        if self._video is None:
            self._video = self._opening.video()
        try:
            await self._video._open()
        except BaseException as exc:
            await self._close(waits=not isinstance(exc, DeadlineError))
            raise
        return self._video
