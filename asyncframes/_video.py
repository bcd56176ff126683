"""`Video`: requests for frames of one video."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Unpack

from asyncframes._media.container.packet_reader import TableMismatchError
from asyncframes._media.first_look import FirstLook
from asyncframes._model.rendering import make_rendering
from asyncframes._model.selection import Selection, make_selection
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._model.timing import as_float
from asyncframes._requests.decodings import Decodings
from asyncframes._requests.jobs import FrameOptions
from asyncframes._requests.lanes import side_by_side
from asyncframes._requests.near import NearFrames
from asyncframes._requests.pool import SessionPool
from asyncframes._requests.pump import Pump, only_frame
from asyncframes._requests.route import Chooser, goes_forward
from asyncframes._requests.session import ReadOptions
from asyncframes._requests.table_cache import TableCache
from asyncframes._requests.tables import VideoTable
from asyncframes._runtime.deadline import within_deadline
from asyncframes._runtime.generators import Departures, Kept
from asyncframes._runtime.life import GuardedFrames, Opened
from asyncframes._runtime.threads import lanes_for
from asyncframes._types import (
    Frame,
    ImageFormat,
    OnCorrupt,
    PictureOptions,
    SeekMode,
    TimeRange,
    VideoInfo,
)
from asyncframes.abc import StreamSource
from asyncframes.errors import ClosedError, MediaError
from asyncframes.sources import CachedSource
from asyncframes.sources._forward.sequential import passing


class Video(Opened):
    """A video that is open for requests; made by `open_video`.

    Requests may run side by side. As many decode at once as there are CPUs, from 2
    to 8, and the others wait in order; one whose consumer is behind counts no more.
    Those that wait for one frame each of the same GOP share a decode of it.
    In a forked child it is a `ForkedError`.
    """

    def __init__(
        self,
        source: StreamSource,
        cached: CachedSource,
        options: ReadOptions,
        *,
        on_corrupt: OnCorrupt,
        reorder_bytes: int,
        seek_mode: SeekMode,
        frame_table: FrameTable | None,
        table_cache: TableCache | None,
        deadline_seconds: float | None,
    ) -> None:
        super().__init__("video", source.name)
        self._source = source
        self._cached = cached
        self._threads = options.container.threads
        self._on_corrupt = on_corrupt
        self._reorder_bytes = reorder_bytes
        self._seek_mode = seek_mode
        self._deadline_seconds = deadline_seconds
        self._sessions = SessionPool(source, cached, options)
        self._chooser = Chooser(options.executor, source.name)
        self._departures = Departures()
        self._tables = VideoTable(
            cached, self._sessions, options.executor, given=frame_table, cache=table_cache
        )
        self._decodings = Decodings(self._sessions, self._tables, self._threads, seek_mode)
        self._near = NearFrames(self._decodings)
        self._look: FirstLook | None = None

    async def _open(self) -> None:
        self._opened = True
        await self._cached.open()
        try:
            look = await self._first_look_at()
        except MediaError:
            if not ((source := passing(self._source)) and source.can_keep):
                raise
            await self._keep_all("it cannot be read forward only (an MP4 whose header comes last?)")
            look = await self._first_look_at()
        self._look = replace(look, info=replace(look.info, seek_mode=self._seek_mode))
        self._tables.accept(look)

    async def _first_look_at(self) -> FirstLook:
        session = await self._sessions.take(self._threads)
        try:
            if self._seek_mode == "approximate":
                # The container's own index is all there is to seek by.
                await session.load_fragment_index()
            return await session.look()
        finally:
            await self._sessions.give_back(session)

    @property
    def info(self) -> VideoInfo:
        """What the header and the first picture say."""
        return self._first_look.info

    @property
    def _first_look(self) -> FirstLook:
        if self._look is None:
            raise ClosedError("the video was never opened")
        return self._look

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

        Needs the frame table: the header of an MP4/MOV, one pass over other
        containers, a decode where neither can tell. In approximate mode it is the
        number that the header claims, or rate times duration.
        """
        return len(await self._rows())

    async def frame_table(self) -> FrameTable:
        """Return the frame table, found in the cheapest way there is; exact in either mode.

        Give it to `open_video` with the same bytes later to save the scan. `count` says what that costs.
        Later calls may return another table, with what decoding showed meanwhile.

        Raises
        ------
        SourceError
            Bytes cannot be had.
        ClosedError
            The video is closed.
        """
        self._sessions.refuse_if_closed()
        if self._tables.table is None:
            await self._keep_all("frames are to be found by index, which needs a frame table")
        return await self._tables.get(self._first_look)

    async def indices(
        self,
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
    ) -> Int64Array:
        """Return the indices of the frames that `frames` would yield, without decoding them.

        Takes the arguments of `frames`, raises the same errors.
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
        return await self._resolve(selection)

    async def _resolve(self, selection: Selection, *, distinct: bool = False) -> Int64Array:
        """Return the indices of a selection; `distinct` ones each once and ascending."""
        selection = await selection.read()
        return await self._chooser.chosen(selection, await self._rows(selection), distinct=distinct)

    async def _rows(self, selection: Selection | None = None) -> FrameTable:
        """Return what a selection is resolved with: the frame table, or how it would be by the header."""
        if self._seek_mode == "exact":
            return await self.frame_table()
        self._sessions.refuse_if_closed()
        if selection is not None and selection.keyframes:
            raise ValueError('keyframes are known with seek_mode="exact" only')
        return await self._tables.nominal(self._first_look)

    def frames(
        self,
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
        queue_maxsize: int = 32,
        **picture: Unpack[PictureOptions],
    ) -> AsyncGenerator[Frame, None]:
        """Stream frames.

        Without arguments: all of them, in presentation order. A range that
        begins at or near frame 0 is decoded from the start and needs no frame
        table; everything else does (see `count` for what it costs).

        Parameters
        ----------
        start, end
            Inclusive, 0-based; negative from the end. An `end` past the last frame clamps.
        step
            Every `step`-th frame of the bounds.
        indices
            Up to 10,000,000 frames by index, repeats included, in the order asked;
            each GOP is decoded once if what waits for its turn fits into ``reorder_bytes``.
            A long iterable is read and checked when the first frame is asked for.
        times
            Frames shown at these seconds, in the order asked. Containers round times
            to ticks, so a time names a frame from half a tick before its pts, unless
            frames are one tick apart. Of frames with the same pts, or one before an
            earlier frame's, it is the first in presentation order; a warning is logged.
        time_range
            Bounds in seconds in place of `start` and `end`: the frames shown
            from the first time up to, and without, the second; ``None`` for an
            open end. Goes with `step`, `fps` and `keyframes`.
        fps
            The bounds resampled: for each tick of this rate, counted from the first
            frame, the frame that is shown then; up to 10,000,000. A frame may begin a
            tick of its container late, so a video's own constant rate gives each frame
            once. Otherwise, but for how long the last frame lasts, as FFmpeg's filter
            ``fps=…:round=up`` with ``start_time`` at the first frame.
        keyframes
            Only the keyframes of the bounds.
        tolerance_seconds
            By how much times may be early besides: 0.0005 for those rounded to three
            decimals. Never so much as half the time from one frame to the next.
        image_format
            Layout of `Frame.image`.
        queue_maxsize
            How many frames are decoded ahead of the consumer, and of large ones no
            more than 256 MiB; memory is bounded by ``(queue_maxsize + 1) * frame_bytes``
            besides the codec's own.
        **picture
            How images are made: ``resize``, ``autorotate``, ``deinterlace`` and
            more; see `PictureOptions`.

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
            The selection is invalid.
        ClosedError
            The video is closed.
        DeadlineError
            It takes longer than the video's ``deadline_seconds``.
        """
        rendering = make_rendering(image_format, picture)
        if queue_maxsize < 1:
            raise ValueError(f"queue_maxsize={queue_maxsize}: expected 1 or more")
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
        options = FrameOptions(
            rendering=rendering, on_corrupt=self._on_corrupt, held_bytes=self._reorder_bytes
        )
        self._guard.check()
        frames = self._stream(selection, options, queue_maxsize)
        what = f"the iterator over {self._source.name}"
        if self._deadline_seconds is not None:
            frames = within_deadline(frames, self._deadline_seconds, what, self._departures)
        return GuardedFrames(frames, what)

    async def frame(
        self, index: int, *, image_format: ImageFormat = "rgb24", **picture: Unpack[PictureOptions]
    ) -> Frame:
        """Decode the frame at `index`.

        Seeks to the keyframe at or before it and decodes forward: cost grows
        with the distance to that keyframe, not with `index`.

        Parameters
        ----------
        index
            Place in presentation order; negative counts from the end.
        image_format, **picture
            As for `frames`.

        Raises
        ------
        FrameIndexError
            `index` is outside the video.
        CorruptMediaError
            The packets for this frame do not decode.
        """
        frames = self.frames(indices=[index], image_format=image_format, queue_maxsize=2, **picture)
        return await only_frame(frames, f"frame {index}")

    async def frame_at(
        self,
        seconds: float | Fraction,
        *,
        tolerance_seconds: float | Fraction = 0,
        image_format: ImageFormat = "rgb24",
        **picture: Unpack[PictureOptions],
    ) -> Frame:
        """Decode the frame that is shown at a time.

        Parameters
        ----------
        seconds
            On the clock of `Frame.pts_seconds`; not every video begins at 0.
        tolerance_seconds, image_format, **picture
            As for `frames`.

        Raises
        ------
        FrameIndexError
            No frame is shown then.
        CorruptMediaError
            The packets for this frame do not decode.
        """
        late = tolerance_seconds
        frames = self.frames(
            times=[seconds], tolerance_seconds=late, image_format=image_format, queue_maxsize=2, **picture
        )
        return await only_frame(frames, f"the frame at {as_float(seconds):g} s")

    async def aclose(self) -> None:
        """End every request and release the source; called again, or in a forked child, it does nothing."""
        if self._guard.is_forked:
            return
        self._closed = True
        self._sessions.refuse_more()
        await self._near.aclose()
        await self._decodings.aclose()
        await self._sessions.aclose()
        await self._departures.all_gone()
        await self._cached.aclose()

    async def _stream(
        self, selection: Selection, options: FrameOptions, queue_maxsize: int
    ) -> AsyncGenerator[Frame, None]:
        with options.left_out:
            delivered = 0
            pumped = partial(self._pumped, options=options, queue_maxsize=queue_maxsize)
            selection = await selection.read()
            if self._seek_mode == "exact" and not self._goes_forward(selection):
                table = await self.frame_table()
                order = await self._chooser.chosen(selection, table)
                if len(order) == 1 and self._sessions.are_busy:
                    near = await self._near.frame(table, int(order[0]), options)
                    if near is not None:
                        yield near
                        return
                dealt = await self._chooser.dealt(table, order, lanes_for(self._threads))
                if dealt.lanes > 1:
                    lanes = side_by_side(partial(pumped, lanes=dealt.lanes), dealt)
                    try:
                        async with Kept(aclosing(lanes), self._departures) as frames:
                            async for place, frame in frames:
                                delivered = place + 1
                                yield frame
                                del frame
                    except TableMismatchError:
                        # The table has to be rebuilt, by one decoder for all that is left.
                        pass
                    else:
                        return
            async with Kept(pumped(selection, delivered=delivered), self._departures) as pump:
                while (got := await pump.get()) is not None:
                    yield got
                    del got

    @asynccontextmanager
    async def _pumped(
        self,
        selection: Selection,
        *,
        options: FrameOptions,
        queue_maxsize: int,
        lanes: int = 1,
        delivered: int = 0,
    ) -> AsyncIterator[Pump]:
        """Decode a request, or one lane of it, while the context is open."""
        forward = lanes == 1 and not delivered and self._goes_forward(selection)
        table = None if forward else await self._rows(selection)
        decoding = self._decodings.pumped(
            lambda: selection,
            table,
            options,
            queue_maxsize=queue_maxsize,
            lanes=lanes,
            delivered=delivered,
            may_rebuild=lanes == 1,
        )
        async with decoding as pump:
            yield pump

    def _goes_forward(self, selection: Selection) -> bool:
        """Whether to serve a selection by decoding from the start."""
        if selection.is_forward and passing(self._source):
            return True
        header_only = self._seek_mode == "approximate" or self.info.container.startswith("mov")
        return goes_forward(selection, has_table=self._tables.table is not None, header_only=header_only)

    async def _keep_all(self, why: str) -> None:
        """Keep bytes that come once, and read them as those of any other source."""
        if source := passing(self._source):
            source.keep(why)
            await self._sessions.close_idle()
