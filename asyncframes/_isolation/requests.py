"""Requests for frames of a video that a process of its own decodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, cast

from asyncframes._frames.frame import Frame
from asyncframes._isolation.bytes_for_child import BytesForChild
from asyncframes._isolation.calls import Call
from asyncframes._isolation.report import IsolationReport
from asyncframes._isolation.session import Session
from asyncframes._isolation.stored_table import StoredTable, table_from
from asyncframes._isolation.wire.frame_records import FrameRecord
from asyncframes._isolation.wire.info_values import info_from_facts
from asyncframes._isolation.wire.opening import Opening
from asyncframes._isolation.wire.plain_values import flag, indices_from, or_none, whole
from asyncframes._isolation.workers import workers
from asyncframes._media.files.media_files import no_bytes_in
from asyncframes._media.progress import Phase
from asyncframes._model.rendering import Rendering
from asyncframes._model.selection import Selection
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._requests.decoder_session import ReadOptions
from asyncframes._requests.inputs import VideoInput
from asyncframes._requests.jobs.images import Places, RequestImages
from asyncframes._requests.request import Request
from asyncframes._requests.single.latest import LatestFrames
from asyncframes._requests.video_requests import VideoOptions, VideoRequests
from asyncframes._runtime.generators import in_turns
from asyncframes._runtime.life import ForkGuard
from asyncframes._runtime.threads import in_thread, wait_until_done
from asyncframes._types import PacketProgress, VideoInfo
from asyncframes.errors import ClosedError, IsolationError, SourceTimeoutError
from asyncframes.sources._forward.sequential import ForwardBytes

_MIB = 1024**2

# An image that is larger is copied in a thread, so that the loop is not kept.
_QUICK_COPY_BYTES = _MIB

# A queue holds at most 256 MiB, so that its images fit into either half.
_MEMORY_BYTES = 512 * _MIB
_MOST_MEMORY_BYTES = 2048 * _MIB
_MOST_BYTES_PER_PIXEL = 8

# FFmpeg recognises no format by less, unless that is all.
_FIRST_BYTES = 2048

# What a frame and its packet take in the columns of a frame table, and what a table may have besides.
_TABLE_BYTES_PER_FRAME = 256
_TABLE_BYTES_AT_LEAST = 64 * _MIB


class IsolatedRequests(VideoRequests):
    """Serves the requests of one video in a decoding process, which uses `Requests`.

    Parameters
    ----------
    video_input
        The source.
    reading
        How the source is read and opened.
    options
        How frames are found and made.
    cache_bytes, read_ahead_bytes
        As for `open_video`.
    """

    def __init__(
        self,
        video_input: VideoInput,
        reading: ReadOptions,
        options: VideoOptions,
        *,
        cache_bytes: int,
        read_ahead_bytes: int,
    ) -> None:
        super().__init__(video_input, reading.executor, options)
        self._reading = reading
        self._cache = {"cache_bytes": cache_bytes, "read_ahead_bytes": read_ahead_bytes}
        self._guard = ForkGuard(f"the video {video_input.name}")
        self._session: Session | None = None
        self._info: VideoInfo | None = None
        self._report: IsolationReport | None = None
        self._table = options.frame_table
        self._held = 0
        """The number of this table, which the process gives; 0 for the caller's, or none."""
        self._telling: set[Future[None]] = set()
        self._receiving = asyncio.Lock()
        self._known: int | None = None
        self._has_table = False
        self._closed = False

    # Opening and closing.

    async def _open(self) -> None:
        policy, cached = self._options.policy, self.input.cached
        if cached is None:
            raise IsolationError(
                "FFmpeg would open this source itself, which a process without a network cannot: "
                "pass an address that asyncframes reads, or isolation='none'",
                source=self.input.name,
                limit="isolation",
            )
        await cached.open()
        await self._wait_for_first_bytes()
        worker = await workers().take(policy.max_workers)
        self._report = worker.report
        try:
            self._refuse_unconfined(worker.report)
        except IsolationError:
            workers().give_back(worker, is_clean=True)
            raise
        session = self._session = Session(
            workers(), worker, self.input.name, most_bytes=self._most_table_bytes
        )
        table = self._stored_table()
        session.source = BytesForChild(self.input, cached, session.channel, table)
        session.told.tell_packets = self._tell_packets
        facts, _ = await session.result(session.open(self._opening(has_table_cache=table is not None)))
        with session.believed():
            self._info = info_from_facts(
                facts.get("info"), self.input.size, max_pixels=self._reading.container.max_pixels
            )
        self._limits.check_info(self._info)
        if table is not None:
            table.stream_index = self._info.stream_index

    async def _wait_for_first_bytes(self) -> None:
        """Wait for what FFmpeg needs to recognise a format, so that a silent sender holds no process."""
        source, seconds = self.input.source, self._reading.read_timeout_seconds
        arrived = 0
        while isinstance(source, ForwardBytes) and arrived < _FIRST_BYTES:
            try:
                async with asyncio.timeout(seconds):
                    piece = await source.read_some(arrived, _FIRST_BYTES - arrived)
            except SourceTimeoutError:
                raise
            except TimeoutError as exc:
                raise no_bytes_in(seconds, source.name) from exc
            if not piece:
                break
            arrived += len(piece)

    def _refuse_unconfined(self, report: IsolationReport) -> None:
        required = self._options.policy.require_isolation
        if missing := sorted(set(required) - report.measures):
            raise IsolationError(
                f"the decoding process is not confined by {', '.join(missing)}, which require_isolation asks "
                f"for: {' '.join(report.notes) or 'the system lacks it'}",
                source=self.input.name,
                limit="require_isolation",
                allowed=sorted(required),
                found=sorted(report.measures),
            )

    def _opening(self, *, has_table_cache: bool) -> Opening:
        sequential, pixels = self.input.sequential, self._reading.container.max_pixels
        return Opening(
            name=self.input.name,
            size=self.input.size,
            validator=self.input.validator,
            arrives_once=sequential is not None,
            can_store=sequential is not None and sequential.can_store,
            container=self._reading.container,
            # This process keeps the deadlines, and is told of everything that takes time.
            options=replace(
                self._options,
                table_cache=None,
                deadline_seconds=None,
                policy=replace(self._options.policy, deadline_seconds=None),
            ),
            read_timeout_seconds=self._reading.read_timeout_seconds,
            cpu_seconds=self._options.policy.cpu_seconds,
            memory_bytes=min(max(_MEMORY_BYTES, 2 * _MOST_BYTES_PER_PIXEL * pixels), _MOST_MEMORY_BYTES),
            stores_tables=has_table_cache,
            tells_packets=self._reading.packet_progress is not None,
            **self._cache,
        )

    def _stored_table(self) -> StoredTable | None:
        cache, cached = self._options.table_cache, self.input.cached
        if cache is None or cached is None:
            return None
        return StoredTable(cache, self.input, cached, self.executor, most_bytes=self._most_table_bytes)

    @property
    def _most_table_bytes(self) -> int:
        return _TABLE_BYTES_AT_LEAST + _TABLE_BYTES_PER_FRAME * self._options.policy.max_frames

    def _tell_packets(self, phase: Phase, total: int | None, packets: int) -> None:
        if (progress := self._reading.packet_progress) is not None:
            call = self.executor.submit(_repeat, progress, phase, total, packets)
            self._telling.add(call)
            call.add_done_callback(self._telling.discard)

    async def _all_told(self) -> None:
        """Wait until the caller has been told of all packets, as it has been when threads decode."""
        while self._telling:
            await wait_until_done(asyncio.wrap_future(next(iter(self._telling))))

    async def aclose(self) -> None:
        """End every request, give the process back, and release the source."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.aclose()
        await self.departures.wait_for_all()
        await self.input.aclose()

    # Facts.

    @property
    def info(self) -> VideoInfo:
        """Facts from the header and the first picture."""
        if self._info is None:
            raise ClosedError("the video was never opened")
        return self._info

    @property
    def isolation(self) -> IsolationReport:
        """What confines the process."""
        if self._report is None:
            raise ClosedError("the video was never opened")
        return self._report

    @property
    def has_table(self) -> bool:
        """Whether the process knows the frame table."""
        return self._has_table

    @property
    def known_count(self) -> int | None:
        """Number of frames by the frame table, or by the header if there is no table yet."""
        return self._known

    # Requests.

    async def _find_table(self) -> FrameTable:
        return await self._received_table("table")

    async def _nominal_rows(self, selection: Selection | None) -> FrameTable:
        return await self._received_table("rows", selection)

    async def _received_table(self, method: str, *arguments: Any) -> FrameTable:
        """Receive a table, or return the last one if it is still the same."""
        # One at a time: a table may be large.
        async with self._receiving:
            facts, body = await self._result(self._call(method, *arguments, self._held))
            with self._open_session.believed():
                number = whole(facts.get("table"))
                if self._table is None or number != self._held:
                    self._table = await in_thread(self.executor, table_from, body, self._most_table_bytes)
                    self._held = number
            return self._table

    async def resolve(self, selection: Selection, *, distinct: bool = False) -> Int64Array:
        """Return the indices of a selection; with `distinct`, each once and in ascending order."""
        selection = await in_turns(selection.read())
        _, body = await self._result(self._call("resolve", selection, distinct))
        with self._open_session.believed():
            return indices_from(body, self._options.policy.max_frames)

    async def prefetch(self, selection: Selection) -> None:
        """Decode frames, and keep their pictures; see `Video.prefetch`."""
        self.input.allow_request()
        selection = await in_turns(selection.read())
        await self._result(self._call("prefetch", selection))

    async def _stream(self, request: Request, images: RequestImages | None) -> AsyncGenerator[Frame, None]:
        with self.departures.open_request():
            selection = await in_turns(request.selection.read())
            # The frames in the queue of the process, and those that it has sent, are as many as in one queue.
            credit = max(1, request.queue_maxsize // 2)
            queue_maxsize = max(1, request.queue_maxsize - credit)
            asked = replace(request, selection=selection, queue_maxsize=queue_maxsize)
            output = self._limits.output(self.info, request.rendering)
            placed = None if images is None else images.at()
            self._allow_request()
            session, taken = self._open_session, 0
            call = self._call(
                "frames", asked, credit, images is None, rendering=request.rendering, credit=credit
            )
            call.most = selection.most_frames
            try:
                while (record := await session.next_record(call)) is not None:
                    frame = await self._frame(session, call, record, placed)
                    taken += 1
                    if not call.records or 2 * taken >= credit:
                        session.taken(call, taken)
                        taken = 0
                    yield output.add(frame)
                    del frame
                await self._all_told()
            finally:
                await session.leave(call)

    def latest(self, rendering: Rendering) -> LatestFrames:
        """Stream the newest frames; see `Video.latest`."""
        seen = _Seen()
        return LatestFrames(self._latest(rendering, seen), f"the iterator over {self.input.name}", seen)

    async def _latest(self, rendering: Rendering, seen: _Seen) -> AsyncGenerator[Frame, None]:
        session, output = self._open_session, self._limits.output(self.info, rendering)
        self._allow_request()
        call = seen.call = self._call("latest", rendering, rendering=rendering, credit=1)
        with self.departures.open_request():
            try:
                while (record := await session.next_record(call)) is not None:
                    yield output.add(await self._frame(session, call, record, None))
                    # The next one is whichever is the newest when it is asked for.
                    session.taken(call, 1)
            finally:
                await session.leave(call)

    async def _frame(self, session: Session, call: Call, record: FrameRecord, placed: Places | None) -> Frame:
        """Return a frame whose image the caller may keep."""
        frame = Frame(image=session.view(call, record), **record.facts)
        if placed is None and session.is_lent(record):
            return frame
        own = _copied if placed is None else placed.put
        if frame.image.nbytes <= _QUICK_COPY_BYTES:
            return own(frame)
        return await in_thread(self.executor, own, frame)

    def _allow_request(self) -> None:
        self.input.allow_request()
        if self._open_session.source is not None:
            self._open_session.source.requests += 1

    # Calls.

    def _refuse_if_closed(self) -> None:
        self._guard.check()
        if self._closed or self._session is None:
            raise ClosedError(f"the video is closed [{self.input.name}]")

    @property
    def _open_session(self) -> Session:
        self._refuse_if_closed()
        return cast("Session", self._session)

    def _call(
        self, method: str, *arguments: Any, rendering: Rendering | None = None, credit: int = 0
    ) -> Call:
        session = self._open_session
        if (seconds := self._options.policy.cpu_seconds) is not None:
            session.limit_cpu(seconds)
        return session.call(method, *arguments, rendering=rendering, credit=credit)

    async def _result(self, call: Call) -> tuple[dict[str, Any], bytes]:
        facts, body = await self._open_session.result(call)
        await self._all_told()
        with self._open_session.believed():
            self._known = or_none(whole)(facts.get("known"))
            self._has_table = flag(facts.get("has_table"))
        return facts, body


class _Seen:
    """Counts the frames that were dropped because a newer one came before they were asked for."""

    call: Call | None = None

    @property
    def dropped(self) -> int:
        return 0 if self.call is None else self.call.dropped


def _copied(frame: Frame) -> Frame:
    return replace(frame, image=frame.image.copy())


def _repeat(progress: PacketProgress, phase: Phase, total: int | None, packets: int) -> None:
    for _ in range(packets):
        progress(phase, total)
