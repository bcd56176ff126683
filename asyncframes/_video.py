"""`open_video` and `Video`: the asynchronous API."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncGenerator, Iterable
from concurrent.futures import Executor
from contextlib import aclosing
from fractions import Fraction

from asyncframes._media._container import ContainerOptions
from asyncframes._media._convert import describe
from asyncframes._media._decoder import Decoder, Picture
from asyncframes._media._jobs import ForwardJob, FrameJob, FrameOptions, TableJob
from asyncframes._opener import VideoOpener
from asyncframes._pump import Pump, shared_executor
from asyncframes._selection import Selection, make_selection, resolve
from asyncframes._session import PacketProgress, ReadOptions, Session
from asyncframes._table import FrameTable, Int64Array
from asyncframes._types import Frame, ImageFormat, OnCorrupt, VideoInfo
from asyncframes.abc import StreamSource
from asyncframes.errors import ClosedError, CorruptMediaError, MediaError
from asyncframes.sources import CachedSource, SourceLike, resolve_source
from asyncframes.sources._passing import passing

# Up to this first frame, decoding from the start is as good as a frame table: the table of an MP4 costs its
# header only, that of other containers a pass over the file.
_FORWARD_START_MP4 = 32
_FORWARD_START = 300

_IMAGE_FORMATS = ("rgb24", "bgr24", "gray", "rgba")
_ON_CORRUPT = ("raise", "skip", "keep")
_IDLE_SESSIONS = 1


def open_video(
    source: SourceLike,
    *,
    stream_index: int | None = None,
    on_corrupt: OnCorrupt = "raise",
    threads: int | None = None,
    cache_bytes: int = 64 * 1024 * 1024,
    reorder_bytes: int = 256 * 1024 * 1024,
    read_timeout_seconds: float = 60.0,
    max_pixels: int = 16384 * 16384,
    max_read_bytes: int = 64 * 1024**3,
    executor: Executor | None = None,
    packet_progress: PacketProgress | None = None,
) -> VideoOpener:
    """Open a video for any number of requests.

    Use it as ``async with open_video(source) as video`` or as
    ``video = await open_video(source)`` followed by ``await video.aclose()``.

    Parameters
    ----------
    source
        URL, path, bytes, binary file, asynchronous iterable of bytes, or
        `StreamSource`. The video opens it and closes it.
    stream_index
        Stream of the container to decode; the first video stream that is not
        cover art by default.
    on_corrupt
        ``"raise"`` raises `CorruptMediaError` at the first damage; ``"skip"``
        leaves damaged frames out and logs a warning; ``"keep"`` yields what the
        decoder made of them, marked `Frame.is_corrupt`.
    threads
        Threads of each decoder; by default as many as there are CPUs, at most 4.
    cache_bytes
        Bound on the bytes of the source kept in memory.
    reorder_bytes
        Bound on the frames kept that are decoded before their turn, when
        frames are asked for out of order.
    read_timeout_seconds
        How long a decoder waits for bytes, retries of the source included.
    max_pixels
        Refuse pictures with more pixels.
    max_read_bytes
        Refuse to fetch more bytes in the life of the video.
    executor
        Where blocking work runs; by default one bounded thread pool that all
        videos of the process share.
    packet_progress
        Called in a worker thread for each packet read, with ``"index"`` or
        ``"decode"`` and the number of packets that the header claims.

    Returns
    -------
    VideoOpener
        Awaitable, and an asynchronous context manager.

    Raises
    ------
    SourceError
        The bytes cannot be had.
    MediaError
        They are no video that can be decoded.
    ValueError
        An option makes no sense, or no source type knows the address.
    """
    if on_corrupt not in _ON_CORRUPT:
        raise ValueError(f"on_corrupt={on_corrupt!r}: expected one of {', '.join(_ON_CORRUPT)}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads={threads}: expected 1 or more")
    options = ReadOptions(
        executor=executor or shared_executor(),
        read_timeout_seconds=read_timeout_seconds,
        container=ContainerOptions(
            stream_index=stream_index, threads=threads or min(4, os.cpu_count() or 1), max_pixels=max_pixels
        ),
        packet_progress=packet_progress,
    )
    resolved = resolve_source(source)
    cached = CachedSource(resolved, cache_bytes=cache_bytes, max_read_bytes=max_read_bytes)
    return VideoOpener(Video(resolved, cached, options, on_corrupt, reorder_bytes))


class Video:
    """A video that is open for requests; made by `open_video`.

    Requests may run side by side, each on a decoder of its own; a decoder that
    is done with one is used for the next.
    """

    def __init__(
        self,
        source: StreamSource,
        cached: CachedSource,
        options: ReadOptions,
        on_corrupt: OnCorrupt,
        reorder_bytes: int,
    ) -> None:
        self._source = source
        self._cached = cached
        self._options = options
        self._on_corrupt = on_corrupt
        self._reorder_bytes = reorder_bytes
        self._idle: list[Session] = []
        self._running: dict[Pump, Session] = {}
        self._table: FrameTable | None = None
        self._table_lock = asyncio.Lock()
        self._info: VideoInfo | None = None
        self._closed = False

    def __del__(self) -> None:
        if self._idle or self._running:
            warnings.warn(f"unclosed video {self._source.name}", ResourceWarning, source=self, stacklevel=1)

    async def _open(self) -> None:
        await self._cached.open()
        try:
            session, picture = await self._first_picture()
        except MediaError:
            if not ((source := passing(self._source)) and source.can_keep):
                raise
            await self._keep_all("it cannot be read forward only (an MP4 whose header comes last?)")
            session, picture = await self._first_picture()
        decoder = session.decoder
        frame = None if picture is None else picture.frame
        self._info = await session.worker.run(
            describe, decoder.container, decoder.stream, frame, self._source.size
        )

    async def _first_picture(self) -> tuple[Session, Picture | None]:
        session = await self._new_session()
        self._idle.append(session)
        return session, await session.worker.run(session.decoder.peek)

    @property
    def info(self) -> VideoInfo:
        """What the header and the first picture say."""
        if self._info is None:
            raise ClosedError("the video was never opened")
        return self._info

    @property
    def bytes_read(self) -> int:
        """How many bytes were fetched so far; files on disk are read past this count."""
        return self._cached.bytes_read

    @property
    def range_requests(self) -> int:
        """How many byte ranges were fetched so far."""
        return self._cached.requests

    async def count(self) -> int:
        """Return the exact number of frames.

        Needs the frame table: the header of an MP4/MOV, one pass over the bytes
        of other containers, and a decode where neither can tell.
        """
        return len(await self._frame_table())

    async def indices(
        self,
        start: int | None = None,
        end: int | None = None,
        step: int = 1,
        *,
        indices: Iterable[int] | None = None,
        times: Iterable[float | Fraction] | None = None,
        fps: float | Fraction | None = None,
        keyframes: bool = False,
    ) -> Int64Array:
        """Return the indices of the frames that `frames` would yield, without decoding them.

        Takes the arguments of `frames`, raises the same errors.
        """
        return await self._resolve(
            make_selection(start, end, step, indices=indices, times=times, fps=fps, keyframes=keyframes)
        )

    async def _resolve(self, selection: Selection) -> Int64Array:
        return resolve(selection, await self._frame_table())

    def frames(
        self,
        start: int | None = None,
        end: int | None = None,
        step: int = 1,
        *,
        indices: Iterable[int] | None = None,
        times: Iterable[float | Fraction] | None = None,
        fps: float | Fraction | None = None,
        keyframes: bool = False,
        image_format: ImageFormat = "rgb24",
        queue_maxsize: int = 32,
    ) -> AsyncGenerator[Frame, None]:
        """Stream frames.

        Without arguments: all of them, in presentation order. A range that
        begins at or near frame 0 is decoded from the start and needs no frame
        table; everything else does (see `count` for what it costs).

        Parameters
        ----------
        start, end
            Inclusive bounds, 0-based; negative counts from the end. An `end`
            past the last frame clamps.
        step
            Every `step`-th frame of the bounds.
        indices
            Frames by index, in any order, repeats included; they come in the
            order asked, and each GOP is decoded once as long as the frames that
            wait for their turn fit into ``reorder_bytes``.
        times
            Frames shown at these times in seconds, in the order asked.
        fps
            The bounds resampled: for each tick of this rate, counted from the
            first frame, the frame that is shown then.
        keyframes
            Only the keyframes of the bounds.
        image_format
            Layout of `Frame.image`.
        queue_maxsize
            How many frames are decoded ahead of the consumer; memory is bounded
            by ``(queue_maxsize + 1) * frame_bytes`` besides the codec's own.

        Yields
        ------
        Frame
            In presentation order, or in the order asked.

        Raises
        ------
        FrameIndexError
            `start`, an index or a time lies outside the video.
        CorruptMediaError
            A frame does not decode and ``on_corrupt="raise"``.
        SourceError
            Bytes cannot be had.
        ValueError
            The selection makes no sense.
        ClosedError
            The video is closed.
        """
        if image_format not in _IMAGE_FORMATS:
            raise ValueError(f"image_format={image_format!r}: expected one of {', '.join(_IMAGE_FORMATS)}")
        if queue_maxsize < 1:
            raise ValueError(f"queue_maxsize={queue_maxsize}: expected 1 or more")
        selection = make_selection(
            start, end, step, indices=indices, times=times, fps=fps, keyframes=keyframes
        )
        options = FrameOptions(
            image_format=image_format, on_corrupt=self._on_corrupt, held_bytes=self._reorder_bytes
        )
        return self._stream(selection, options, queue_maxsize)

    async def frame(self, index: int, *, image_format: ImageFormat = "rgb24") -> Frame:
        """Decode the frame at `index`.

        Seeks to the keyframe at or before it and decodes forward: cost grows
        with the distance to that keyframe, not with `index`.

        Parameters
        ----------
        index
            Place in presentation order; negative counts from the end.
        image_format
            Layout of `Frame.image`.

        Raises
        ------
        FrameIndexError
            `index` is outside the video.
        CorruptMediaError
            The packets for this frame do not decode.
        """
        frames = self.frames(indices=[index], image_format=image_format, queue_maxsize=1)
        return await _only(frames, f"frame {index}")

    async def frame_at(self, seconds: float | Fraction, *, image_format: ImageFormat = "rgb24") -> Frame:
        """Decode the frame that is shown at a time.

        Parameters
        ----------
        seconds
            On the clock of `Frame.pts_seconds`; not every video begins at 0.
        image_format
            Layout of `Frame.image`.

        Raises
        ------
        FrameIndexError
            No frame is shown then.
        CorruptMediaError
            The packets for this frame do not decode.
        """
        frames = self.frames(times=[seconds], image_format=image_format, queue_maxsize=1)
        return await _only(frames, f"the frame at {float(seconds):g} s")

    async def aclose(self) -> None:
        """End every request and release the source; calling it again does nothing."""
        self._closed = True
        while self._running:
            pump, session = self._running.popitem()
            await pump.aclose()
            await session.aclose()
        while self._idle:
            await self._idle.pop().aclose()
        await self._cached.aclose()

    # Requests

    async def _stream(
        self, selection: Selection, options: FrameOptions, queue_maxsize: int
    ) -> AsyncGenerator[Frame, None]:
        table = self._table if self._goes_forward(selection) else await self._frame_table()
        session = await self._session()
        try:
            await session.use_up()
            session.report_progress("decode")
            job = _job(session.decoder, options, selection, table)
            pump = Pump(session.worker, job, queue_maxsize)
            self._running[pump] = session
            try:
                while (frame := await pump.get()) is not None:
                    yield frame
                    del frame
            finally:
                self._running.pop(pump, None)
                await pump.aclose()
                job.close()
                if isinstance(job, TableJob) and job.table.settled:
                    self._table = job.table
        finally:
            await self._give_back(session)

    def _goes_forward(self, selection: Selection) -> bool:
        """Whether to serve a selection by decoding from the start."""
        if not selection.is_forward or passing(self._source):
            return selection.is_forward
        start = selection.forward_range[0]
        if self._table is not None:
            return start == 0
        return start <= (_FORWARD_START_MP4 if self.info.container.startswith("mov") else _FORWARD_START)

    async def _frame_table(self) -> FrameTable:
        async with self._table_lock:
            self._refuse_if_closed()
            if self._table is None:
                await self._keep_all("frames are to be found by index, which needs a frame table")
                session = Session(self._source, self._cached, self._options)
                try:
                    await session.open_file()
                    self._table = await session.scan(self.info.stream_index)
                finally:
                    await session.aclose()
            return self._table

    async def _keep_all(self, why: str) -> None:
        """Keep bytes that come once, and read them as those of any other source."""
        if (source := passing(self._source)) is not None:
            source.keep(why)
            while self._idle:
                await self._idle.pop().aclose()

    # Sessions

    async def _new_session(self) -> Session:
        session = Session(self._source, self._cached, self._options)
        try:
            await session.open_file()
            await session.open_decoder()
        except BaseException:
            await session.aclose()
            raise
        return session

    async def _session(self) -> Session:
        self._refuse_if_closed()
        return self._idle.pop() if self._idle else await self._new_session()

    async def _give_back(self, session: Session) -> None:
        if session.is_reusable and not self._closed and len(self._idle) < _IDLE_SESSIONS:
            self._idle.append(session)
        else:
            await session.aclose()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise ClosedError(f"the video is closed [{self._source.name}]")


def _job(decoder: Decoder, options: FrameOptions, selection: Selection, table: FrameTable | None) -> FrameJob:
    if table is None:
        return ForwardJob(decoder, options, selection.forward_range)
    return TableJob(decoder, options, selection, table)


async def _only(frames: AsyncGenerator[Frame, None], what: str) -> Frame:
    """Return the one frame of a request."""
    async with aclosing(frames):
        async for frame in frames:
            return frame
    raise CorruptMediaError(f'{what} is damaged, and on_corrupt="skip" leaves it out')
