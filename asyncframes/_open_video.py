"""What is known of an open video, and its end."""

from __future__ import annotations

from typing import Any

from asyncframes._isolation.report import IsolationReport
from asyncframes._model.quoting import quoted
from asyncframes._model.table import FrameTable
from asyncframes._model.timing import as_float
from asyncframes._requests.video_requests import VideoRequests
from asyncframes._runtime.life import Opened
from asyncframes._types import VideoInfo
from asyncframes.errors import ClosedError, NotPicklableError


class OpenVideo(Opened):
    """The part of `Video` that selects no frames: facts, the frame table and closing."""

    def __init__(self, requests: VideoRequests) -> None:
        super().__init__("video", requests.input.name)
        self._requests = requests

    def __repr__(self) -> str:
        return f"<Video {self._described()}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise NotPicklableError(
            f"{self!r} belongs to this process: pickle what open_video returns, before it is entered, "
            "and enter it in the other process"
        )

    def _described(self) -> str:
        name = quoted(self._requests.input.name, longest=80)
        if self._closed:
            return f"{name}, closed"
        try:
            info = self.info
        except ClosedError:
            return f"{name}, not open yet"
        rate = f", {as_float(info.average_rate):.6g} fps" if info.average_rate else ""
        return f"{name}, open: {info.width}x{info.height}, {info.codec}{rate}"

    async def _open(self) -> None:
        self._opened = True
        await self._requests.open()

    @property
    def info(self) -> VideoInfo:
        """Facts about the video from its header and first picture."""
        return self._requests.info

    @property
    def isolation(self) -> IsolationReport:
        """What separates the decoder from the program; see ``isolation`` of `Policy`."""
        return self._requests.isolation

    @property
    def bytes_read(self) -> int:
        """Number of bytes fetched so far. Reads of local files are not counted."""
        cached = self._requests.input.cached
        return 0 if cached is None else cached.bytes_read

    @property
    def range_requests(self) -> int:
        """Number of byte ranges fetched so far."""
        cached = self._requests.input.cached
        return 0 if cached is None else cached.requests

    async def count(self) -> int:
        """Return the exact number of frames.

        This builds the frame table: from the header of an MP4/MOV, in one pass over other
        containers, or by decoding if neither is enough. In approximate mode, it returns the
        number in the header, or rate times duration.
        """
        return len(await self._requests.rows())

    async def frame_table(self) -> FrameTable:
        """Return the frame table, built in the cheapest exact way, even in approximate mode.

        `count` describes what that costs. To avoid it later, pass the table to `open_video`
        for the same bytes. Later calls may return another table, which includes what decoding
        has shown since.

        Raises
        ------
        SourceError
            Bytes cannot be read.
        ClosedError
            The video is closed.
        """
        return await self._requests.table()

    async def aclose(self) -> None:
        """End every request and release the source. A second call does nothing, nor does a forked child's."""
        if self._guard.is_forked:
            return
        self._closed = True
        await self._requests.aclose()
