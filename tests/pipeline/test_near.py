"""Single frames asked for side by side: those of one GOP that wait for a turn are decoded in one go."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import asyncframes as af
from asyncframes._media.codec.decoder import Decoder
from asyncframes._requests.pump import Turn, Turns
from asyncframes.errors import (
    AsyncFramesError,
    ClosedError,
    CorruptMediaError,
    DeadlineError,
    FrameIndexError,
)
from tests.pipeline.test_requests import damaged_clip
from tests.support.decoders import counted_decoders
from tests.support.exact.corpus import CorpusFile, parameters
from tests.support.isolation import in_threads
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("only_long_streams")]

AT_ONCE = Turns().at_once
GOP = 48
CALLS = 40


@pytest.fixture
def seeks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The packets that decoders are sent to, one for each decode of a GOP."""
    seen: list[int] = []
    seek = Decoder.seek

    def noted(self: Decoder, packet: int, *args: Any, **options: Any) -> None:
        seen.append(packet)
        seek(self, packet, *args, **options)

    monkeypatch.setattr(Decoder, "seek", noted)
    return seen


def one_gop(frames: int = 3 * GOP) -> bytes:
    return clip_bytes(frames=frames, gop=GOP, faststart=True)


@contextlib.asynccontextmanager
async def all_taken(video: af.Video) -> AsyncIterator[Callable[[], None]]:
    """Take every turn of a video, until the function given is called."""
    turns = [Turn(in_threads(video)._pool._turns) for _ in range(AT_ONCE)]
    for turn in turns:
        await turn.take()

    def give_back() -> None:
        for turn in turns:
            turn.end()

    yield give_back
    give_back()


def near_tasks() -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "asyncframes near frames"]


async def waiting(*calls: Any) -> list[asyncio.Task[af.Frame]]:
    """Start calls, and let them come as far as they do."""
    tasks: list[asyncio.Task[af.Frame]] = [asyncio.ensure_future(call) for call in calls]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_frames_of_one_gop_are_decoded_once_a_turn(seeks: list[int]) -> None:
    """As many begin at once as there are turns; all that wait meanwhile share one decode."""
    packets: list[str] = []
    opened = af.open_video(one_gop(), threads=2, packet_progress=lambda phase, _: packets.append(phase))
    async with opened as video:
        await video.count()
        seeks.clear()
        packets.clear()
        frames = await asyncio.gather(*(video.frame(GOP + at) for at in range(CALLS)))
        assert not near_tasks()
    assert [painted_index(frame.image) for frame in frames] == [GOP + at for at in range(CALLS)]
    assert seeks == [GOP] * (AT_ONCE + 1)
    # A decoder with threads reads a few packets on.
    assert packets.count("decode") <= (AT_ONCE + 1) * (GOP + 8)


async def test_without_a_table_yet(seeks: list[int]) -> None:
    """Calls that wait for the frame table share as well."""
    async with af.open_video(one_gop(), threads=1) as video:
        seeks.clear()
        frames = await asyncio.gather(*(video.frame(GOP + at) for at in range(CALLS)))
    assert [frame.index for frame in frames] == [GOP + at for at in range(CALLS)]
    assert seeks.count(GOP) <= AT_ONCE + 1


async def test_each_gop_has_its_own_decode(seeks: list[int]) -> None:
    """Frames that lie apart are not decoded together."""
    async with af.open_video(one_gop(), threads=1) as video:
        await video.count()
        seeks.clear()
        async with all_taken(video) as give_back:
            tasks = await waiting(*(video.frame(at % 3 * GOP + at) for at in range(30)))
            give_back()
            frames = await asyncio.gather(*tasks)
    assert [painted_index(frame.image) for frame in frames] == [at % 3 * GOP + at for at in range(30)]
    assert Counter(seeks) == {0: 1, GOP: 1, 2 * GOP: 1}


async def test_a_call_that_finds_a_turn_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is gathered while turns are free."""

    async def refuse(*_args: object) -> None:
        raise AssertionError("gathered")

    async with af.open_video(one_gop(), threads=1) as video:
        await video.count()
        monkeypatch.setattr(in_threads(video)._near, "frame", refuse)
        assert (await video.frame(5)).index == 5
        assert [frame.index for frame in await asyncio.gather(*map(video.frame, range(AT_ONCE)))] == list(
            range(AT_ONCE)
        )


async def test_other_ways_to_name_a_frame(seeks: list[int]) -> None:
    """Times, negative indices and ranges of one frame are decoded along."""
    async with af.open_video(one_gop(), threads=1) as video:
        await video.count()
        seeks.clear()

        async def only(**selection: Any) -> af.Frame:
            [frame] = [frame async for frame in video.frames(**selection)]
            return frame

        calls = [
            video.frame(2 * GOP + 5),
            video.frame(-1),
            video.frame_at(Fraction(2 * GOP + 9, 25)),
            only(start=2 * GOP + 7, end=2 * GOP + 7),
        ]
        async with all_taken(video) as give_back:
            tasks = await waiting(*calls)
            await asyncio.sleep(0.2)  # times are looked up in a thread
            give_back()
            frames = await asyncio.gather(*tasks)
    assert [frame.index - 2 * GOP for frame in frames] == [5, GOP - 1, 9, 7]
    assert seeks == [2 * GOP]


async def test_each_caller_has_an_array_of_its_own(seeks: list[int]) -> None:
    """The same frame for several is decoded once, and belongs to each."""
    async with af.open_video(one_gop(), threads=1) as video:
        await video.count()
        seeks.clear()
        async with all_taken(video) as give_back:
            tasks = await waiting(*(video.frame(30) for _ in range(5)))
            give_back()
            frames = await asyncio.gather(*tasks)
    assert seeks == [0]
    for at, frame in enumerate(frames):
        frame.image[:] = at
    assert [int(frame.image.max()) for frame in frames] == list(range(5))


async def test_images_made_in_other_ways_are_decoded_apart(seeks: list[int]) -> None:
    """Resize and image format tell requests apart, also a resize that is a list."""
    async with af.open_video(one_gop(), threads=1, picture_cache_bytes=0) as video:
        await video.count()
        seeks.clear()
        ways: list[dict[str, Any]] = [
            {},
            {"resize": (48, 32)},
            {"resize": [24, 16]},
            {"image_format": "gray"},
            {"deinterlace": True},
        ]
        async with all_taken(video) as give_back:
            tasks = await waiting(*(video.frame(at, **way) for at in (20, 21) for way in ways))
            give_back()
            frames = await asyncio.gather(*tasks)
        alone = [await video.frame(at, **way) for at in (20, 21) for way in ways]
    assert seeks[: len(ways)] == [0] * len(ways)
    assert len(seeks) == len(ways) + len(alone)
    for frame, other in zip(frames, alone, strict=True):
        np.testing.assert_array_equal(frame.image, other.image)


async def test_an_index_outside_is_its_callers_error() -> None:
    """Nobody else hears of it."""
    async with af.open_video(one_gop(), threads=1) as video:
        await video.count()
        async with all_taken(video) as give_back:
            tasks = await waiting(video.frame(3), video.frame(10_000), video.frame(4), video.frame(-10_000))
            give_back()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [getattr(outcomes[at], "index", None) for at in (0, 2)] == [3, 4]
    for at, index in ((1, 10_000), (3, -10_000)):
        error = outcomes[at]
        assert isinstance(error, FrameIndexError)
        assert error.index == index


@pytest.mark.parametrize("on_corrupt", ["raise", "skip", "keep"])
async def test_damage_is_the_error_of_whom_it_concerns(on_corrupt: af.OnCorrupt) -> None:
    """Frames before the damage come, and each other call gets what it would get alone."""
    data = damaged_clip(20)

    async def outcome(call: Any) -> tuple[Any, ...]:
        try:
            frame = await call
        except CorruptMediaError as exc:
            return type(exc), str(exc), exc.index
        return frame.index, frame.is_corrupt, frame.image.tobytes()

    async with af.open_video(data, threads=2, on_corrupt=on_corrupt) as video:
        alone = [await outcome(video.frame(at)) for at in range(48)]
    async with af.open_video(data, threads=2, on_corrupt=on_corrupt) as video:
        await video.count()
        async with all_taken(video) as give_back:
            tasks = await waiting(*(outcome(video.frame(at)) for at in range(48)))
            give_back()
            together: list[Any] = await asyncio.gather(*tasks)
    assert together == alone


async def test_one_that_is_cancelled_stops_no_other(seeks: list[int]) -> None:
    """Before the decode as well as in its midst, the one whose call came first included."""
    async with af.open_video(one_gop(), threads=1) as video:
        await video.count()
        seeks.clear()
        async with all_taken(video) as give_back:
            tasks = await waiting(*(video.frame(at) for at in range(CALLS)))
            tasks[0].cancel()
            await asyncio.sleep(0)
            give_back()
            await tasks[1]
            tasks[CALLS - 1].cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert not near_tasks()
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert [frame.index for frame in outcomes[1:-1] if isinstance(frame, af.Frame)] == list(
        range(1, CALLS - 1)
    )
    assert seeks == [0]


async def test_where_all_are_cancelled_nothing_is_decoded(seeks: list[int]) -> None:
    """Neither a decode nor a task is left, and later calls find the turns free."""
    async with af.open_video(one_gop(), threads=1) as video:
        await video.count()
        seeks.clear()
        async with all_taken(video) as give_back:
            tasks = await waiting(*(video.frame(at) for at in range(CALLS)))
            assert len(near_tasks()) == 1
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert not near_tasks()
            give_back()
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert not seeks
        frames = await asyncio.gather(*(video.frame(at) for at in range(CALLS)))
    assert [frame.index for frame in frames] == list(range(CALLS))


async def test_where_all_are_cancelled_in_its_midst_the_decode_stops() -> None:
    """The one whose frame has come is no reason to go on for those that left."""
    packets: list[str] = []
    opened = af.open_video(
        clip_bytes(frames=600, gop=600, faststart=True),
        threads=1,
        packet_progress=lambda phase, _: packets.append(phase),
    )
    async with opened as video:
        await video.count()
        packets.clear()
        async with all_taken(video) as give_back:
            first, *others = await waiting(video.frame(1), *(video.frame(at) for at in range(560, 600)))
            give_back()
            for task in others:
                task.cancel()
            assert (await first).index == 1
            assert not near_tasks()
    assert packets.count("decode") < 300


async def test_closing_the_video_ends_all_that_wait() -> None:
    """Whoever waits gets a `ClosedError`, and no task is left when the video is closed."""
    async with af.open_video(one_gop(), threads=1) as video:
        await video.count()
        async with all_taken(video):
            tasks = await waiting(*(video.frame(at) for at in range(CALLS)))
            assert len(near_tasks()) == 1
            await video.aclose()
            assert not near_tasks()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, ClosedError) for outcome in outcomes)


async def test_each_has_its_own_deadline() -> None:
    """One that is late while it waits leaves alone."""
    async with af.open_video(one_gop(), threads=1, deadline_seconds=0.3) as video:
        await video.count()
        async with all_taken(video) as give_back:
            early = await waiting(video.frame(1))
            await asyncio.sleep(0.2)
            late = await waiting(video.frame(2))
            with pytest.raises(DeadlineError):
                await early[0]
            give_back()
            assert (await late[0]).index == 2
    assert not near_tasks()


@pytest.mark.slow
async def test_no_more_decoders_than_turns() -> None:
    """Many groups of calls open no more decoders than may decode at once."""
    data = clip_bytes(frames=96, gop=8, faststart=True)
    async with af.open_video(data, threads=4) as video:
        await video.count()
        async with counted_decoders() as opened:
            frames = await asyncio.gather(*(video.frame(at) for at in range(96) for _ in range(2)))
    assert [painted_index(frame.image) for frame in frames] == [at for at in range(96) for _ in range(2)]
    # One more may be closing.
    assert max(opened) <= AT_ONCE + 1


CLIPS: dict[str, dict[str, Any]] = {
    "open GOPs": {"open_gop": True, "gop": 12},
    "HEVC": {"codec": "libx265", "open_gop": True},
    "VP9": {"codec": "libvpx-vp9", "container": "webm"},
    "MPEG-2": {"codec": "mpeg2video", "container": "mpegts"},
    "intra only": {"gop": 1, "b_frames": 0},
}


@pytest.mark.parametrize("options", CLIPS.values(), ids=CLIPS.keys())
async def test_the_same_frames_as_alone(options: dict[str, Any]) -> None:
    """Codecs and kinds of GOP, bit for bit."""
    await hold_against_single_calls(clip_bytes(**{"frames": 48, **options}), 48)


SMALL = [
    param
    for param in parameters()
    if not isinstance(param.values[0], CorpusFile)
    or (param.values[0].frame_count <= 150 and param.values[0].path.stat().st_size < 1_000_000)
][:24:2]


@pytest.mark.parametrize("file", SMALL)
async def test_the_same_frames_of_real_files(file: CorpusFile) -> None:
    """Real files, bit for bit, and the same errors."""
    await hold_against_single_calls(file.path, file.frame_count)


async def hold_against_single_calls(source: bytes | Path, count: int) -> None:
    async def outcome(call: Any) -> tuple[Any, ...]:
        try:
            frame = await call
        except AsyncFramesError as exc:
            return type(exc), str(exc)
        return frame.index, frame.pts, frame.is_keyframe, frame.image.tobytes()

    asked = list(range(0, count, max(1, count // 24)))
    async with af.open_video(source, threads=2) as video:
        alone = [await outcome(video.frame(at)) for at in asked]
    async with af.open_video(source, threads=2) as video:
        assert await asyncio.gather(*(outcome(video.frame(at)) for at in asked)) == alone
