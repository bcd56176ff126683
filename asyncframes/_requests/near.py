"""Frames of one GOP that several requests wait for, decoded in one go."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TypeAlias

import numpy as np

from asyncframes._model.selection import Selection
from asyncframes._model.table import FrameTable
from asyncframes._requests.decodings import Decodings
from asyncframes._requests.jobs.job import JobOptions
from asyncframes._runtime.threads import wait_until_done
from asyncframes._types import Frame

_QUEUE_MAXSIZE = 8

_Key: TypeAlias = tuple[FrameTable, int, str]


class NearFrames:
    """Requests for single frames that wait for a turn: those of one GOP share it.

    The first one waits in order for all; whoever comes before the turn does is taken
    along. Requests whose images are made in other ways are never decoded together.

    Parameters
    ----------
    decodings
        Of the same video.
    """

    def __init__(self, decodings: Decodings) -> None:
        self._decodings = decodings
        self._waiting: dict[_Key, _Party] = {}
        self._parties: set[_Party] = set()

    async def frame(self, table: FrameTable, index: int, options: JobOptions) -> Frame | None:
        """Return a frame, an image of its own, once it is decoded with others of its GOP.

        Returns
        -------
        Frame or None
            ``None`` where it did not come of that: it is to be asked for alone, so
            that each request meets the errors that concern it and no others.
        """
        # A resize may be a list, which is no key.
        key = (table, table.start_for(index), repr(options.rendering))
        party = self._waiting.get(key)
        if party is None:
            party = self._waiting[key] = _Party()
            self._parties.add(party)
            party.task = asyncio.create_task(
                self._decode(party, key, options), name="asyncframes near frames"
            )
            party.task.add_done_callback(lambda _task: self._end(party, key))
        return await party.frame(index)

    async def _decode(self, party: _Party, key: _Key, options: JobOptions) -> None:
        def selection() -> Selection:
            self._set_off(party, key)
            return party.selection()

        decoding = self._decodings.pumped(
            selection, key[0], options, queue_maxsize=_QUEUE_MAXSIZE, may_rebuild=False, keeps_turn=True
        )
        try:
            async with decoding as pump:
                while (frame := await pump.get()) is not None:
                    party.deliver(frame)
                    del frame
        except Exception:  # noqa: BLE001 - whom it concerns meets it again, alone
            return

    def _set_off(self, party: _Party, key: _Key) -> None:
        if self._waiting.get(key) is party:
            del self._waiting[key]

    def _end(self, party: _Party, key: _Key) -> None:
        # A task that is cancelled before it begins runs nothing of its own.
        self._set_off(party, key)
        self._parties.discard(party)
        party.dismiss()

    async def aclose(self) -> None:
        """Stop decoding; whoever still waits gets ``None``."""
        for party in list(self._parties):
            party.task.cancel()
            await wait_until_done(party.task)


class _Party:
    """Those who wait for frames of one GOP, and the task that decodes for them."""

    def __init__(self) -> None:
        self.task: asyncio.Task[None]
        self._members = 0
        self._awaited: dict[int, deque[asyncio.Future[Frame | None]]] = {}

    async def frame(self, index: int) -> Frame | None:
        """Wait for a frame; the last one to leave waits for the task, and stops it if it has more to do."""
        future: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        self._awaited.setdefault(index, deque()).append(future)
        self._members += 1
        try:
            return await future
        finally:
            self._members -= 1
            if not self._members:
                if any(self._awaited.values()):
                    self.task.cancel()
                await wait_until_done(self.task)

    def selection(self) -> Selection:
        """Name the frames that are awaited now, in presentation order, each as often as it is."""
        still = {
            index: deque(future for future in futures if not future.done())
            for index, futures in self._awaited.items()
        }
        self._awaited = still
        rows = [index for index in sorted(still) for _ in still[index]]
        return Selection(indices=np.array(rows, np.int64))

    def deliver(self, frame: Frame) -> None:
        """Give a frame to the next one who asked for it, if that one still waits."""
        future = self._awaited[frame.index].popleft()
        if not future.done():
            future.set_result(frame)

    def dismiss(self) -> None:
        """Tell all who still wait that nothing more comes."""
        for futures in self._awaited.values():
            while futures:
                if not (future := futures.popleft()).done():
                    future.set_result(None)
