"""No call of the API holds up the event loop, however much is asked for."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asyncframes as af
from asyncframes.cli import sheet
from asyncframes.cli._arguments.parser import Parser
from asyncframes.errors import AsyncFramesError
from tests.support.loop import measured_callbacks
from tests.support.marks import grid
from tests.support.streams.clips import clip_bytes, repeated

# A 5 ms ticker is to be late by no more than this.
MOST_SECONDS = 0.02

# What blocks the loop does so in each run. A virtual machine whose host is busy adds stolen time to one.
pytestmark = [pytest.mark.cpu_time, pytest.mark.flaky(reruns=2, only_rerun="SlowCallbackError")]

ENTRIES = 200_000
TURNS = 4200
FRAMES = 48 * TURNS
RATE = 25
HOSTILE = Path(__file__).parents[3] / "shared" / "hostile"


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a video of 201,600 frames, one GOP of 12 after the other."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    path.write_bytes(repeated(clip_bytes(frames=48, width=64, height=48, b_frames=0), TURNS))
    return path


class SlowCallbackError(AssertionError):
    """A callback took longer than `MOST_SECONDS`."""


@contextmanager
def quick_loop() -> Iterator[None]:
    """Assert that no callback within takes long, the garbage collector aside."""
    with measured_callbacks() as callbacks:
        yield
    if callbacks.longest_seconds >= MOST_SECONDS:
        raise SlowCallbackError(f"{callbacks.longest_seconds:.3f} s in {callbacks.longest}")


@cache
def shuffled() -> list[int]:
    return random.Random(0).sample(range(FRAMES), ENTRIES)


def seconds() -> list[float]:
    return [index / RATE for index in shuffled()]


SELECTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "list of indices": lambda: {"indices": shuffled()},
    "tuple of indices": lambda: {"indices": tuple(shuffled())},
    "generator of indices": lambda: {"indices": (index for index in shuffled())},
    "array of indices": lambda: {"indices": np.array(shuffled())},
    "range of indices": lambda: {"indices": range(ENTRIES - 1, -1, -1)},
    "negative indices": lambda: {"indices": [index - FRAMES for index in shuffled()]},
    "repeated indices": lambda: {"indices": [index // 1000 for index in shuffled()]},
    "list of times": lambda: {"times": seconds()},
    "generator of times": lambda: {"times": (time for time in seconds())},
    "array of times": lambda: {"times": np.array(seconds())},
    "fractions": lambda: {"times": [Fraction(index, RATE) for index in shuffled()]},
    "times with tolerance": lambda: {"times": seconds(), "tolerance_seconds": 0.0005},
    "all but the first": lambda: {"start": 1},
    "every second": lambda: {"start": 1, "step": 2},
    "a time range": lambda: {"time_range": (1, 8000)},
    "own rate": lambda: {"fps": RATE},
    "high rate": lambda: {"fps": 1000},
    "keyframes": lambda: {"keyframes": True},
    "keyframes of a time range": lambda: {"time_range": (1, 8000), "keyframes": True},
}

# Eight million frames, and ways to name frames that are taken as others are.
REPETITIONS = {
    "high rate",
    "fractions",
    "range of indices",
    "repeated indices",
    "array of times",
    "generator of indices",
    "times with tolerance",
    "all but the first",
    "tuple of indices",
    "generator of times",
    "keyframes of a time range",
    "every second",
}


@pytest.mark.anyio
@pytest.mark.timeout(240)
@pytest.mark.parametrize("kind", grid(SELECTIONS, fast=lambda kind: kind not in REPETITIONS))
async def test_selections_are_resolved_beside_the_loop(kind: str, long_video: Path) -> None:
    """Naming 200,000 frames in any way, and decoding the first of them."""
    async with af.open_video(long_video) as video:
        asked, again = SELECTIONS[kind](), SELECTIONS[kind]()
        with quick_loop():
            indices = await video.indices(**asked)
            first = []
            async with aclosing(video.frames(**again)) as frames:
                async for frame in frames:
                    first.append(frame.index)
                    if len(first) == 3:
                        break
    assert first == indices[:3].tolist()


@pytest.mark.anyio
async def test_opening_and_counting_leave_the_loop_alone(long_video: Path) -> None:
    """A long video opened, counted, seeked in, opened again with its table, by its path and its bytes."""
    content = long_video.read_bytes()
    with quick_loop():
        for source in (long_video, content):
            async with af.open_video(source) as video:
                assert await video.count() == FRAMES
                assert (await video.frame(-1)).index == FRAMES - 1
                assert (await video.frame_at(4000)).index == 4000 * RATE
                table = await video.frame_table()
        async with af.open_video(long_video, frame_table=table) as video:
            assert (await video.frame(FRAMES // 2)).index == FRAMES // 2
        async with af.open_video(long_video, seek_mode="approximate") as video:
            assert (await video.frame(FRAMES // 2)).index == FRAMES // 2


class Counter(af.abc.FrameWriter):
    """Takes frames and forgets them."""

    async def write(self, frame: af.Frame) -> str:
        return str(frame.index)


@pytest.mark.anyio
async def test_writing_leaves_the_loop_alone(long_video: Path, tmp_path: Path) -> None:
    """Files and other writers, with 200,000 entries that name a few frames, and again where all is there."""
    entries = [index % 40 for index in shuffled()]
    times = [index / RATE for index in entries]
    with quick_loop():
        for overwrite in ("error", "skip"):
            paths = await af.stream_frames_to_dir(
                long_video, tmp_path / "out", indices=(index for index in entries), overwrite=overwrite
            )
            assert len(paths) == 40
        said = await af.stream_frames_to_writer(long_video, Counter(), indices=entries[:2000])
        assert said == [str(index) for index in entries[:2000]]
        async for index, _ in af.stream_frames(long_video, times=times):
            assert index == entries[0]
            break
        videos = [(long_video, tmp_path / name) for name in ("a", "b")]
        async for extraction in af.extract_many(videos, indices=iter(entries)):
            assert len(extraction.paths) == 40


@pytest.mark.slow
@pytest.mark.anyio
async def test_paths_of_many_frames_leave_the_loop_alone(long_video: Path, tmp_path: Path) -> None:
    """A directory that holds 20,000 frames already is gone over beside the loop."""
    await af.stream_frames_to_dir(long_video, tmp_path, end=0)
    for index in range(ENTRIES // 10):
        (tmp_path / f"frame_{index:06d}.png").touch()
    with quick_loop():
        paths = await af.stream_frames_to_dir(long_video, tmp_path, end=ENTRIES // 10 - 1, overwrite="skip")
    assert len(paths) == ENTRIES // 10


@pytest.mark.anyio
async def test_a_contact_sheet_leaves_the_loop_alone(long_video: Path, tmp_path: Path) -> None:
    """The command decodes and draws in threads."""
    parser = Parser()
    parser.commands = parser.add_subparsers()
    sheet.add_parser(parser.commands)
    arguments = parser.parse_args(["sheet", str(long_video), str(tmp_path / "sheet.png"), "--no-progress"])
    with quick_loop():
        await sheet.run(arguments)
    assert (tmp_path / "sheet.png").is_file()


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("name", ["onelong.mp4", "damaged.mp4", "damaged.h264", "damaged-ts-h264-a.ts"])
@pytest.mark.parametrize(
    "ask", [{"fps": 1}, {"fps": 50_000}, {"time_range": (0, 1e9)}, {"times": [1e18]}], ids=str
)
async def test_hostile_files_leave_the_loop_alone(name: str, ask: dict[str, Any]) -> None:
    """Whatever a file claims, a rate or a time gives frames or an error, and holds up nobody."""
    if not (HOSTILE / name).is_file():
        pytest.skip(f"{name} is not beside this checkout")
    with quick_loop(), suppress(AsyncFramesError, ValueError):
        async with af.open_video(HOSTILE / name, on_corrupt="keep") as video:
            await video.indices(**ask)


@pytest.mark.anyio
async def test_a_high_rate_leaves_the_loop_alone() -> None:
    """Five seconds at 50,000 a second are 250,000 frames, named at once."""
    async with af.open_video(clip_bytes(frames=125, width=64, height=48)) as video:
        with quick_loop():
            assert len(await video.indices(fps=50_000)) == 250_000


@pytest.mark.slow
@pytest.mark.anyio
async def test_endless_iterables_end_in_an_error() -> None:
    """What never ends is refused at the bound, and the loop goes on meanwhile."""
    async with af.open_video(clip_bytes(frames=8, width=64, height=48)) as video:
        with quick_loop(), pytest.raises(ValueError, match="10,000,000 frames"):
            await video.indices(indices=itertools.repeat(0))
