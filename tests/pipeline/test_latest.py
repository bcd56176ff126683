"""The newest frame of a stream that arrives: what is older is dropped and counted."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import aclosing

import numpy as np
import pytest
from PIL import Image

import asyncframes as af
from asyncframes.errors import ClosedError, CorruptMediaError, SourceUnavailableError
from tests.pipeline.test_requests import damaged_clip
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.streams.clips import clip_bytes, paint, painted_index

pytestmark = [pytest.mark.anyio, BOTH_ISOLATIONS]

FRAMES = 60


def clip() -> bytes:
    return clip_bytes(frames=FRAMES, gop=8, container="matroska")


async def sent(data: bytes, *, pause_seconds: float = 0.0) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 2000):
        await asyncio.sleep(pause_seconds)
        yield data[start : start + 2000]


async def test_a_slow_consumer_gets_the_newest() -> None:
    """Frames that came meanwhile are dropped, and counted; the last one always comes."""
    taken = asyncio.Event()

    async def held_back() -> AsyncIterator[bytes]:
        data = clip()
        yield data[: len(data) // 4]
        await taken.wait()
        async for piece in sent(data[len(data) // 4 :], pause_seconds=0.002):
            yield piece

    async with af.open_video(held_back()) as video:
        frames = video.latest()
        seen = [(await anext(frames)).index]
        before = frames.dropped
        taken.set()
        while frames.dropped < before + 10:  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.01)
        async for frame in frames:
            assert painted_index(frame.image) == frame.index
            seen.append(frame.index)
    assert seen == sorted(set(seen))
    assert seen[1] - seen[0] > 10
    assert seen[-1] == FRAMES - 1
    assert frames.dropped == FRAMES - len(seen)


async def test_every_frame_is_given_or_counted() -> None:
    """Whatever the pace: frames come in order, and those that do not come are counted."""
    for pause_seconds in (0.0, 0.001, 0.01):
        async with af.open_video(sent(clip(), pause_seconds=pause_seconds)) as video:
            frames = video.latest()
            seen = []
            async for frame in frames:
                seen.append(frame.index)
                await asyncio.sleep(0.005)
        assert len(seen) + frames.dropped == FRAMES
        assert seen == sorted(set(seen))


def part(index: int) -> bytes:
    """A picture as cameras send them over HTTP: ``multipart/x-mixed-replace``."""
    target = io.BytesIO()
    Image.fromarray(paint(index, 96, 64)).save(target, "jpeg", quality=95)
    body = target.getvalue()
    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body + b"\r\n"


async def test_the_stream_of_a_camera() -> None:
    """JPEG pictures in the parts of a body that never says how long it is."""
    camera = b"".join(part(index) for index in range(20))
    async with af.open_video(sent(camera)) as video:
        assert video.info.container == "mpjpeg"
        frames = [frame async for frame in video.frames()]
    assert [painted_index(frame.image) for frame in frames] == list(range(20))


async def test_a_file_is_decoded_to_its_end() -> None:
    """Images are made as asked, and requests go on afterwards."""
    async with af.open_video(clip()) as video:
        shown = [frame async for frame in video.latest(image_format="gray", resize=(48, 32))]
        assert shown[-1].index == FRAMES - 1
        assert shown[-1].image.shape == (32, 48)
        whole = await video.frame(FRAMES - 1, image_format="gray", resize=(48, 32))
        assert np.array_equal(shown[-1].image, whole.image)


async def test_what_ends_the_stream_is_raised_after_the_last_frame() -> None:
    """An error of the sender, and damage."""

    async def breaks_off() -> AsyncIterator[bytes]:
        async for piece in sent(clip()[:-5000]):
            yield piece
        raise ConnectionResetError

    async with af.open_video(breaks_off()) as video:
        seen = []
        with pytest.raises(SourceUnavailableError):
            async for frame in video.latest():
                seen += [frame.index]
        assert seen
    async with af.open_video(damaged_clip(frame=20), threads=1) as video:
        with pytest.raises(CorruptMediaError):
            async for frame in video.latest():
                assert frame.index < 20


async def test_it_may_be_left_early() -> None:
    """Nothing is left of it then."""
    before = asyncio.all_tasks()
    async with af.open_video(clip()) as video:
        async with aclosing(video.latest()) as frames:
            await anext(frames)
        assert (await video.frame(7)).index == 7
        abandoned = video.latest()
        await anext(abandoned)
    assert asyncio.all_tasks() == before
    with pytest.raises((ClosedError, StopAsyncIteration)):
        while True:
            await anext(abandoned)


def test_the_blocking_twin_counts_too() -> None:
    """It has the same attribute."""
    with af.sync.open_video(clip()) as video:
        frames = video.latest()
        seen = [frame.index for frame in frames]
        assert seen[-1] == FRAMES - 1
        assert frames.dropped == FRAMES - len(seen)
