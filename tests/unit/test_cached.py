"""Laws of the byte reader."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncframes.errors import ClosedError, ShortReadError, SourceLimitError, SourceUnavailableError
from asyncframes.sources import CachedSource, MemorySource, ReadCursor
from asyncframes.testing import FaultySource
from tests.support.marks import examples

KIB = 1024
BLOCK = 16 * KIB
DATA = bytes((7 * i + i // 251) % 256 for i in range(2 * KIB)) * 2 * KIB  # 4 MiB

Verb: TypeAlias = Literal["read", "fetch", "touch", "plan", "follow"]


class Endless(FaultySource):
    """A source that does not know its size: past the end reads come short."""

    @property
    def size(self) -> None:
        return None

    async def read_range(self, start: int, stop: int) -> bytes:
        known = super().size or 0
        return await super().read_range(min(start, known), min(stop, known))


class Counting(FaultySource):
    """Tells how many reads ran at the same time at most."""

    running = 0
    most = 0

    async def read_range(self, start: int, stop: int) -> bytes:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0)
            return await super().read_range(start, stop)
        finally:
            self.running -= 1


class Piecewise(FaultySource):
    """Hands ranges over in pieces, and lets others run between them."""

    piece = 1
    stop_after: int | None = None

    async def receive_range(self, start: int, stop: int, arrived: Callable[[bytes], object]) -> None:
        data = await self.read_range(start, stop)
        for place in range(0, len(data), self.piece):
            if self.stop_after is not None and place >= self.stop_after:
                raise SourceUnavailableError("gone", source=self.name)
            arrived(data[place : place + self.piece])
            await asyncio.sleep(0)


def read_through(
    cached: CachedSource, cursor: ReadCursor, loop: asyncio.AbstractEventLoop, step: int
) -> bytes:
    """Read from a thread as a decoder does: from the cache, and over the loop for what is missing."""
    parts: list[bytes] = []
    position = 0
    while True:
        part = cached.cached(position, position + step)
        if not part:
            fetch = cursor.fetch(position, position + step)
            part = asyncio.run_coroutine_threadsafe(fetch, loop).result(20)
            if not part:
                return b"".join(parts)
        position += len(part)
        cursor.touch(position)
        parts.append(part)


async def settled(condition: Callable[[], bool]) -> None:
    """Let the loop run until a condition holds."""
    for _ in range(2_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("the condition never held")


async def idle(cached: CachedSource) -> None:
    """Let the loop run until nothing is fetched any more."""
    before = -1
    while before != cached.bytes_read:
        before = cached.bytes_read
        await asyncio.sleep(0.02)


def blocks(*numbers: int) -> list[tuple[int, int]]:
    return [(number * BLOCK, (number + 1) * BLOCK) for number in numbers]


_step = st.tuples(
    st.sampled_from(["read", "fetch", "touch", "plan", "follow"]), st.integers(0, 620), st.integers(0, 200)
)


@settings(max_examples=examples(150), deadline=None)
@given(
    data=st.binary(max_size=600),
    steps=st.lists(_step, max_size=25),
    block_size=st.integers(1, 80),
    spare_bytes=st.integers(0, 400),
    max_request_bytes=st.integers(1, 300),
    max_in_flight=st.integers(1, 5),
    knows_size=st.booleans(),
)
def test_equals_its_source(
    data: bytes,
    steps: list[tuple[Verb, int, int]],
    block_size: int,
    spare_bytes: int,
    max_request_bytes: int,
    max_in_flight: int,
    knows_size: bool,
) -> None:
    """Any sequence of reads gives the source's bytes, within the memory bound, never asking past the end."""
    cache_bytes = 2 * block_size + spare_bytes

    async def run() -> None:
        source = (FaultySource if knows_size else Endless)(MemorySource(data))
        cached = CachedSource(
            source,
            cache_bytes=cache_bytes,
            block_size=block_size,
            max_in_flight=max_in_flight,
            max_request_bytes=max_request_bytes,
        )
        async with cached:
            cursor = cached.cursor()
            for verb, start, length in steps:
                stop = start + length
                match verb:
                    case "read":
                        stop = stop if cached.size is None else min(stop, cached.size)
                        start = min(start, stop)
                        assert await cached.read_range(start, stop) == data[start:stop]
                    case "fetch":
                        part = await cursor.fetch(start, stop)
                        assert data[start:stop].startswith(part)
                        assert bool(part) == bool(data[start:stop])
                    case "touch":
                        cursor.touch(start)
                    case "plan":
                        cursor.prefetch([(start, stop), (stop + 7, stop + 9)])
                    case _:
                        cursor.unlimit()
                assert cached.cached_bytes <= cache_bytes
                run = cached.cached(start, stop)
                assert data[start:stop].startswith(run)
            await cursor.aclose()
        if knows_size:
            assert all(stop <= len(data) for _, stop in source.reads)
        assert cached.bytes_read <= sum(stop - start for start, stop in source.reads)

    asyncio.run(run(), debug=True)


@pytest.mark.anyio
@pytest.mark.parametrize("source_type", [FaultySource, Endless])
async def test_threads_read_whole_sources(source_type: type[FaultySource]) -> None:
    """Several threads with a cursor each read the source through, within the bound and sharing blocks."""
    source = source_type(MemorySource(DATA))
    loop = asyncio.get_running_loop()
    async with CachedSource(source, cache_bytes=2048 * KIB) as cached:
        cursors = [cached.cursor() for _ in range(3)]
        with ThreadPoolExecutor(3) as threads:
            reads = [
                loop.run_in_executor(threads, read_through, cached, cursor, loop, step)
                for cursor, step in zip(cursors, (32 * KIB, 50_001, 300_000), strict=True)
            ]
            for whole in await asyncio.gather(*reads):
                assert whole == DATA
        assert cached.cached_bytes <= 2048 * KIB
        assert cached.size == len(DATA)
        for cursor in cursors:
            await cursor.aclose()


@pytest.mark.anyio
async def test_sequential_reading_merges_and_fetches_once() -> None:
    """Reading on and on fetches each byte once, in requests that grow up to the cap."""
    source = FaultySource(MemorySource(DATA))
    async with CachedSource(source) as cached:
        cursor = cached.cursor()
        loop = asyncio.get_running_loop()
        assert await asyncio.to_thread(read_through, cached, cursor, loop, 32 * KIB) == DATA
        assert cached.bytes_read == len(DATA)
        assert cached.requests == len(source.reads) <= 16
        assert 512 * KIB < max(stop - start for start, stop in source.reads) <= 1024 * KIB
        await cursor.aclose()


@pytest.mark.anyio
async def test_a_reader_that_waits_for_each_block_makes_long_requests() -> None:
    """Where the link is slower than the reader, what is read ahead is not asked for block by block."""
    source = Piecewise(MemorySource(DATA * 4))
    source.piece = BLOCK
    async with CachedSource(source) as cached:
        cursor = cached.cursor()
        position = 0
        while part := cached.cached(position, position + 16 * KIB) or await cursor.fetch(
            position, position + 16 * KIB
        ):
            position += len(part)
            cursor.touch(position)
        assert position == len(DATA) * 4
        assert cached.requests <= 40
        await cursor.aclose()


@pytest.mark.anyio
async def test_a_single_read_reads_nothing_ahead() -> None:
    """Scattered reads cost their blocks and no more."""
    source = FaultySource(MemorySource(DATA))
    async with CachedSource(source) as cached:
        cursor = cached.cursor()
        for block in (60, 3, 40, 20):
            position = block * BLOCK
            await cursor.fetch(position, position + 1000)
            cursor.touch(position + 1000)
        await idle(cached)
        assert source.reads == blocks(60, 3, 40, 20)
        await cursor.aclose()


@pytest.mark.anyio
async def test_a_jump_cancels_the_read_ahead() -> None:
    """When the pattern jumps, what was asked for ahead is cancelled, and the new place comes at once."""
    source = FaultySource(MemorySource(DATA), stall_at=2 * BLOCK)
    async with CachedSource(source) as cached:
        cursor = cached.cursor()
        await cursor.fetch(0, 1000)
        await cursor.fetch(BLOCK, BLOCK + 1000)
        await source.stalled.wait()
        jump = asyncio.create_task(cursor.fetch(50 * BLOCK, 50 * BLOCK + 1000))
        await settled(lambda: (50 * BLOCK, 51 * BLOCK) in source.reads)
        source.release()
        assert await jump == DATA[50 * BLOCK : 50 * BLOCK + 1000]
        await idle(cached)
        assert cached.cached(2 * BLOCK, 3 * BLOCK) == b""
        await cursor.aclose()


@pytest.mark.anyio
async def test_the_limit_holds_back_the_read_ahead() -> None:
    """Nothing is read ahead past the limit; what is asked for is read all the same."""
    source = FaultySource(MemorySource(DATA))
    async with CachedSource(source) as cached:
        cursor = cached.cursor()
        cursor.limit = 5 * BLOCK
        for block in range(5):
            await cursor.fetch(block * BLOCK, block * BLOCK + 1)
            cursor.touch(block * BLOCK + 2)
        await idle(cached)
        assert max(stop for _, stop in source.reads) == 5 * BLOCK
        assert await cursor.fetch(9 * BLOCK, 9 * BLOCK + 3) == DATA[9 * BLOCK : 9 * BLOCK + 3]
        await cursor.aclose()


@pytest.mark.anyio
async def test_a_plan_is_fetched_and_nothing_else() -> None:
    """Planned ranges are fetched in order and whole; nothing beyond them, however the reader goes on."""
    source = FaultySource(MemorySource(DATA))
    async with CachedSource(source) as cached:
        cursor = cached.cursor()
        cursor.prefetch([(30 * BLOCK + 5, 32 * BLOCK), (2 * BLOCK, 2 * BLOCK + 9), (40 * BLOCK, 41 * BLOCK)])
        await idle(cached)
        expected = [(30 * BLOCK, 32 * BLOCK), *blocks(2, 40)]
        assert source.reads == expected
        for position in (30 * BLOCK, 31 * BLOCK, 2 * BLOCK, 40 * BLOCK, 41 * BLOCK - 1):
            assert await cursor.fetch(position, position + 1) == DATA[position : position + 1]
            cursor.touch(position + 1)
        await idle(cached)
        assert source.reads == expected
        await cursor.aclose()


@pytest.mark.anyio
async def test_a_plan_larger_than_the_cache_is_fetched_once() -> None:
    """A plan that does not fit is fetched as the reader goes on, each block once."""
    source = FaultySource(MemorySource(DATA))
    async with CachedSource(source, cache_bytes=8 * BLOCK) as cached:
        cursor = cached.cursor()
        cursor.prefetch([(0, len(DATA))])
        await idle(cached)
        assert cached.bytes_read <= 2 * BLOCK
        loop = asyncio.get_running_loop()
        assert await asyncio.to_thread(read_through, cached, cursor, loop, 32 * KIB) == DATA
        assert cached.bytes_read == len(DATA)
        await cursor.aclose()


@pytest.mark.anyio
async def test_after_a_plan_the_reader_is_followed_again() -> None:
    """`unlimit` drops the plan and the limit: reading on is read ahead."""
    source = FaultySource(MemorySource(DATA))
    async with CachedSource(source) as cached:
        cursor = cached.cursor()
        cursor.limit = 10
        cursor.prefetch(blocks(5))
        cursor.unlimit()
        for block in range(4):
            await cursor.fetch(block * BLOCK, (block + 1) * BLOCK)
        await idle(cached)
        assert cached.cached(4 * BLOCK, 5 * BLOCK) == DATA[4 * BLOCK : 5 * BLOCK]
        await cursor.aclose()


@pytest.mark.anyio
async def test_what_was_fetched_for_a_reader_stays_until_it_is_read() -> None:
    """A block fetched for one cursor outlives another that floods the cache, and the bound holds."""
    async with CachedSource(FaultySource(MemorySource(DATA)), cache_bytes=4 * BLOCK) as cached:
        patient, hasty = cached.cursor(), cached.cursor()
        await patient.fetch(7 * BLOCK, 7 * BLOCK + 10)
        loop = asyncio.get_running_loop()
        assert await asyncio.to_thread(read_through, cached, hasty, loop, 32 * KIB) == DATA
        assert cached.cached(7 * BLOCK, 7 * BLOCK + 10) == DATA[7 * BLOCK : 7 * BLOCK + 10]
        assert cached.cached_bytes <= 4 * BLOCK
        await patient.aclose()
        await hasty.aclose()


@pytest.mark.anyio
async def test_a_block_is_fetched_once_for_all() -> None:
    """Whoever wants a block that is under way shares the request."""
    source = FaultySource(MemorySource(DATA), stall_at=0)
    async with CachedSource(source) as cached:
        first, second = cached.cursor(), cached.cursor()
        reads = [
            asyncio.create_task(first.fetch(0, 10)),
            asyncio.create_task(second.fetch(5, 20)),
            asyncio.create_task(cached.read_range(1, 30)),
        ]
        await source.stalled.wait()
        source.release()
        assert await asyncio.gather(*reads) == [DATA[0:10], DATA[5:20], DATA[1:30]]
        assert source.reads == blocks(0)
        await first.aclose()
        await second.aclose()


@pytest.mark.anyio
async def test_cancelling_one_waiter_leaves_the_other() -> None:
    """A shared request goes on while anybody waits for it, and ends when nobody does."""
    source = FaultySource(MemorySource(DATA), stall_at=0)
    async with CachedSource(source) as cached:
        first, second = cached.cursor(), cached.cursor()
        cancelled = asyncio.create_task(first.fetch(0, 10))
        patient = asyncio.create_task(second.fetch(0, 10))
        await source.stalled.wait()
        cancelled.cancel()
        first.cancel()
        await asyncio.wait([cancelled])
        assert source.stalled.is_set()
        second.cancel()
        with pytest.raises(ClosedError):
            await patient
        await settled(lambda: not source.stalled.is_set())
        assert await _read_after_release(source, cached) == DATA[:10]


async def _read_after_release(source: FaultySource, cached: CachedSource) -> bytes:
    source.release()
    return await cached.read_range(0, 10)


@pytest.mark.anyio
async def test_cancel_ends_waiting_fetches_at_once() -> None:
    """Cancelling a cursor makes its waiting fetches raise and cancels its requests; later ones raise too."""
    source = FaultySource(MemorySource(DATA), stall_at=0)
    async with CachedSource(source) as cached:
        cursor = cached.cursor()
        cursor.prefetch(blocks(8, 9))
        fetch = asyncio.create_task(cursor.fetch(0, 10))
        await source.stalled.wait()
        cursor.cancel()
        with pytest.raises(ClosedError):
            await fetch
        await cursor.aclose()
        await settled(lambda: not source.stalled.is_set())
        with pytest.raises(ClosedError):
            await cursor.fetch(0, 10)
        cursor.touch(10**9)


@pytest.mark.anyio
async def test_closing_the_source_ends_everything() -> None:
    """Closing during a stalled read raises in every reader and leaves no task."""
    before = asyncio.all_tasks()
    source = FaultySource(MemorySource(DATA), stall_at=0)
    cached = CachedSource(source)
    await cached.open()
    cursor = cached.cursor()
    reads = [asyncio.create_task(cursor.fetch(0, 10)), asyncio.create_task(cached.read_range(0, len(DATA)))]
    await source.stalled.wait()
    await cached.aclose()
    for read in reads:
        with pytest.raises(ClosedError):
            await read
    await cursor.aclose()
    assert asyncio.all_tasks() == before
    assert cached.cached_bytes == 0


@pytest.mark.anyio
async def test_an_error_reaches_every_waiter_and_is_forgotten() -> None:
    """Everybody who waits gets the error; the next read tries again."""
    source = FaultySource(MemorySource(DATA), error_at=0, errors=1, delay_seconds=0.01)
    async with CachedSource(source) as cached:
        first, second = cached.cursor(), cached.cursor()
        results = await asyncio.gather(first.fetch(0, 10), second.fetch(0, 10), return_exceptions=True)
        assert [type(result) for result in results] == [SourceUnavailableError] * 2
        assert await first.fetch(0, 10) == DATA[:10]
        await first.aclose()
        await second.aclose()


@pytest.mark.anyio
async def test_an_error_ahead_is_raised_only_where_it_is_read() -> None:
    """A request that fails ahead of the reader fails nobody; reading there does."""
    source = FaultySource(MemorySource(DATA), error_at=2 * BLOCK)
    async with CachedSource(source) as cached:
        cursor = cached.cursor()
        await cursor.fetch(0, 10)
        await cursor.fetch(BLOCK, BLOCK + 10)
        await idle(cached)
        with pytest.raises(SourceUnavailableError):
            await cursor.fetch(2 * BLOCK, 2 * BLOCK + 10)
        await cursor.aclose()
        gc.collect()


@pytest.mark.anyio
async def test_a_short_source_is_not_believed() -> None:
    """A source that knows its size and sends less is an error, not an early end."""
    async with CachedSource(FaultySource(MemorySource(DATA), short_at=100)) as cached:
        with pytest.raises(ShortReadError):
            await cached.read_range(0, 200)


@pytest.mark.anyio
async def test_bytes_read_are_bounded() -> None:
    """Reading exactly the bound is allowed, one block more is an error."""
    async with CachedSource(MemorySource(DATA), max_read_bytes=3 * BLOCK) as cached:
        await cached.read_range(0, 3 * BLOCK)
        with pytest.raises(SourceLimitError):
            await cached.read_range(3 * BLOCK, 3 * BLOCK + 1)
        assert cached.bytes_read == 3 * BLOCK


@pytest.mark.anyio
@pytest.mark.parametrize("max_in_flight", [1, 3])
async def test_requests_in_flight_are_bounded_and_used(max_in_flight: int) -> None:
    """A long read keeps as many requests under way as allowed, and no more."""
    source = Counting(MemorySource(DATA))
    async with CachedSource(source, max_in_flight=max_in_flight) as cached:
        assert await cached.read_range(0, len(DATA)) == DATA
    assert source.most == max_in_flight


@pytest.mark.anyio
async def test_a_reader_goes_before_the_read_ahead_of_others() -> None:
    """While read-ahead stalls, what a reader waits for still gets through."""
    source = FaultySource(MemorySource(DATA), stall_at=20 * BLOCK)
    async with CachedSource(source) as cached:
        greedy, modest = cached.cursor(), cached.cursor()
        greedy.prefetch([(20 * BLOCK, len(DATA))])
        await source.stalled.wait()
        assert await modest.fetch(0, 10) == DATA[:10]
        await greedy.aclose()
        await modest.aclose()


@pytest.mark.parametrize("options", [{"cache_bytes": BLOCK}, {"block_size": 0}, {"max_in_flight": 0}])
def test_nonsense_is_refused(options: dict[str, int]) -> None:
    """A cache of less than two blocks, or no request at all, cannot work."""
    with pytest.raises(ValueError, match=r"cache_bytes|max_in_flight"):
        CachedSource(MemorySource(DATA), **options)  # type: ignore[arg-type]  # all of these are int


@settings(max_examples=examples(60), deadline=None)
@given(
    data=st.binary(min_size=1, max_size=900),
    piece=st.integers(1, 200),
    block_size=st.integers(1, 80),
    step=st.integers(1, 300),
    max_request_bytes=st.integers(1, 300),
)
def test_pieces_are_put_together(
    data: bytes, piece: int, block_size: int, step: int, max_request_bytes: int
) -> None:
    """Whatever pieces a range arrives in, readers get the bytes of the source."""

    async def run() -> None:
        source = Piecewise(MemorySource(data))
        source.piece = piece
        cached = CachedSource(
            source, cache_bytes=10 * block_size, block_size=block_size, max_request_bytes=max_request_bytes
        )
        await cached.open()
        cursors = [cached.cursor(), cached.cursor()]
        for position in range(0, len(data), step):
            for cursor in cursors:
                got = b""
                while len(got) < min(step, len(data) - position):
                    got += await cursor.fetch(position + len(got), min(position + step, len(data)))
                assert got == data[position : position + step]
        for cursor in cursors:
            await cursor.aclose()
        await cached.aclose()

    asyncio.run(run())


@pytest.mark.anyio
async def test_what_arrived_before_a_failure_stands() -> None:
    """The blocks of a range that breaks off are there for readers; the one after them is the error."""
    source = Piecewise(MemorySource(DATA))
    source.piece, source.stop_after = BLOCK // 2, 2 * BLOCK
    cached = CachedSource(source)
    await cached.open()
    cursor = cached.cursor()
    assert await cursor.fetch(0, 4 * BLOCK) == DATA[:BLOCK]
    await idle(cached)
    assert cached.cached(0, 4 * BLOCK) == DATA[: 2 * BLOCK]
    source.stop_after = 0
    with pytest.raises(SourceUnavailableError):
        await cursor.fetch(2 * BLOCK, 4 * BLOCK)
    await cursor.aclose()
    await cached.aclose()
