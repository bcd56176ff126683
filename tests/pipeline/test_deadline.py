"""Requests that end in time, and queues that hold few large frames."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import asyncframes as af
from asyncframes._media.codec.decoder import Decoder
from asyncframes._requests import pump as _pump
from tests.support.isolation import in_threads
from tests.support.streams.clips import clip_bytes

pytestmark = pytest.mark.anyio


class SlowSource(af.sources.MemorySource):
    """Bytes that stop coming after a while."""

    stalls = False

    async def read_range(self, start: int, stop: int) -> bytes:
        if self.stalls:
            await asyncio.sleep(3600)
        return await super().read_range(start, stop)

    def local_file(self) -> None:
        return None


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Have each decode wait in its thread, as FFmpeg does where it computes, until the event is set."""
    done = threading.Event()
    decode = Decoder.decode

    def decode_late(self: Decoder, **arguments: Any) -> Iterator[Any]:
        done.wait(30)
        yield from decode(self, **arguments)

    monkeypatch.setattr(Decoder, "decode", decode_late)
    return done


async def test_a_request_ends_while_a_thread_computes(busy: threading.Event) -> None:
    """The consumer has its error; closing waits for the thread, and nothing remains."""
    async with af.open_video(clip_bytes(frames=12), deadline_seconds=0.2, threads=1) as video:
        with pytest.raises(af.errors.DeadlineError, match=r"deadline_seconds=0\.2") as caught:
            await video.frame(3)
        assert not busy.is_set()
        assert caught.value.seconds == 0.2
        busy.set()
    others = {task.get_name() for task in asyncio.all_tasks() - {asyncio.current_task()}}
    assert not {name for name in others if "asyncframes" in name}


async def test_a_request_ends_while_no_byte_comes() -> None:
    """A source that stalls is left alone; another request of the same video works afterwards."""
    source = SlowSource(clip_bytes(frames=48, gop=12))
    async with af.open_video(source, deadline_seconds=0.3, cache_bytes=1 << 20) as video:
        await video.count()
        SlowSource.stalls = True
        try:
            with pytest.raises(TimeoutError):
                async for _ in video.frames(indices=[47, 1, 30]):
                    await asyncio.sleep(0.1)
                await asyncio.sleep(0)
                raise TimeoutError  # all of it was cached
        finally:
            SlowSource.stalls = False


async def test_the_consumers_time_counts() -> None:
    """A deadline is by the clock."""
    async with af.open_video(clip_bytes(frames=12), deadline_seconds=0.3) as video:
        start = time.monotonic()
        with pytest.raises(af.errors.DeadlineError):
            async for _ in video.frames():
                await asyncio.sleep(0.1)
        assert time.monotonic() - start >= 0.3
    async with af.open_video(clip_bytes(frames=12), deadline_seconds=30) as video:
        assert [frame.index async for frame in video.frames()] == list(range(12))


@pytest.mark.parametrize("deadline", [0, -1.5, float("nan")])
async def test_a_deadline_is_positive(deadline: float) -> None:
    """What cannot be is refused before anything is opened."""
    with pytest.raises(ValueError, match="deadline_seconds"):
        af.open_video(b"", deadline_seconds=deadline)


async def test_a_queue_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of frames that are large no more are made ahead than fit, and at least one is."""
    clip = clip_bytes(frames=24)
    async with af.open_video(clip) as video:
        size = (await video.frame(0)).image.nbytes
        for fitting in (0, 1, 3):
            monkeypatch.setattr(_pump, "_QUEUE_BYTES", fitting * size + size // 2)
            frames = video.frames(queue_maxsize=16)
            assert (await anext(frames)).index == 0
            await asyncio.sleep(0.1)
            [pump] = in_threads(video)._decodings.running
            assert pump._delivered - pump._taken <= max(1, fitting)
            assert [frame.index async for frame in frames] == list(range(1, 24))
