"""One reader of a cached source: the blocks it waits for, and those fetched ahead of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from asyncframes._model.ranges import ByteRange, block_span, check_range
from asyncframes.sources._cache.loads import BlockLoader, Blocks, Load, closed_error
from asyncframes.sources._cache.readahead import NEVER, ReadAhead


class ReaderRequests:
    """The blocks that one reader has requested."""

    def __init__(self, loader: BlockLoader) -> None:
        self._loader = loader
        self._loads: set[Load] = set()
        self._waits: dict[asyncio.Future[Blocks], Load] = {}
        self._closed = False

    async def read(self, start: int, stop: int) -> bytes:
        """Read the cached bytes from `start` on, and wait for the first missing block.

        The rest of the range is requested too, up to half the size of the cache.

        Returns
        -------
        bytes
            At least one byte, unless the source ends at `start`.
        """
        self.check_open()
        cache = self._loader.cache
        stop = self._loader.clip(stop)
        head = cache.run(start, stop)
        position = start + len(head)
        if position >= stop:
            return head
        span = block_span(position, stop, block_size=cache.block_size)
        wanted = span[: max(1, cache.capacity // cache.block_size // 2)]
        blocks = await self._wait(self.request(wanted, urgent=True)[0], span.start)
        offset = span.start * cache.block_size
        tail = cache.run(position, stop) or blocks[span.start][position - offset : stop - offset]
        return head + tail

    def request(self, blocks: Iterable[int], *, urgent: bool) -> list[Load]:
        """Request the missing blocks, and own their loads."""
        loads = self._loader.request(blocks, urgent=urgent)
        for load in loads:
            load.owners.add(self)
        self._loads.update(loads)
        return loads

    def disown_except(self, blocks: Iterable[int]) -> None:
        """Disown the loads that contain none of these blocks."""
        wanted = set(blocks)
        for load in [load for load in self._loads if wanted.isdisjoint(load.blocks)]:
            self._disown(load)

    def forget(self, load: Load) -> None:
        """Remove a load that has ended."""
        self._loads.discard(load)

    def close(self) -> list[asyncio.Task[Blocks]]:
        """Disown all loads. Reads that wait raise `ClosedError`.

        Returns
        -------
        list of asyncio.Task
            The requests that are cancelled but have not ended yet.
        """
        self._closed = True
        for waiter, load in self._waits.items():
            if not waiter.done():
                waiter.set_exception(closed_error(self._loader.source))
            load.waiters.pop(waiter, None)
        loads = {*self._loads, *self._waits.values()}
        for load in loads:
            self._disown(load)
        return [load.task for load in loads if load.task is not None and load.task.cancelling()]

    async def _wait(self, load: Load, block: int) -> Blocks:
        waiter: asyncio.Future[Blocks] = asyncio.get_running_loop().create_future()
        load.waiters[waiter] = block
        self._waits[waiter] = load
        try:
            return await waiter
        finally:
            del self._waits[waiter]
            if load.waiters.pop(waiter, None) is not None:
                self._loader.abandon(load)

    def _disown(self, load: Load) -> None:
        self._loads.discard(load)
        load.owners.discard(self)
        self._loader.abandon(load)

    def check_open(self) -> None:
        """Raise if the reader or the source is closed."""
        if self._closed or self._loader.closed:
            raise closed_error(self._loader.source)


class ReadCursor:
    """Fetches the bytes that one reader lacks, and bytes ahead of it.

    `CachedSource.cursor` makes one. Only `touch` may be called outside the event loop.

    Parameters
    ----------
    loader
        Fetches for all readers of the source.
    read_ahead_bytes
        Most bytes to fetch ahead of the reader.

    Attributes
    ----------
    limit
        Without a plan, nothing at or past this byte is fetched ahead; ``None`` for the
        end of the source.
    """

    def __init__(self, loader: BlockLoader, *, read_ahead_bytes: int) -> None:
        self.limit: int | None = None
        self._loader = loader
        self._max_window = read_ahead_bytes
        self._requests = ReaderRequests(loader)
        self._readahead = ReadAhead(block_size=loader.cache.block_size)
        self._loop = asyncio.get_running_loop()
        self._trigger = self._readahead.trigger
        self._pinned: int | None = None
        self._closed = False
        loader.cursors += 1

    async def fetch(self, start: int, stop: int) -> bytes:
        """Wait for the block with the first missing byte of ``start <= i < stop``.

        Returns
        -------
        bytes
            The bytes from `start` on: at most ``stop - start``, and at least one unless
            the source ends at `start`.

        Raises
        ------
        SourceError
            The bytes cannot be read. The next fetch tries again.
        ClosedError
            The cursor or the source is closed, or was closed during the fetch.
        """
        check_range(start, stop)
        self._requests.check_open()
        missing = start + len(self._loader.cache.run(start, stop))
        self._pin(missing // self._loader.cache.block_size)
        self._step(start, stop)
        return await self._requests.read(start, stop)

    def touch(self, position: int) -> None:
        """Note the position of the reader. Cheap, and callable from any thread."""
        if position < self._trigger:
            return
        self._trigger = NEVER
        self._loop.call_soon_threadsafe(self._reached, position)

    def prefetch(self, ranges: Sequence[ByteRange]) -> None:
        """Fetch only these ranges ahead of the reader.

        Parameters
        ----------
        ranges
            The ranges, in the order in which they will be read. At most a quarter of the
            cache is fetched ahead of the reader; the rest follows as the reader advances.
        """
        self._requests.check_open()
        self._readahead.plan(ranges)
        blocks = self._top_up()
        self._requests.disown_except(blocks)
        self._requests.request(blocks, urgent=False)

    def unlimit(self) -> None:
        """Remove the plan and the limit: read ahead to the end of the source."""
        self._requests.check_open()
        self.limit = None
        self._readahead.follow()
        self._trigger = self._readahead.trigger

    def cancel(self) -> None:
        """Close without waiting. Current and later fetches raise `ClosedError`."""
        self._cancel()

    async def aclose(self) -> None:
        """Close, and wait for the end of requests that no other reader needs."""
        ending = self._cancel()
        if ending:
            await asyncio.wait(ending)

    def _cancel(self) -> list[asyncio.Task[Blocks]]:
        if self._closed:
            return []
        self._closed = True
        self._trigger = NEVER
        self._loader.cursors -= 1
        self._pin(None)
        return self._requests.close()

    def _reached(self, position: int) -> None:
        if not self._closed and not self._loader.closed:
            self._step(position, position)

    def _step(self, start: int, stop: int) -> None:
        if self._readahead.step(start, stop):
            self._requests.disown_except(block_span(start, stop, block_size=self._loader.cache.block_size))
        self._requests.request(self._top_up(), urgent=False)

    def _top_up(self) -> list[int]:
        cache, cursors = self._loader.cache, max(2, self._loader.cursors)
        ends = [self._loader.end, None if self._readahead.planned else self.limit]
        blocks = self._readahead.top_up(
            max_window=min(self._max_window, cache.capacity // (2 * cursors)),
            end=min((end for end in ends if end is not None), default=None),
        )
        self._trigger = self._readahead.trigger
        return blocks

    def _pin(self, block: int | None) -> None:
        if block is not None:
            self._loader.cache.pin(block)
        if self._pinned is not None:
            self._loader.cache.unpin(self._pinned)
        self._pinned = block
