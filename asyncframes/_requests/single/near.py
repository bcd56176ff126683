"""Decodes single frames of one GOP together, for several requests."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeAlias

import numpy as np

from asyncframes._frames.frame import Frame
from asyncframes._model.selection import Selection
from asyncframes._model.table import FrameTable
from asyncframes._requests.decodings import Decodings
from asyncframes._requests.jobs.job import JobOptions
from asyncframes._runtime.tasks import begin
from asyncframes._runtime.threads import wait_until_done

_QUEUE_MAXSIZE = 8

_Key: TypeAlias = tuple[FrameTable, int, str]


class NearFrames:
    """Groups requests for single frames that wait for a turn, one group per GOP.

    The first request of a group queues for a turn. Requests that arrive before the turn
    comes join the group, and one decode serves them all. Requests with different picture
    options form different groups.

    Parameters
    ----------
    decodings
        Decodes the groups.
    """

    def __init__(self, decodings: Decodings) -> None:
        self._decodings = decodings
        # Groups that more requests may join. A group leaves when its turn comes.
        self._waiting: dict[_Key, _Group] = {}
        # Every group whose task runs, also those that are closed to new requests: `aclose` ends them all.
        self._groups: set[_Group] = set()

    async def frame(self, table: FrameTable, index: int, options: JobOptions) -> Frame | None:
        """Return a frame with its own image, decoded together with others of its GOP.

        Returns
        -------
        Frame or None
            ``None`` if the group failed before this frame. The caller then requests the frame
            alone, so it only ever gets errors that concern this frame.
        """
        # The key contains the table, because a rebuilt one may give other frames, and the `repr` of options,
        # because a resize may be a list, which is not hashable.
        key = (table, table.start_for(index), repr(options.rendering))
        group = self._waiting.get(key)
        if group is None:
            group = self._waiting[key] = _Group()
            self._groups.add(group)
            # A task, so that cancelling the first request does not stop the decode for the others.
            group.task = begin(self._decode(group, key, options), "asyncframes near frames")
            group.task.add_done_callback(lambda _task: self._end(group, key))
        return await group.frame(index)

    async def _decode(self, group: _Group, key: _Key, options: JobOptions) -> None:
        # Called once the turn has come. The group's frames are fixed then, so it takes no more requests.
        def selection() -> Selection:
            self._close_group(group, key)
            return group.selection()

        # A wrong table makes the group fail. Each request then decodes alone, and may rebuild the table. The
        # turn is held to the end, because the group takes frames at once and the queue never stays full.
        decoding = self._decodings.pumped(
            selection, key[0], options, queue_maxsize=_QUEUE_MAXSIZE, may_rebuild=False, holds_turn=True
        )
        try:
            async with decoding as pump:
                while (frame := await pump.get()) is not None:
                    group.deliver(frame)
                    del frame
        except Exception:  # noqa: BLE001 - each request then decodes alone and meets its own error
            return

    def _close_group(self, group: _Group, key: _Key) -> None:
        """Let no more requests join a group."""
        # A new group may have taken the key since. It must stay.
        if self._waiting.get(key) is group:
            del self._waiting[key]

    def _end(self, group: _Group, key: _Key) -> None:
        # A task that is cancelled before it starts never runs `_decode`, so the group is closed here too.
        self._close_group(group, key)
        self._groups.discard(group)
        group.dismiss()

    async def aclose(self) -> None:
        """Stop decoding. Requests that still wait get ``None``."""
        for group in list(self._groups):
            group.task.cancel()
            await wait_until_done(group.task)


class _Group:
    """Requests that wait for frames of one GOP, and the task that decodes for them."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None]
        self._members = 0
        # One future per request, not per frame: each request owns its image, so each gets a frame of its own.
        self._awaited: dict[int, deque[asyncio.Future[Frame | None]]] = {}

    async def frame(self, index: int) -> Frame | None:
        """Wait for a frame. The last request to leave cancels unneeded work, and waits for the task."""
        future: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(index, deque()).append(future)
        self._members += 1
        try:
            return await future
        finally:
            self._members -= 1
            # The last one waits, so that no task outlives the requests that it serves.
            if not self._members:
                if any(self._awaited.values()):
                    self.task.cancel()
                await wait_until_done(self.task)

    def selection(self) -> Selection:
        """Return the frames still awaited, in presentation order, each once per request."""
        # A cancelled request has a future that is done. Its frame need not be decoded.
        awaited = {
            index: deque(future for future in futures if not future.done())
            for index, futures in self._awaited.items()
        }
        self._awaited = awaited
        rows = [index for index in sorted(awaited) for _ in awaited[index]]
        return Selection(indices=np.array(rows, np.int64))

    def deliver(self, frame: Frame) -> None:
        """Give a frame to the next request for it, unless that request was cancelled meanwhile."""
        future = self._awaited[frame.index].popleft()
        if not future.done():
            future.set_result(frame)

    def dismiss(self) -> None:
        """Resolve all remaining requests to ``None``."""
        for futures in self._awaited.values():
            while futures:
                if not (future := futures.popleft()).done():
                    future.set_result(None)
