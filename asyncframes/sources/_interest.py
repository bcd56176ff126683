"""What one reader of a cached source wants and waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from asyncframes._ranges import block_span
from asyncframes.sources._loads import BlockLoader, Blocks, Load, closed_error


class Interest:
    """What one reader wants loaded."""

    def __init__(self, loader: BlockLoader) -> None:
        self._loader = loader
        self._loads: set[Load] = set()
        self._waits: dict[asyncio.Future[Blocks], Load] = {}
        self._closed = False

    async def read(self, start: int, stop: int) -> bytes:
        """Read what is cached from `start` on, up to and past the first missing block.

        The rest of the range is asked for too, as far as half the cache holds it.

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
        blocks = await self._wait(self.want(wanted, urgent=True)[0], span.start)
        offset = span.start * cache.block_size
        tail = cache.run(position, stop) or blocks[span.start][position - offset : stop - offset]
        return head + tail

    def want(self, blocks: Iterable[int], *, urgent: bool) -> list[Load]:
        """Own the loads of the blocks that are missing."""
        loads = self._loader.request(blocks, urgent=urgent)
        for load in loads:
            load.owners.add(self)
        self._loads.update(loads)
        return loads

    def keep_only(self, blocks: Iterable[int]) -> None:
        """Disown the loads that hold none of these blocks."""
        kept = set(blocks)
        for load in [load for load in self._loads if kept.isdisjoint(load.blocks)]:
            self._disown(load)

    def forget(self, load: Load) -> None:
        """Note that a load is done."""
        self._loads.discard(load)

    def close(self) -> list[asyncio.Task[Blocks]]:
        """Disown everything; waiting reads raise `ClosedError`.

        Returns
        -------
        list of asyncio.Task
            The requests that were cancelled and may take a moment to end.
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
        """Refuse use after closing."""
        if self._closed or self._loader.closed:
            raise closed_error(self._loader.source)
