"""A cache over a source: blocks, read-ahead, merged reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from copy import copy
from typing import Any, BinaryIO, TypeVar

from asyncframes._model.quoting import quoted_option
from asyncframes._model.ranges import ByteRange, merge_ranges
from asyncframes._policy.policy import NEEDED, Policy
from asyncframes._runtime.life import OneProcess
from asyncframes._runtime.tasks import begin
from asyncframes.abc import SourceAround, StreamSource
from asyncframes.sources._cache.blocks import BlockCache, LoadedRanges
from asyncframes.sources._cache.cursor import ReadCursor, ReaderRequests
from asyncframes.sources._cache.fetches import FetchLimit
from asyncframes.sources._cache.loads import BlockLoader, closed_error

T = TypeVar("T")

# Two ranges with a smaller gap are fetched as one: a request costs more than the bytes of the gap.
_GAP_WORTH_READING = 16 * 1024

_BLOCK_SIZE = 16 * 1024


def check_cache(*, cache_bytes: int, read_ahead_bytes: int, block_size: int = _BLOCK_SIZE) -> None:
    """Refuse the sizes of a cache that are out of range.

    Raises
    ------
    ValueError
        The cache is smaller than two blocks, or a number is too low.
    """
    if block_size < 1 or cache_bytes < 2 * block_size:
        raise ValueError(
            f"cache_bytes={quoted_option(cache_bytes)}, block_size={quoted_option(block_size)}: "
            "expected a cache of two blocks or more"
        )
    if read_ahead_bytes < 0:
        raise ValueError(f"read_ahead_bytes={quoted_option(read_ahead_bytes)}: expected 0 or more bytes")


class CachedSource(OneProcess, SourceAround):
    """A bounded cache of blocks over another source.

    Readers share the blocks and the requests: no block is fetched twice at the same time.

    Parameters
    ----------
    source
        Where the bytes come from.
    cache_bytes
        Most bytes in the cache, at least two blocks; never exceeded.
    block_size
        Bytes are fetched in multiples of this.
    max_in_flight
        Most concurrent requests for blocks.
    max_small_in_flight
        Most concurrent requests of `read_ranges`. These are short and cost a round trip each.
    max_request_bytes
        Longest request. Adjacent missing blocks share one up to this length.
    read_ahead_bytes
        Most bytes to fetch ahead of each reader, limited to a share of the cache; 0 for none.
    max_read_bytes
        Most bytes to request from `source`; further reads raise `SourceLimitError`. By default
        64 times its size, at least 1 GiB; 64 GiB if the size is unknown.
    close_source
        Whether `aclose` closes `source` too.

    Attributes
    ----------
    headers
        Ranges that stay in memory beside the blocks: the headers of the container.
    """

    def __init__(
        self,
        source: StreamSource,
        *,
        cache_bytes: int = 64 * 1024**2,
        block_size: int = _BLOCK_SIZE,
        max_in_flight: int = 6,
        max_small_in_flight: int = 16,
        max_request_bytes: int = 1024**2,
        read_ahead_bytes: int = 8 * 1024**2,
        max_read_bytes: int | None = None,
        close_source: bool = True,
    ) -> None:
        check_cache(cache_bytes=cache_bytes, read_ahead_bytes=read_ahead_bytes, block_size=block_size)
        if max_in_flight < 1:
            raise ValueError(f"max_in_flight={quoted_option(max_in_flight)}: expected 1 or more")
        self._source = source
        self._cache = BlockCache(capacity=cache_bytes, block_size=block_size)
        self._loader = BlockLoader(
            source,
            self._cache,
            max_in_flight=max_in_flight,
            # One reply must not displace most of the cache.
            max_request_blocks=max(1, min(max_request_bytes, cache_bytes // 4) // block_size),
            limit=FetchLimit(source, max_read_bytes=max_read_bytes),
        )
        self._max_small_in_flight = max_small_in_flight
        self._max_request_bytes = max_request_bytes
        self._read_ahead_bytes = read_ahead_bytes
        self._close_source = close_source
        self.headers: LoadedRanges = LoadedRanges()

    def __repr__(self) -> str:
        return f"CachedSource({self._source!r})"

    def __copy__(self) -> CachedSource:
        # Closing the copy must not close the source of this one.
        options = {name: value for name, value in self._arguments[1].items() if name != "source"}
        return type(self)(copy(self._source), **options)

    @property
    def name(self) -> str:
        return self._source.name

    def _limit(self, policy: Policy) -> None:
        super()._limit(policy)
        limit = self._loader.limit
        limit.longest = limit.longest.limited_by(policy)
        if policy.max_read_bytes == NEEDED:
            limit.allow_only_needed()

    def check_size(self) -> None:
        """Refuse a source that is longer than a policy allows.

        Raises
        ------
        SourceLimitError
            It is longer.
        """
        self._loader.limit.longest.check(self._source.size, self.name)

    def allow_request(self, share: float = 1.0) -> None:
        """Allow the bytes for a request for frames, if only as many are allowed as are needed.

        Parameters
        ----------
        share
            How much of the source it reads; more than 1 if it reads some of it again.
        """
        self._loader.limit.allow_request(share)
        if isinstance(self._source, CachedSource):
            self._source.allow_request(share)

    @property
    def size(self) -> int | None:
        return self._loader.size

    @property
    def validator(self) -> str | None:
        return self._source.validator

    @property
    def bytes_read(self) -> int:
        """Number of bytes received from the source."""
        return self._loader.bytes_read

    @property
    def requests(self) -> int:
        """Number of requests to the source."""
        return self._loader.requests

    @property
    def cached_bytes(self) -> int:
        """Number of bytes in the cache."""
        return self._cache.nbytes

    async def open(self) -> None:
        self.check_open()
        await self._source.open()
        self.check_size()

    async def read_range(self, start: int, stop: int) -> bytes:
        await self.prepare_range(start, stop)
        requests = ReaderRequests(self._loader)
        parts: list[bytes] = []
        position = start
        try:
            while position < stop and (part := await requests.read(position, stop)):
                parts.append(part)
                position += len(part)
        finally:
            requests.close()
        return b"".join(parts)

    def cached(self, start: int, stop: int) -> bytes:
        """Read bytes that are in memory, from any thread and without waiting.

        Returns
        -------
        bytes
            The bytes from `start` to `stop`, up to the first one that is not cached.
        """
        return self._cache.run(start, stop)

    async def read_ranges(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        """Read ranges without the rest of their blocks, several requests at a time.

        Bytes that are in memory are not requested again. Ranges with a small gap between
        them share a request. Nothing is cached.
        """
        self.check_open()
        present = [self.cached(start, stop) or self.headers.run(start, stop) for start, stop in ranges]
        missing = [
            (start, stop)
            for (start, stop), data in zip(ranges, present, strict=True)
            if len(data) < stop - start
        ]
        requests = merge_ranges(missing, max_gap=_GAP_WORTH_READING, max_span=self._max_request_bytes)
        gate = asyncio.Semaphore(self._max_small_in_flight)

        async def fetch(start: int, stop: int) -> tuple[int, bytes]:
            async with gate:
                return start, await self._loader.read_exactly(start, stop)

        fetched = LoadedRanges()
        fetched.add(await _together([fetch(*request) for request in requests]))
        return [
            data if len(data) == stop - start else fetched.run(start, stop)
            for (start, stop), data in zip(ranges, present, strict=True)
        ]

    async def receive_uncached(self, start: int, stop: int, arrived: Callable[[bytes], object]) -> None:
        """Receive a range as `receive_range` does, for a reader with a cache of its own.

        Nothing is cached. The bytes count towards `bytes_read` and the limits.
        """
        self.check_open()
        await self._loader.receive_uncached(start, stop, arrived)

    def cursor(self) -> ReadCursor:
        """Start a reader with its own read-ahead. Call this on the event loop, and close the cursor.

        Raises
        ------
        ClosedError
            The source is closed.
        """
        self.check_open()
        return ReadCursor(self._loader, read_ahead_bytes=self._read_ahead_bytes)

    def local_file(self) -> BinaryIO | None:
        return self._source.local_file()

    async def aclose(self) -> None:
        if self._is_forked:
            return
        await self._loader.aclose()
        if self._close_source:
            await self._source.aclose()

    def check_open(self) -> None:
        self._bind_to_process()
        if self._loader.closed:
            raise closed_error(self._source)


async def _together(calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Run calls concurrently. After the first failure, cancel the others and wait for them."""
    tasks = [begin(call, "asyncframes read") for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
