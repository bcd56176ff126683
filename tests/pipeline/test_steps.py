"""Stepping from frame to frame: pictures that are kept give the frames that a fresh decode gives."""

from __future__ import annotations

import asyncio
import ctypes
import random
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import asyncframes as af
from asyncframes._media.codec import kept_pictures
from asyncframes._media.codec.kept_pictures import KeptPictures, kept_bytes
from asyncframes._media.codec.pictures import Picture
from asyncframes._requests.pump import Turns
from asyncframes.errors import CorruptMediaError, FrameIndexError
from tests.pipeline.test_requests import damaged_clip
from tests.support.decoders import counted_decoders
from tests.support.marks import BOTH_ISOLATIONS, examples
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = [pytest.mark.anyio, BOTH_ISOLATIONS]

FRAMES, GOP = 60, 12
PICTURE_BYTES = 96 * 64 * 3 // 2
SHARED = Path(__file__).parents[3] / "shared"
REAL = [
    "corpus/bear-640x360.mp4",
    "corpus/bear-vp8a.webm",
    "corpus/CVFC1_Sony_C.jsv",
    "corpus/flipping_a_pancake.mkv",
    "corpus/bbb_2500ms.ts",
]
INTERLACED = ["corpus/test-139.ts", "found/fz_HCAFF1_HHI.264"]
DAMAGED = [
    "corpus/corrupted.mp4",
    "corpus/weird_aspect.small.mpg",
    "corpus/BA_MW_D_IDR_LOST.264",
    "hostile/damaged.mp4",
    "hostile/damaged.h264",
    "hostile/damaged-ts-h264-a.ts",
    "hostile/damaged-vp8.webm",
]


@pytest.fixture(autouse=True)
def nothing_is_kept() -> Iterator[None]:
    """Assert that closed videos keep no pictures."""
    yield
    assert kept_bytes() == 0


def clip() -> bytes:
    return clip_bytes(frames=FRAMES, gop=GOP)


CLOSE = 0

moves = st.lists(
    st.one_of(st.sampled_from([1, -1, 1, -1, 2, -3]), st.integers(-FRAMES, FRAMES), st.just(CLOSE)),
    max_size=25,
)


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=moves, room=st.sampled_from([0, 1, 3, 9, 100]), threads=st.sampled_from([1, 3]))
@pytest.mark.usefixtures("long_streams")
async def test_any_walk_gives_the_frames_of_a_fresh_open(moves: list[int], room: int, threads: int) -> None:
    """Steps forward and back, jumps and closings, with any bound."""
    most = 2 * PICTURE_BYTES * room
    opened = partial(af.open_video, clip(), threads=threads, picture_cache_bytes=most)
    async with af.open_video(clip(), threads=1) as plain:
        expected = [frame async for frame in plain.frames()]
    video, index = await opened(), 30
    try:
        for move in moves:
            if move == CLOSE:
                await video.aclose()
                assert kept_bytes() == 0
                video = await opened()
            index = (index + move) % FRAMES
            frame = await video.frame(index)
            one = expected[index]
            assert np.array_equal(frame.image, one.image)
            assert (frame.index, frame.pts, frame.is_keyframe) == (index, one.pts, one.is_keyframe)
            assert frame.duration_seconds == one.duration_seconds
            assert kept_bytes() <= most
    finally:
        await video.aclose()


@pytest.mark.usefixtures("long_streams")
@pytest.mark.parametrize("way", [1, -1], ids=["forward", "back"])
async def test_a_gop_is_decoded_once(way: int) -> None:
    """Each packet is read about once, not once for every frame behind it."""
    read = 0

    def note(phase: str, _expected: int | None) -> None:
        nonlocal read
        read += phase == "decode"

    async with af.open_video(clip(), packet_progress=note) as video:
        await video.frame(30)
        read = 0
        for index in range(FRAMES)[::way]:
            assert painted_index((await video.frame(index)).image) == index
    # With several threads a run reads a few packets beyond the last that it needs.
    assert read < 2 * FRAMES


async def test_kept_pictures_serve_every_kind_of_image() -> None:
    """They are kept as decoded, so that options may change from step to step."""
    kinds: list[dict[str, Any]] = [
        {"image_format": "gray"},
        {"resize": (32, 24)},
        {"image_format": "rgba"},
        {"deinterlace": True},
        {"image_format": "rgb48"},
    ]
    async with af.open_video(clip()) as video, af.open_video(clip(), picture_cache_bytes=0) as plain:
        for index in (20, 21, 22, 21, 20):
            for kind in kinds:
                frame, one = await video.frame(index, **kind), await plain.frame(index, **kind)
                assert np.array_equal(frame.image, one.image)


async def test_the_caller_may_write_to_an_image() -> None:
    """It never is the kept picture's memory."""
    async with af.open_video(clip()) as video:
        (await video.frame(7)).image[:] = 0
        assert painted_index((await video.frame(7)).image) == 7


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.in_threads
async def test_many_videos_share_one_bound() -> None:
    """Two hundred videos that are stepped at once keep no more than one."""
    most = 30 * PICTURE_BYTES

    async def walk(video: af.Video, seed: int) -> None:
        index = random.Random(seed).randrange(10, 50)
        for step in (1, 1, 1, -1, -1, -1):
            index += step
            assert painted_index((await video.frame(index)).image) == index
            assert kept_bytes() <= most

    videos = [await af.open_video(clip(), picture_cache_bytes=most, threads=1) for _ in range(200)]
    try:
        await asyncio.gather(*(walk(video, seed) for seed, video in enumerate(videos)))
        assert kept_bytes() > 0
    finally:
        for video in videos:
            await video.aclose()


@pytest.mark.slow
@pytest.mark.parametrize("name", [*REAL, *INTERLACED, *DAMAGED])
@pytest.mark.parametrize("on_corrupt", ["skip", "keep"])
async def test_real_files_both_ways(name: str, on_corrupt: af.OnCorrupt) -> None:
    """Damaged and interlaced files too: the frames of a sequential pass of one thread."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside this checkout")
    async with af.open_video(path, on_corrupt=on_corrupt, threads=1) as video:
        assert video.info.is_interlaced or name not in INTERLACED
        expected = {frame.index: frame async for frame in video.frames() if frame.index < 40}
    walk = [index for index in [*range(40), *range(39, -1, -1)] if index in expected]
    async with af.open_video(path, on_corrupt=on_corrupt) as video:
        for index in walk:
            frame = await video.frame(index)
            assert np.array_equal(frame.image, expected[index].image), index
            assert frame.is_corrupt == expected[index].is_corrupt


async def fails_at(video: af.Video, index: int) -> bool:
    try:
        assert (await video.frame(index)).index == index
    except CorruptMediaError:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("name", DAMAGED)
async def test_damage_is_an_error_both_ways(name: str) -> None:
    """The frames that a step raises for are those that a fresh open raises for."""
    path = SHARED / name
    if not path.is_file():
        pytest.skip(f"{name} is not beside this checkout")
    fails = {}
    async with af.open_video(path, threads=1) as video:
        for index in random.Random(0).sample(range(min(40, await video.count())), 12):
            async with af.open_video(path) as fresh:
                fails[index] = await fails_at(fresh, index)
        for index in [*sorted(fails), *sorted(fails, reverse=True)]:
            assert await fails_at(video, index) == fails[index], index


@pytest.mark.usefixtures("long_streams")
async def test_damage_ahead_is_no_error_yet() -> None:
    """What is decoded for later steps fails when it is asked for."""
    async with af.open_video(damaged_clip(frame=20, frames=FRAMES)) as video:
        await video.frame(3)
        assert painted_index((await video.frame(4)).image) == 4
        with pytest.raises(CorruptMediaError):
            await video.frame(20)


@pytest.mark.in_threads
async def test_prefetched_frames_need_no_decoding() -> None:
    """A player's next frames, in any order, but no more than half of what may be kept."""
    read = 0

    def note(phase: str, _expected: int | None) -> None:
        nonlocal read
        read += phase == "decode"

    async with af.open_video(clip(), packet_progress=note) as video:
        await video.prefetch([40, 3, 41, -1, 3])
        before = read
        for index in (3, 59, 41, 40):
            assert painted_index((await video.frame(index)).image) == index
        assert read == before
        await video.prefetch([])
        with pytest.raises(FrameIndexError):
            await video.prefetch([FRAMES])
    async with af.open_video(clip(), picture_cache_bytes=20 * PICTURE_BYTES) as video:
        await video.prefetch(range(FRAMES))
        assert 0 < kept_bytes() <= 10 * 2 * PICTURE_BYTES
    with af.sync.open_video(clip()) as blocking:
        blocking.prefetch([5])
        assert kept_bytes() > 0


async def test_a_walk_through_damage_logs_it_once(caplog: pytest.LogCaptureFixture) -> None:
    """Not once for each step."""
    async with af.open_video(damaged_clip(frame=20, frames=FRAMES), on_corrupt="skip") as video:
        count = await video.count()
        for index in [*range(count), *range(count - 1, -1, -1)]:
            with suppress(CorruptMediaError):  # the damaged one itself
                await video.frame(index)
    records = [record.getMessage() for record in caplog.records if record.name == "asyncframes"]
    assert len(records) == len(set(records)) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("long_streams")
@pytest.mark.in_threads
async def test_decoding_on_behind_a_frame_opens_no_more_decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that decodes the rest of its GOP keeps its turn until it has ended."""
    monkeypatch.setattr("asyncframes._requests.jobs.job.STEP_SECONDS", 0)
    async with af.open_video(clip_bytes(frames=96, gop=24), threads=1) as video:
        await video.frame(10)
        async with counted_decoders() as opened:
            calls = [video.frame(24 * gop + at) for at in (11, 12, 13) for gop in range(4)]
            frames = await asyncio.gather(*calls)
    assert [painted_index(frame.image) for frame in frames] == [frame.index for frame in frames]
    # One more may be closing.
    assert max(opened) <= Turns().at_once + 1


class _Mallinfo(ctypes.Structure):
    """What ``mallinfo2`` of glibc returns."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks")
    ] + [("fordblks", ctypes.c_size_t), ("keepcost", ctypes.c_size_t)]  # fmt: skip


def allocated_bytes() -> int:
    """Return how many bytes of this process are allocated, without those freed that the allocator holds."""
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        pytest.skip("mallinfo2, which tells what is allocated, is part of glibc 2.33 and later")
    mallinfo.restype = _Mallinfo
    info = mallinfo()
    return int(info.hblkhd + info.uordblks)


@pytest.mark.slow
@pytest.mark.in_threads
async def test_pictures_that_are_dropped_free_their_memory() -> None:
    """Bookmarks that are looked at again and again stay, and what was decoded around them does not."""
    picture = 640 * 480 * 3 // 2
    clip = clip_bytes(frames=240, gop=240, width=640, height=480, b_frames=0)
    async with af.open_video(clip, threads=1, picture_cache_bytes=32 * picture) as video:
        await video.frame(0)
        before, marks = allocated_bytes(), list[int]()
        for index in range(0, 240, 20):
            await video.frame(index)
            await video.frame(index + 1)
            marks.append(index + 1)
            for mark in marks:
                await video.frame(mark)
        assert kept_bytes() > 24 * picture
        assert allocated_bytes() - before < 64 * picture


@pytest.mark.parametrize("tag", [3, 15, 200])
@pytest.mark.in_threads
async def test_a_picture_with_reserved_colour_tags_is_kept(tag: int) -> None:
    """A header may hold any number there, and the copy keeps it."""
    frame = VideoFrame(64, 48, "yuv420p")
    frame.colorspace = frame.color_range = frame.color_trc = frame.color_primaries = tag
    async with af.open_video(clip()) as video:
        table = await video.frame_table()
    kept = KeptPictures(1 << 20)
    kept.put(table, 5, Picture(5, None, frame))
    found = kept.get(table, 5)
    kept.close()
    assert found is not None
    copy = found.frame
    assert copy is not frame
    assert {copy.colorspace, copy.color_range, copy.color_trc, copy.color_primaries} == {tag}


@pytest.mark.in_threads
async def test_a_picture_that_cannot_be_copied_is_decoded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise av.MemoryError(12, "Cannot allocate memory")

    monkeypatch.setattr(kept_pictures, "make_chain", refuse)
    async with af.open_video(clip()) as video:
        for index in [20, 19, 20, 21]:
            assert painted_index((await video.frame(index)).image) == index
        assert kept_bytes() == 0
