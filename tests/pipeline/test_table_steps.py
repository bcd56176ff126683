"""Building a frame table takes a pool thread in bounded steps, and ends between them when it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

import asyncframes as af
from asyncframes._requests import steps
from tests.support.streams.clips import clip_bytes

FRAMES = 60
# Each with the packets told of before: a short one is decoded as a whole, once its header has listed its
# packets; MPEG-TS is read as a whole, for it lists none.
CLIPS = {
    "decoded": (clip_bytes(frames=FRAMES, width=64, height=48, gop=10), FRAMES),
    "read": (clip_bytes(frames=FRAMES, width=640, height=480, gop=10, container="mpegts"), 0),
}

pytestmark = pytest.mark.anyio


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadPoolExecutor]:
    """Return a pool of one thread; each step is as short as can be."""
    monkeypatch.setattr(steps, "STEP_SECONDS", 0)
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.mark.parametrize("clip", CLIPS)
async def test_others_use_the_thread_between_steps(clip: str, one_thread: ThreadPoolExecutor) -> None:
    """Work that waits for the only thread of a pool is done long before a table is."""
    data, before = CLIPS[clip]
    seen = 0
    waiting: list[Future[int]] = []

    def count(phase: str, total: int | None) -> None:
        nonlocal seen
        seen += 1
        if seen > before and not waiting:
            waiting.append(one_thread.submit(lambda: seen))

    async with af.open_video(data, executor=one_thread, threads=1, packet_progress=count) as video:
        table = await video.frame_table()
    assert len(table) == FRAMES
    assert waiting[0].result() - before < FRAMES // 2
    assert seen - before == FRAMES


@pytest.mark.parametrize("clip", CLIPS)
async def test_a_cancelled_build_ends_between_steps(clip: str, one_thread: ThreadPoolExecutor) -> None:
    """Nothing goes on in the thread once the caller has left."""
    data, before = CLIPS[clip]
    seen = 0
    loop = asyncio.get_running_loop()
    reached = asyncio.Event()

    def count(phase: str, total: int | None) -> None:
        nonlocal seen
        seen += 1
        if seen > before:
            loop.call_soon_threadsafe(reached.set)

    async with af.open_video(data, executor=one_thread, threads=1, packet_progress=count) as video:
        building = asyncio.create_task(video.frame_table())
        await reached.wait()
        building.cancel()
        with pytest.raises(asyncio.CancelledError):
            await building
        told = seen
        assert len(await video.frame_table()) == FRAMES
    assert before < told < before + FRAMES
