"""Requests for blocks, shared by all readers that need one of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol, TypeAlias

from asyncframes._model.quoting import shortened
from asyncframes._model.ranges import exactly, short_read
from asyncframes._runtime.tasks import begin
from asyncframes.abc import StreamSource
from asyncframes.errors import ClosedError
from asyncframes.sources._cache.blocks import BlockCache
from asyncframes.sources._cache.fetches import FetchLimit

Blocks: TypeAlias = dict[int, bytes]


class Owner(Protocol):
    """An object that needs a load, and is told when the load has ended."""

    def forget(self, load: Load, /) -> None: ...


class Load:
    """One request for adjacent blocks.

    It is cancelled when it has neither owners nor waiters. A waiter gets its block as soon
    as the block is complete.
    """

    __slots__ = ("blocks", "owners", "task", "waiters")

    def __init__(self, block: int) -> None:
        self.blocks: range = range(block, block + 1)
        self.owners: set[Owner] = set()
        self.waiters: dict[asyncio.Future[Blocks], int] = {}
        self.task: asyncio.Task[Blocks] | None = None


class BlockLoader:
    """Reads missing blocks of a source into a cache, several requests at a time.

    Blocks that a reader waits for come before those that are read ahead, and one request
    is reserved for them.
    """

    def __init__(
        self,
        source: StreamSource,
        cache: BlockCache,
        *,
        max_in_flight: int,
        max_request_blocks: int,
        limit: FetchLimit,
    ) -> None:
        self.source = source
        self.cache = cache
        self.bytes_read: int = 0
        self.requests: int = 0
        self.closed: bool = False
        self.cursors = 0
        self._max_in_flight = max_in_flight
        self._max_request_blocks = max_request_blocks
        self.limit = limit
        self._end: int | None = None
        self._furthest = 0
        self._in_flight: dict[int, Load] = {}
        self._urgent: deque[Load] = deque()
        self._ahead: deque[Load] = deque()
        self._tasks: set[asyncio.Task[Blocks]] = set()

    @property
    def size(self) -> int | None:
        """Length in bytes, from the source or from reads that reached the end; ``None`` if unknown."""
        if self.source.size is None and self._end == self._furthest:
            return self._end
        return self.source.size

    @property
    def end(self) -> int | None:
        """A position at or past the end of the source; ``None`` while none is known."""
        return self._end if self.source.size is None else self.source.size

    def clip(self, stop: int) -> int:
        """Limit the stop of a range to `end`."""
        return stop if self.end is None else min(stop, self.end)

    def request(self, blocks: Iterable[int], *, urgent: bool) -> list[Load]:
        """Start to load missing blocks.

        Returns
        -------
        list of Load
            The loads, in the order of `blocks`. They run even if they get no owner or
            waiter before the next iteration of the loop.
        """
        loads: list[Load] = []
        fresh: Load | None = None
        for block in blocks:
            load = self._in_flight.get(block)
            if load is None:
                if block in self.cache:
                    continue
                load = fresh = self._enqueue(block, fresh, urgent=urgent)
            elif urgent:
                self._promote(load)
            if load not in loads:
                loads.append(load)
        if loads:
            asyncio.get_running_loop().call_soon(self._start_more)
        return loads

    def abandon(self, load: Load) -> None:
        """Cancel a load without owners and waiters."""
        if load.owners or load.waiters or self._in_flight.get(load.blocks.start) is not load:
            return
        self._forget(load)
        if load.task is not None:
            load.task.cancel()
        else:
            queue = self._urgent if load in self._urgent else self._ahead
            queue.remove(load)

    async def aclose(self) -> None:
        """Cancel all loads. Their waiters raise `ClosedError`."""
        self.closed = True
        for load in set(self._in_flight.values()):
            _end_load(load, closed_error(self.source))
        self._urgent.clear()
        self._ahead.clear()
        self._in_flight.clear()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self.cache.clear()

    def _enqueue(self, block: int, fresh: Load | None, *, urgent: bool) -> Load:
        if fresh and fresh.blocks.stop == block and len(fresh.blocks) < self._max_request_blocks:
            fresh.blocks = range(fresh.blocks.start, block + 1)
            load = fresh
        else:
            load = Load(block)
            (self._urgent if urgent else self._ahead).append(load)
        self._in_flight[block] = load
        return load

    def _promote(self, load: Load) -> None:
        if load in self._ahead:
            self._ahead.remove(load)
            self._urgent.append(load)

    def _start_more(self) -> None:
        while (load := self._next()) is not None:
            task = load.task = begin(self._read(load), "asyncframes load")
            self._tasks.add(task)
            task.add_done_callback(partial(self._finish, load))

    def _next(self) -> Load | None:
        if self._urgent and len(self._tasks) < self._max_in_flight:
            return self._urgent.popleft()
        if self._ahead and len(self._tasks) < max(1, self._max_in_flight - 1):
            return self._ahead.popleft()
        return None

    async def read_exactly(self, start: int, stop: int) -> bytes:
        """Read bytes without caching them; they count towards the limit."""
        if self.closed:
            raise closed_error(self.source)
        self._count(stop - start)
        data = await self.source.read_range(start, stop)
        self.bytes_read += len(data)
        return exactly(data, start, stop, name=self.source.name)

    async def receive_uncached(self, start: int, stop: int, arrived: Callable[[bytes], object]) -> None:
        """Receive bytes without caching them; they count towards the limit."""
        if self.closed:
            raise closed_error(self.source)
        self._count(stop - start)

        def counted(part: bytes) -> None:
            self.bytes_read += len(part)
            arrived(part)

        await self.source.receive_range(start, stop, counted)

    def _count(self, length: int) -> None:
        self.limit.count(length, self.size)
        self.requests += 1

    async def _read(self, load: Load) -> Blocks:
        size, blocks = self.cache.block_size, load.blocks
        start, stop = blocks.start * size, self.clip(blocks.stop * size)
        if start >= stop:
            return dict.fromkeys(blocks, b"")
        self._count(stop - start)
        endless = self.source.size is None
        whole: Blocks = {}
        rest = bytearray()

        def arrived(part: bytes) -> None:
            self.bytes_read += len(part)
            rest.extend(part)
            coming = blocks[len(whole) :][: len(rest) // size]
            with memoryview(rest) as view:
                for place, block in enumerate(coming):
                    whole[block] = bytes(view[place * size : (place + 1) * size])
            del rest[: len(coming) * size]
            for block in coming:
                self._hand_over(load, block, whole[block])

        await self.source.receive_range(start, stop, arrived)
        received = len(whole) * size + len(rest)
        if endless:
            self.limit.longest.check(start + received, self.source.name)
            self._learn_end(start, stop, start + received)
        elif received < stop - start:
            raise short_read(start, stop, received=received, name=self.source.name)
        for block in blocks[len(whole) :]:
            whole[block] = bytes(rest[:size])
            del rest[:size]
            self._hand_over(load, block, whole[block])
        return whole

    def _hand_over(self, load: Load, block: int, data: bytes) -> None:
        """Cache a block and wake its waiters, while other blocks of the load are still arriving."""
        if data and not self.closed:
            self.cache.put(block, data)
        for waiter in [waiter for waiter, wanted in load.waiters.items() if wanted == block]:
            del load.waiters[waiter]
            if not waiter.done():
                waiter.set_result({block: data})

    def _learn_end(self, start: int, stop: int, reached: int) -> None:
        self._furthest = max(self._furthest, reached if reached > start else 0)
        if reached < stop:
            self._end = reached if self._end is None else min(self._end, reached)

    def _finish(self, load: Load, task: asyncio.Task[Blocks]) -> None:
        self._tasks.discard(task)
        self._forget(load)
        if task.cancelled():
            _end_load(load, closed_error(self.source))
        elif (error := task.exception()) is not None:
            _end_load(load, error)
        else:
            _end_load(load, task.result())
        self._start_more()

    def _forget(self, load: Load) -> None:
        for block in load.blocks:
            if self._in_flight.get(block) is load:
                del self._in_flight[block]


def closed_error(source: StreamSource) -> ClosedError:
    """Return the error for reads after closing."""
    return ClosedError(f"the reader was closed [{shortened(source.name)}]")


def _end_load(load: Load, outcome: Blocks | BaseException) -> None:
    waiters, load.waiters = load.waiters, {}
    owners, load.owners = load.owners, set()
    for owner in owners:
        owner.forget(load)
    for waiter in waiters:
        if waiter.done():
            continue
        if isinstance(outcome, BaseException):
            waiter.set_exception(outcome)
        else:
            waiter.set_result(outcome)
