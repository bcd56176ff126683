"""Many videos: results as they end, a bound on how many at once, and failures that stay their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import imageio.v3 as iio
import pytest

import asyncframes as af
from asyncframes.errors import SourceNotFoundError
from asyncframes.sources import MemorySource
from tests._clips import clip_bytes, painted_index


@pytest.mark.anyio
async def test_each_video_has_its_result(tmp_path: Path) -> None:
    """Every video comes out once, with its paths or its error, and one that fails stops no other."""
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(clip_bytes(frames=12))
    videos = [
        (clip if number % 3 else tmp_path / "nowhere.mp4", tmp_path / str(number)) for number in range(9)
    ]
    results = [result async for result in af.extract_many(videos, concurrency=3, indices=[3, 7])]
    assert sorted(result.output_dir for result in results) == sorted(str(out) for _, out in videos)
    for result in results:
        if result.source == clip:
            assert result.error is None
            assert [painted_index(iio.imread(path)) for path in result.paths] == [3, 7]
        else:
            assert isinstance(result.error, SourceNotFoundError)
            assert result.paths == []


@pytest.mark.anyio
@pytest.mark.parametrize("concurrency", [1, 3])
async def test_no_more_than_asked_are_open(tmp_path: Path, concurrency: int) -> None:
    """The bound holds, and the list is read only as places become free."""
    opened = 0
    most = 0

    class Counted(MemorySource):
        async def open(self) -> None:
            nonlocal opened, most
            await super().open()
            opened += 1
            most = max(most, opened)

        async def aclose(self) -> None:
            nonlocal opened
            await super().aclose()
            opened = max(0, opened - 1)

    def videos() -> Iterator[tuple[MemorySource, Path]]:
        for number in range(8):
            yield Counted(clip_bytes(frames=12)), tmp_path / str(number)

    results = [result async for result in af.extract_many(videos(), concurrency=concurrency, end=1)]
    assert len(results) == 8
    assert 1 <= most <= concurrency


@pytest.mark.anyio
async def test_leaving_early_stops_the_rest(tmp_path: Path) -> None:
    """Closing the generator cancels what runs, and leaves only whole files."""
    clip = clip_bytes(frames=48)
    videos = [(clip, tmp_path / str(number)) for number in range(20)]
    before = len(asyncio.all_tasks())
    async with aclosing(af.extract_many(videos, concurrency=4)) as results:
        await anext(results)
    assert len(asyncio.all_tasks()) == before
    names = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert names
    assert all(painted_index(iio.imread(path)) == int(path.stem[6:]) for path in names)


@pytest.mark.anyio
async def test_nonsense_is_refused(tmp_path: Path) -> None:
    """A bound of nothing is a ValueError."""
    with pytest.raises(ValueError, match="concurrency=0"):
        await anext(af.extract_many([(b"", tmp_path)], concurrency=0))
