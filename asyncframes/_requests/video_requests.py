"""What serves the requests for one video, wherever it is decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

from asyncframes._frames.frame import Frame
from asyncframes._isolation.report import IsolationReport
from asyncframes._media.table.cache import TableCache
from asyncframes._model.rendering import Rendering
from asyncframes._model.selection import Selection
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._policy.policy import Policy
from asyncframes._requests.inputs import VideoInput
from asyncframes._requests.jobs.images import RequestImages
from asyncframes._requests.limits import RequestLimits
from asyncframes._requests.request import Request
from asyncframes._requests.route import goes_forward
from asyncframes._requests.single.latest import LatestFrames
from asyncframes._runtime.deadline import done_within, within_deadline
from asyncframes._runtime.generators import Departures
from asyncframes._runtime.life import GuardedFrames
from asyncframes._runtime.tasks import check_event_loop
from asyncframes._runtime.threads import in_thread
from asyncframes._types import OnCorrupt, SeekMode, VideoInfo

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOptions:
    """How every request finds and makes the frames of a video.

    Attributes
    ----------
    on_corrupt, reorder_bytes, seek_mode, frame_table, picture_cache_bytes
        As for `open_video`.
    table_cache
        Where frame tables are stored, ``None`` for nowhere.
    deadline_seconds
        Most seconds for each request for frames, ``None`` for any.
    policy
        Limits of the video and of each request. Its deadline is for what is not a request for frames.
    """

    on_corrupt: OnCorrupt
    reorder_bytes: int
    seek_mode: SeekMode
    frame_table: FrameTable | None
    table_cache: TableCache | None
    deadline_seconds: float | None
    picture_cache_bytes: int
    policy: Policy


class VideoRequests(ABC):
    """Serves the requests for one video: `Requests` in threads, `IsolatedRequests` in another process.

    Parameters
    ----------
    video_input
        The source.
    executor
        Runs blocking calls.
    options
        How frames are found and made.

    Attributes
    ----------
    input
        The source.
    executor
        Runs blocking calls.
    departures
        The requests that are open or closing.
    """

    def __init__(self, video_input: VideoInput, executor: Executor, options: VideoOptions) -> None:
        self.input = video_input
        self.executor = executor
        self.departures: Departures = Departures()
        self._options = options
        self._limits = RequestLimits(options.policy, video_input.name)
        self._checked: FrameTable | None = None
        """The last frame table that was found to be within the limits."""

    @property
    @abstractmethod
    def info(self) -> VideoInfo:
        """Facts from the header and the first picture."""

    @property
    @abstractmethod
    def isolation(self) -> IsolationReport:
        """What separates the decoder from the program."""

    @property
    @abstractmethod
    def has_table(self) -> bool:
        """Whether the frame table is known."""

    @property
    @abstractmethod
    def known_count(self) -> int | None:
        """Number of frames by the frame table, or by the header if there is no table yet."""

    @abstractmethod
    def _refuse_if_closed(self) -> None:
        """Raise `ClosedError` once the video starts to close, and `ForkedError` in a forked child."""

    async def open(self) -> None:
        """Open the source and take the first look at it."""
        check_event_loop()
        await self._in_time(self._open(), "opening")

    @abstractmethod
    async def _open(self) -> None: ...

    async def table(self) -> FrameTable:
        """Return the frame table; see `Video.frame_table`."""
        self._refuse_if_closed()
        return await self._in_time(self._table_within_limits(), "the look-up of the frame table of")

    async def _table_within_limits(self) -> FrameTable:
        table = await self._find_table()
        if table is not self._checked:
            # One that the caller passes has been made already.
            if self._options.frame_table is None:
                self._limits.check_count(table)
            if self._limits.limits_times:
                await in_thread(self.executor, self._limits.check_times, table)
            self._checked = table
        return table

    @abstractmethod
    async def _find_table(self) -> FrameTable:
        """Return the frame table, obtained in the cheapest way."""

    async def rows(self, selection: Selection | None = None) -> FrameTable:
        """Return the table that resolves selections: the frame table, or the nominal one from the header."""
        if self._options.seek_mode == "exact":
            return await self.table()
        self._refuse_if_closed()
        return await self._nominal_rows(selection)

    @abstractmethod
    async def _nominal_rows(self, selection: Selection | None) -> FrameTable:
        """Return the nominal table, unless it cannot resolve a selection."""

    @abstractmethod
    async def resolve(self, selection: Selection, *, distinct: bool = False) -> Int64Array:
        """Return the indices of a selection; with `distinct`, each once and in ascending order."""

    def goes_forward(self, selection: Selection) -> bool:
        """Whether to decode from the start of the stream to serve a selection."""
        if selection.is_forward and self.input.sequential:
            return True
        header_only = self._options.seek_mode == "approximate" or self.info.container.startswith("mov")
        return goes_forward(selection, has_table=self.has_table, header_only=header_only)

    def frames(self, request: Request, images: RequestImages | None = None) -> AsyncGenerator[Frame, None]:
        """Stream frames within the video's deadline, with their images in given arrays if there are any."""
        frames = self._stream(request, images)
        what = f"the iterator over {self.input.name}"
        if self._options.deadline_seconds is not None:
            frames = within_deadline(frames, self._options.deadline_seconds, what, self.departures)
        return GuardedFrames(frames, what)

    @abstractmethod
    def _stream(self, request: Request, images: RequestImages | None) -> AsyncGenerator[Frame, None]: ...

    @abstractmethod
    def latest(self, rendering: Rendering) -> LatestFrames:
        """Stream the newest frames; see `Video.latest`."""

    @abstractmethod
    async def prefetch(self, selection: Selection) -> None:
        """Decode frames, and keep their pictures; see `Video.prefetch`."""

    @abstractmethod
    async def aclose(self) -> None:
        """End every request and release the source."""

    async def _in_time(self, work: Coroutine[Any, Any, T], what: str) -> T:
        """Wait for work that is not a request for frames, within the deadline of the policy."""
        what = f"{what} {self.input.name}"
        return await done_within(work, self._options.policy.deadline_seconds, what, self.departures)
