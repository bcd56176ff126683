"""What serves the requests for one video, wherever it is decoded."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from concurrent.futures import Executor
from typing import Protocol

from asyncframes._frames.frame import Frame
from asyncframes._isolation.report import IsolationReport
from asyncframes._model.rendering import Rendering
from asyncframes._model.selection import Selection
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._requests.inputs import VideoInput
from asyncframes._requests.jobs.images import RequestImages
from asyncframes._requests.request import Request
from asyncframes._requests.single.latest import LatestFrames
from asyncframes._runtime.generators import Departures
from asyncframes._types import VideoInfo


class VideoRequests(Protocol):
    """Serves the requests for one video: `Requests` in threads, `IsolatedRequests` in another process."""

    @property
    def input(self) -> VideoInput:
        """The source."""

    @property
    def executor(self) -> Executor:
        """Runs blocking calls."""

    @property
    def departures(self) -> Departures:
        """The requests that are open or closing."""

    @property
    def info(self) -> VideoInfo:
        """Facts from the header and the first picture."""

    @property
    def known_count(self) -> int | None:
        """Number of frames by the frame table, or by the header if there is no table yet."""

    @property
    def isolation(self) -> IsolationReport:
        """What separates the decoder from the program."""

    async def open(self) -> None:
        """Open the source and take the first look at it."""

    async def table(self) -> FrameTable:
        """Return the frame table; see `Video.frame_table`."""

    async def rows(self, selection: Selection | None = None) -> FrameTable:
        """Return the table that resolves selections: the frame table, or the nominal one from the header."""

    async def resolve(self, selection: Selection, *, distinct: bool = False) -> Int64Array:
        """Return the indices of a selection; with `distinct`, each once and in ascending order."""

    def goes_forward(self, selection: Selection) -> bool:
        """Whether to decode from the start of the stream to serve a selection."""

    def frames(self, request: Request, images: RequestImages | None = None) -> AsyncGenerator[Frame, None]:
        """Stream frames, with their images in given arrays if there are any."""

    def latest(self, rendering: Rendering) -> LatestFrames:
        """Stream the newest frames; see `Video.latest`."""

    async def prefetch(self, selection: Selection) -> None:
        """Decode frames, and keep their pictures; see `Video.prefetch`."""

    async def aclose(self) -> None:
        """End every request and release the source."""
