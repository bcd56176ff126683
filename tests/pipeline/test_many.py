"""Many videos: results as they end, a bound on how many at once, and failures that stay their own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal

import imageio.v3 as iio
import pytest

import asyncframes as af
from asyncframes._model.selection import Selection
from asyncframes._model.table import Int64Array
from asyncframes._requests.requests import Requests
from asyncframes._runtime.threads import threads_per_decoder
from asyncframes.errors import SourceNotFoundError
from asyncframes.sources import MemorySource
from tests.support.streams.clips import clip_bytes, painted_index


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
    names = [path for path in tmp_path.rglob("[!.]*") if path.is_file()]
    assert names
    assert all(painted_index(iio.imread(path)) == int(path.stem[6:]) for path in names)


@pytest.mark.anyio
async def test_nonsense_is_refused(tmp_path: Path) -> None:
    """A bound of nothing is a ValueError."""
    with pytest.raises(ValueError, match="concurrency=0"):
        await anext(af.extract_many([(b"", tmp_path)], concurrency=0))


@pytest.mark.anyio
@pytest.mark.parametrize(
    "videos", ["film.mp4", b"film.mp4", Path("film.mp4"), ["film.mp4"], [("a", "b", "c")]]
)
async def test_what_are_no_pairs_is_refused(videos: Any) -> None:
    """One video by itself, or names without directories, are a TypeError that says what is expected."""
    with pytest.raises(TypeError, match="pairs of a source and a directory"):
        await anext(af.extract_many(videos))


@pytest.mark.anyio
async def test_a_run_that_was_cut_short_is_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With overwrite="skip" what is there stays untouched, and only what is missing is made."""
    clip = clip_bytes(frames=24)
    videos = [(clip, tmp_path / str(number)) for number in range(6)]
    made = 0

    def count(step: int) -> None:
        nonlocal made
        made += step

    async with aclosing(af.extract_many(videos, concurrency=2, progress_cb=count)) as results:
        await anext(results)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.png")}
    assert 24 <= len(before) < 6 * 24
    made = 0
    resumed = af.extract_many(
        videos,
        concurrency=2,
        progress_cb=count,
        overwrite="skip",
        show_progress=True,
        indices=iter(range(24)),
    )
    results_of_it = [result async for result in resumed]
    assert made == 6 * 24 - len(before)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for result in results_of_it:
        assert result.error is None
        assert [painted_index(iio.imread(path)) for path in result.paths] == list(range(24))
    assert "6/6" in capsys.readouterr().err


@pytest.mark.anyio
@pytest.mark.parametrize("overwrite", ["error", "skip"])
async def test_a_bar_and_its_frames_resolve_a_selection_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: Literal["error", "skip"]
) -> None:
    """The number for the bar and the frames to write come from the same indices."""
    resolved = 0

    async def counted(self: Requests, selection: Selection, *, distinct: bool = False) -> Int64Array:
        nonlocal resolved
        resolved += 1
        return await resolve(self, selection, distinct=distinct)

    resolve = Requests.resolve
    monkeypatch.setattr(Requests, "resolve", counted)
    videos = [(clip_bytes(frames=12), tmp_path)]
    extracting = af.extract_many(videos, show_progress=True, indices=[3, 7, 3], overwrite=overwrite)
    [result] = [result async for result in extracting]
    assert len(result.paths) == 2
    assert resolved == 1


@pytest.mark.anyio
@pytest.mark.parametrize("length", ["list", "iterator"])
async def test_bars_tell_of_the_whole_and_of_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], length: str
) -> None:
    """There is a bar of the videos, one of frames for each, and failures count as done."""
    videos = [(clip_bytes(frames=12), tmp_path / "good"), (b"no video", tmp_path / "bad")]
    given = videos if length == "list" else iter(videos)
    results = [result async for result in af.extract_many(given, show_progress=True)]
    shown = capsys.readouterr().err
    assert sorted(result.error is None for result in results) == [False, True]
    assert "2/2" in shown  # of an iterator, once it has ended
    assert "good: " in shown
    assert "bad: " in shown
    assert "/12 " in shown
    [_ async for _ in af.extract_many(videos, overwrite="replace")]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("cpus", "at_once", "threads"), [(2, 1, 4), (2, 4, 1), (16, 4, 4), (64, 1, 4)])
def test_decoders_share_the_cpus_out(
    monkeypatch: pytest.MonkeyPatch, cpus: int, at_once: int, threads: int
) -> None:
    """Many decoders at once have as many threads as there are CPUs, each at least one; one alone has more."""
    monkeypatch.setattr("asyncframes._runtime.threads.cpus", lambda: cpus)
    assert threads_per_decoder(at_once) == threads
