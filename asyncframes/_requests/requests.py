"""Requests for frames of one open video. Each gets a route, chosen once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast

import numpy as np

from asyncframes._frames.frame import Frame
from asyncframes._isolation.report import NOT_ISOLATED, IsolationReport
from asyncframes._media.codec.kept_pictures import KeptPictures
from asyncframes._media.container.packet_reader import TableMismatchError
from asyncframes._media.first_look import FirstLook
from asyncframes._model.rendering import Rendering
from asyncframes._model.selection import Selection, make_selection
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._requests.decoder_session import ReadOptions
from asyncframes._requests.decodings import Decodings
from asyncframes._requests.inputs import VideoInput
from asyncframes._requests.jobs.images import RequestImages
from asyncframes._requests.jobs.job import JobOptions, Kept, LeftOut
from asyncframes._requests.jobs.lanes import Deal, side_by_side
from asyncframes._requests.limits import share_needed
from asyncframes._requests.pool import DecoderPool
from asyncframes._requests.pump import Pump
from asyncframes._requests.request import Request
from asyncframes._requests.route import Resolver, Route
from asyncframes._requests.single.latest import LatestFrames, Newest, newest_frames
from asyncframes._requests.single.near import NearFrames
from asyncframes._requests.single.steps import Steps
from asyncframes._requests.tables import VideoTable
from asyncframes._requests.video_requests import VideoOptions, VideoRequests
from asyncframes._runtime.generators import Pinned, in_turns
from asyncframes._runtime.threads import in_thread, lanes_for
from asyncframes._types import VideoInfo
from asyncframes.errors import ClosedError, MediaError

T = TypeVar("T")


class Requests(VideoRequests):
    """Serves the requests of one video, in threads.

    Parameters
    ----------
    video_input
        What the decoders read.
    reading
        How the source is read and opened.
    options
        How frames are found and made.
    """

    def __init__(self, video_input: VideoInput, reading: ReadOptions, options: VideoOptions) -> None:
        super().__init__(video_input, reading.executor, options)
        self._threads = reading.container.threads
        self._pool = DecoderPool(video_input, reading)
        self._resolver = Resolver(reading.executor, video_input.name)
        self._tables = VideoTable(
            video_input,
            self._pool,
            reading.executor,
            given=options.frame_table,
            cache=options.table_cache,
        )
        self._decodings = Decodings(self._pool, self._tables, self._threads, options.seek_mode)
        self._near = NearFrames(self._decodings)
        self._steps = Steps(KeptPictures(options.picture_cache_bytes), reading.executor, video_input.name)
        self._logged: set[int] = set()
        self._look: FirstLook | None = None

    async def _open(self) -> None:
        await self.input.open()
        try:
            look = await self._first_look_at()
        except MediaError:
            if not ((source := self.input.sequential) and source.can_store):
                raise
            await self._store_source("the file cannot be decoded without seeking (its header may come last)")
            look = await self._first_look_at()
        if look.info.seek_mode != self._options.seek_mode:
            look = replace(look, info=replace(look.info, seek_mode=self._options.seek_mode))
        self._limits.check_info(look.info)
        self._look = look
        self._tables.accept(look)

    async def _first_look_at(self) -> FirstLook:
        # Times of approximate seeks count from the first picture that decodes.
        is_approximate = self._options.seek_mode == "approximate"
        session = await self._pool.take(self._threads, looks=not is_approximate)
        try:
            if is_approximate:
                # Without a frame table, seeking relies on the container's own index.
                await session.load_fragment_index()
            return await session.look()
        finally:
            await self._pool.give_back(session)

    @property
    def info(self) -> VideoInfo:
        """Facts from the header and the first picture."""
        return self._first_look.info

    @property
    def _first_look(self) -> FirstLook:
        if self._look is None:
            raise ClosedError("the video was never opened")
        return self._look

    def _refuse_if_closed(self) -> None:
        self._pool.refuse_if_closed()

    @property
    def isolation(self) -> IsolationReport:
        """What separates the decoder from the program: nothing."""
        return NOT_ISOLATED

    @property
    def has_table(self) -> bool:
        """Whether the frame table is known."""
        return self._tables.table is not None

    async def _find_table(self) -> FrameTable:
        if self._tables.table is None:
            await self._store_source("finding frames by index needs a frame table")
        return await self._tables.get(self._first_look)

    async def _nominal_rows(self, selection: Selection | None) -> FrameTable:
        if selection is not None and selection.keyframes:
            raise ValueError('keyframes=True needs seek_mode="exact"')
        return await self._tables.nominal(self._first_look)

    async def resolve(self, selection: Selection, *, distinct: bool = False) -> Int64Array:
        """Return the indices of a selection; with `distinct`, each once and in ascending order."""
        selection = await in_turns(selection.read())
        return await self._resolver.resolve(selection, await self.rows(selection), distinct=distinct)

    @property
    def known_count(self) -> int | None:
        """Number of frames by the frame table, or by the header if there is no table yet."""
        table = self._tables.table
        return self.info.frames_from_header if table is None else len(table)

    async def _stream(self, request: Request, images: RequestImages | None) -> AsyncGenerator[Frame, None]:
        options = self._job_options(request.rendering)
        self.input.allow_request()
        with self.departures.open_request(), options.left_out:
            route = await self._choose(await in_turns(request.selection.read()))
            output = self._limits.output(self.info, request.rendering)
            output.expect(self._frames_of(route))
            if route.dealt is not None and len(route.dealt.order) > 1 and self._limits.counts_bytes:
                await self._allow_more(route.dealt.order)
            if route.single is not None and (images is None or images.are_optional):
                images = None
                if (frame := await self._single_frame(*route.single, options)) is not None:
                    yield output.add(frame)
                    return
                options = self._with_kept(*route.single, options)
            delivered = 0
            if route.dealt is not None and self._may_deal(route.dealt, images):
                lane = partial(self._lane, route, request, options, images)
                lanes = side_by_side(lane, route.dealt)
                try:
                    async with Pinned(aclosing(lanes), self.departures) as frames:
                        async for place, frame in frames:
                            delivered = place + 1
                            yield output.add(frame)
                            del frame
                except TableMismatchError:
                    # The table is wrong. One decoder rebuilds it and serves the remaining frames.
                    route = replace(route, table=await self.rows(route.selection))
                else:
                    return
            decoding = self._decodings.pumped(
                lambda: route.selection,
                route.table,
                _with_images(options, images, delivered=delivered),
                queue_maxsize=request.queue_maxsize,
                delivered=delivered,
                may_rebuild=True,
                # Decoding on behind the frame, it would otherwise wait with an open decoder for others.
                holds_turn=options.kept is not None,
            )
            async with Pinned(decoding, self.departures) as pump:
                while (got := await pump.get()) is not None:
                    yield output.add(got)
                    del got

    async def _allow_more(self, order: Int64Array) -> None:
        """Allow the bytes for frames that are requested out of order: some may be read many times."""
        share = await in_thread(self.executor, share_needed, await self.table(), order)
        # What was read ahead is of no use to a run of frames elsewhere.
        self.input.allow_request(max(2 * share - 1, 0.0))

    def _frames_of(self, route: Route) -> int | None:
        """Return how many frames a route delivers, as far as that is known; ``None`` if it is not."""
        if route.dealt is not None:
            return len(route.dealt.order)
        if route.table is not None or self.known_count is None:
            return None
        start, end, step = route.selection.forward_range
        last = self.known_count - 1 if end is None else min(end, self.known_count - 1)
        return len(range(start, last + 1, step))

    def latest(self, rendering: Rendering) -> LatestFrames:
        """Stream the newest frames; see `Video.latest`."""
        newest = Newest()
        frames = self._latest(rendering, newest)
        return LatestFrames(frames, f"the iterator over {self.input.name}", newest)

    async def _latest(self, rendering: Rendering, newest: Newest) -> AsyncGenerator[Frame, None]:
        options = replace(self._job_options(rendering), newest=newest.put)
        self.input.allow_request()
        output = self._limits.output(self.info, rendering)
        with self.departures.open_request(), options.left_out:
            everything = make_selection(None, None, 1)
            decoding = self._decodings.pumped(
                lambda: everything, None, options, queue_maxsize=1, may_rebuild=False
            )
            async with (
                Pinned(decoding, self.departures) as pump,
                Pinned(aclosing(newest_frames(pump, newest, self.executor))) as frames,
            ):
                async for frame in frames:
                    yield output.add(frame)
                    del frame

    def _job_options(self, rendering: Rendering) -> JobOptions:
        return JobOptions(
            rendering=rendering,
            on_corrupt=self._options.on_corrupt,
            held_bytes=self._options.reorder_bytes,
            left_out=LeftOut(self._logged),
            budget=self._limits.budget(),
        )

    async def _single_frame(self, table: FrameTable, index: int, options: JobOptions) -> Frame | None:
        """Make a frame from a kept picture, or with others that wait; ``None`` if it is decoded alone."""
        kept = await self._steps.kept_frame(table, index, options.rendering, self.info)
        if kept is not None or not self._pool.are_busy:
            return kept
        return await self._near.frame(table, index, options)

    def _with_kept(self, table: FrameTable, index: int, options: JobOptions) -> JobOptions:
        """Return the options of a request for a single frame, with the pictures to keep for later ones."""
        if not self._steps.may_keep(options.rendering, self.info):
            return options
        rows = self._steps.rows_for(table, index, self.info)
        return replace(options, kept=Kept(self._steps.pictures, rows))

    async def prefetch(self, selection: Selection) -> None:
        """Decode frames, and keep their pictures; see `Video.prefetch`."""
        self.input.allow_request()
        selection = await in_turns(selection.read())
        table = await self.rows(selection)
        rows = await self._resolver.resolve(selection, table, distinct=True)
        rows = self._steps.missing(rows, self.info)
        if self._options.seek_mode != "exact" or not len(rows):
            return
        options = replace(self._job_options(Rendering()), kept=Kept(self._steps.pictures, rows))
        nothing = Selection(indices=np.empty(0, np.int64))
        decoding = self._decodings.pumped(lambda: nothing, table, options, queue_maxsize=1, may_rebuild=False)
        async with decoding as pump:
            await pump.get()

    def _may_deal(self, dealt: Deal, images: RequestImages | None) -> bool:
        """Whether several decoders may serve a request."""
        # Which frames of a lane are left out is not known ahead, and neither are the places of the others.
        return dealt.lanes > 1 and not (images is not None and self._options.on_corrupt == "skip")

    def _lane(
        self, route: Route, request: Request, options: JobOptions, images: RequestImages | None, lane: int
    ) -> AbstractAsyncContextManager[Pump]:
        """Decode one lane of a request."""
        dealt = cast("Deal", route.dealt)
        selection = dealt.selection(lane)
        return self._decodings.pumped(
            lambda: selection,
            route.table,
            _with_images(options, images, dealt.places(lane)),
            queue_maxsize=request.queue_maxsize,
            lanes=dealt.lanes,
            may_rebuild=False,
        )

    async def _choose(self, selection: Selection) -> Route:
        """Choose the route for a selection whose iterables have been read."""
        if self.goes_forward(selection):
            return Route(selection, table=None)
        table = await self.rows(selection)
        if self._options.seek_mode == "approximate":
            return Route(selection, table)
        order = await self._resolver.resolve(selection, table)
        return Route(selection, table, await self._resolver.deal(table, order, lanes_for(self._threads)))

    async def _store_source(self, why: str) -> None:
        """Have a sequential source store its bytes from now on, so that decoders can seek in it."""
        if source := self.input.sequential:
            source.store(why)
            await self._pool.close_idle()

    async def aclose(self) -> None:
        """End every request and release the source."""
        self._pool.refuse_more()
        await self._near.aclose()
        await self._decodings.aclose()
        if self.input.is_local:
            # The last decoder to close closes the file too, in one call in a thread.
            await self.input.aclose()
        await self._pool.aclose()
        self._steps.close()
        await self.departures.wait_for_all()
        await self.input.aclose()


def _with_images(
    options: JobOptions, images: RequestImages | None, places: Int64Array | None = None, *, delivered: int = 0
) -> JobOptions:
    """Return the options of one decoder, with the places where it puts its images."""
    return options if images is None else replace(options, images=images.at(places, delivered=delivered))
