"""Videos that stay open between requests, as long as they are used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from asyncframes._runtime.tasks import begin
from asyncframes._runtime.threads import wait_until_done
from asyncframes.errors import ClosedError
from asyncframes.web._limits import WebLimits
from asyncframes.web._open.opened import Opened


@dataclass(slots=True, eq=False)
class _Entry:
    """A video that is opened once for all who ask for it."""

    opening: asyncio.Task[Opened]
    users: int = 0
    is_retired: bool = False
    used: float = 0.0
    checked: float = 0.0
    checking: asyncio.Lock = field(default_factory=asyncio.Lock)


class OpenVideos:
    """Opens videos on demand, keeps those used last, and closes those that nobody uses.

    Parameters
    ----------
    open_video
        Opens the video of a name.
    is_current
        Whether the source of an open video still has the same bytes.
    limits
        For how long they stay open.
    most_open
        How many stay open.
    """

    def __init__(
        self,
        open_video: Callable[[str], Coroutine[Any, Any, Opened]],
        is_current: Callable[[Opened], Awaitable[bool]],
        limits: WebLimits,
        most_open: int,
    ) -> None:
        self._open_video = open_video
        self._is_current = is_current
        self._limits = limits
        self._most_open = most_open
        self._entries: dict[str, _Entry] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._sweeping: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._entries)

    @asynccontextmanager
    async def lent(self, video_id: str) -> AsyncIterator[Opened]:
        """Lend a video, which stays open for the duration of the block.

        Raises
        ------
        ClosedError
            The application is closing.
        AsyncFramesError
            The video cannot be opened.
        """
        entry = await self._current(video_id)
        try:
            yield entry.opening.result()
        finally:
            self._give_back(video_id, entry)

    @contextmanager
    def held(self, opened: Opened) -> Iterator[bool]:
        """Keep a video open for the duration of the block; false if it is not kept open any more."""
        entry = self._entries.get(opened.video_id)
        if self._closed or entry is None or _result(entry.opening) is not opened:
            yield False
            return
        entry.users += 1
        try:
            yield True
        finally:
            self._give_back(opened.video_id, entry)

    def forget(self, opened: Opened) -> None:
        """Open a video again when it is asked for next, and close this one once nobody uses it."""
        entry = self._entries.get(opened.video_id)
        if entry is not None and _result(entry.opening) is opened:
            self._retire(opened.video_id, entry)

    async def aclose(self) -> None:
        """Close all videos. Nothing is lent afterwards."""
        self._closed = True
        if self._sweeping is not None:
            self._sweeping.cancel()
            await wait_until_done(self._sweeping)
        for video_id, entry in [*self._entries.items()]:
            entry.users = 0
            self._retire(video_id, entry)
        while self._closing:
            await asyncio.wait(self._closing)

    async def _current(self, video_id: str) -> _Entry:
        """Return an entry that is used from now on, with the bytes that its source has now."""
        while True:
            entry = self._entry(video_id)
            try:
                opened = await asyncio.shield(entry.opening)
                async with entry.checking:
                    if not entry.is_retired and (self._is_fresh(entry) or await self._is_current(opened)):
                        return entry
                    self._retire(video_id, entry)
            except BaseException:
                self._give_back(video_id, entry)
                raise
            self._give_back(video_id, entry)

    def _entry(self, video_id: str) -> _Entry:
        if self._closed:
            raise ClosedError("the application is closing")
        entry = self._entries.pop(video_id, None)
        now = asyncio.get_running_loop().time()
        if entry is None or (entry.opening.done() and _result(entry.opening) is None):
            entry = _Entry(begin(self._open_video(video_id), "asyncframes open"), checked=now)
            self._sweep_from_now_on()
        entry.users += 1
        # The last one is that used last.
        self._entries[video_id] = entry
        # The new one may need what an idle one holds.
        self._close_surplus()
        return entry

    def _is_fresh(self, entry: _Entry) -> bool:
        now = asyncio.get_running_loop().time()
        if now - entry.checked < self._limits.fresh_seconds:
            return True
        # While one request asks the source, and if it cannot be asked, others use the open video.
        entry.checked = now
        return False

    def _give_back(self, video_id: str, entry: _Entry) -> None:
        entry.users -= 1
        entry.used = asyncio.get_running_loop().time()
        if entry.users > 0 or self._closed:
            return
        if entry.is_retired or _result(entry.opening) is None:
            self._retire(video_id, entry)
        self._close_surplus()

    def _close_surplus(self) -> None:
        idle = [(video_id, entry) for video_id, entry in self._entries.items() if not entry.users]
        for video_id, entry in idle[: max(0, len(self._entries) - self._most_open)]:
            self._retire(video_id, entry)

    def _retire(self, video_id: str, entry: _Entry) -> None:
        if self._entries.get(video_id) is entry:
            del self._entries[video_id]
        entry.is_retired = True
        if entry.users <= 0:
            entry.opening.cancel()
            task = begin(_close(entry.opening), "asyncframes close")
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _sweep_from_now_on(self) -> None:
        if self._sweeping is None or self._sweeping.done():
            self._sweeping = begin(self._sweep(), "asyncframes sweep")

    async def _sweep(self) -> None:
        while self._entries:
            await asyncio.sleep(self._limits.idle_seconds / 4)
            oldest = asyncio.get_running_loop().time() - self._limits.idle_seconds
            for video_id, entry in [*self._entries.items()]:
                if not entry.users and entry.used <= oldest:
                    self._retire(video_id, entry)


async def _close(opening: asyncio.Task[Opened]) -> None:
    await wait_until_done(opening)
    opened = _result(opening)
    if opened is not None:
        await opened.video.aclose()


def _result(opening: asyncio.Task[Opened]) -> Opened | None:
    """Return the open video; ``None`` if it is not open, or could not be opened."""
    if not opening.done() or opening.cancelled() or opening.exception() is not None:
        return None
    return opening.result()
