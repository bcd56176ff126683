"""Ranges read exactly, and ranges that stay loaded."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncframes.errors import ClosedError, SourceLimitError, SourceUnavailableError
from asyncframes.sources import CachedSource, MemorySource
from asyncframes.sources._cache.blocks import LoadedRanges
from asyncframes.testing import FaultySource
from tests.support.marks import examples

DATA = bytes((7 * place + place // 251) % 256 for place in range(300_000))

_edges = st.lists(st.integers(0, 400), unique=True, max_size=20).map(sorted)
_ranges = st.lists(st.tuples(st.integers(0, 299_999), st.integers(0, 40_000)), max_size=12)


@given(edges=_edges, start=st.integers(0, 400), length=st.integers(0, 100))
def test_a_run_is_what_is_held_from_there_on(edges: list[int], start: int, length: int) -> None:
    """Every other stretch between the edges is held; a run ends where nothing is, and never goes wrong."""
    held: dict[int, int] = {}
    loaded = LoadedRanges()
    for number, (begin, end) in enumerate(itertools.pairwise(edges)):
        if number % 3 < 2:
            loaded.add([(begin, DATA[begin:end])])
            held.update({place: DATA[place] for place in range(begin, end)})
    expected: list[int] = []
    while (place := start + len(expected)) < start + length and place in held:
        expected.append(held[place])
    assert loaded.run(start, start + length) == bytes(expected)


@settings(max_examples=examples(30))
@given(ranges=_ranges, block_size=st.sampled_from([1024, 65536]), first=st.integers(0, 299_999))
def test_ranges_are_the_bytes_of_the_source(
    ranges: list[tuple[int, int]], block_size: int, first: int
) -> None:
    """Whatever is cached, each range comes back whole, and no byte is asked for twice by one call."""
    asked = [(start, min(start + length, len(DATA))) for start, length in ranges]

    async def run() -> None:
        source = FaultySource(MemorySource(DATA))
        async with CachedSource(source, block_size=block_size) as cached:
            await cached.read_range(first, min(first + 5000, len(DATA)))
            cached.headers.add([(100, DATA[100:300])])
            source.reads.clear()
            assert await cached.read_ranges(asked) == [DATA[start:stop] for start, stop in asked]
            reads = sorted(source.reads)
            assert all(stop <= start for (_, stop), (start, _) in itertools.pairwise(reads))

    asyncio.run(run())


@pytest.mark.anyio
async def test_the_first_failure_ends_the_others() -> None:
    """The error is raised as it is, and no request is left."""
    source = FaultySource(MemorySource(DATA), error_at=250_000, stall_at=100_000)
    async with CachedSource(source) as cached:
        reading = asyncio.create_task(cached.read_ranges([(0, 10), (150_000, 150_010), (270_000, 270_010)]))
        await source.stalled.wait()
        source._stall_at = None
        with pytest.raises(SourceUnavailableError):
            await cached.read_ranges([(0, 10), (270_000, 270_010)])
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert not source.stalled.is_set()


@pytest.mark.anyio
async def test_exact_reads_count_like_others() -> None:
    """The bound on bytes read holds, and a closed source refuses."""
    cached = CachedSource(MemorySource(DATA), max_read_bytes=1000)
    assert await cached.read_ranges([(0, 600), (100_000, 100_300)]) == [DATA[:600], DATA[100_000:100_300]]
    assert (cached.bytes_read, cached.requests) == (900, 2)
    with pytest.raises(SourceLimitError):
        await cached.read_ranges([(200_000, 200_200)])
    await cached.aclose()
    with pytest.raises(ClosedError):
        await cached.read_ranges([(0, 1)])
