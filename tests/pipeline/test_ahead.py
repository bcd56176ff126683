"""Large frames of a sequence, which are made in another thread while the next one is decoded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest

import asyncframes as af
from asyncframes._media._ahead import FrameAhead
from asyncframes._media._pictures import Picture
from tests._clips import clip_bytes, painted_index
from tests.decode.test_damage import spoilt

WIDTH, HEIGHT, FRAMES = 768, 432, 36

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def clip() -> bytes:
    return clip_bytes(frames=FRAMES, width=WIDTH, height=HEIGHT)


def test_these_are_large() -> None:
    """What is tested here is made ahead."""
    assert FrameAhead.is_worth_it(Picture(0, 0, av.VideoFrame(WIDTH, HEIGHT, "yuv420p")))


@pytest.mark.parametrize("workers", [1, 2, 6])
@pytest.mark.parametrize("queue_maxsize", [1, 2, 3, 32])
async def test_frames_come_in_order_in_an_executor_of_any_size(
    clip: bytes, workers: int, queue_maxsize: int
) -> None:
    """Where no thread is free for a frame it is made by the one that decodes."""
    with ThreadPoolExecutor(workers) as executor:
        async with af.open_video(clip, executor=executor) as video:
            seen = [
                painted_index(frame.image)
                async for frame in video.frames(step=2, queue_maxsize=queue_maxsize)
            ]
    assert seen == list(range(0, FRAMES, 2))


async def test_what_precedes_damage_comes_before_its_error(clip: bytes) -> None:
    """A frame that is still being made when the next does not decode is not lost."""
    broken, seen = spoilt(clip, 20), []
    with pytest.raises(af.errors.CorruptMediaError) as caught:
        async for index, _ in af.stream_frames(broken, threads=1):
            seen.append(index)
    assert caught.value.index is not None
    assert seen == list(range(caught.value.index))


async def test_a_request_that_is_left_does_not_disturb_the_next(clip: bytes) -> None:
    """Its last frame may still be in the making when another goes on with the decoder."""
    async with af.open_video(clip) as video:
        expected = [frame.image async for frame in video.frames()]
        for left_at in range(6):
            frames = video.frames(queue_maxsize=4)
            async for frame in frames:
                if frame.index == left_at:
                    break
            await frames.aclose()
        again = [frame.image async for frame in video.frames()]
    assert all(np.array_equal(image, wanted) for image, wanted in zip(again, expected, strict=True))
