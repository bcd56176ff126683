"""A decoding process that does not end by itself is ended: cancelled, late, hung, or over its limit."""

from __future__ import annotations

import asyncio
import mmap
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import asyncframes as af
from asyncframes._isolation import requests, session
from asyncframes._isolation.workers import Workers
from asyncframes._opening import VideoOpener
from asyncframes.errors import AsyncFramesError, DeadlineError, DecoderCrashedError
from tests.support.hostile_child import PROGRAM, HostileSource
from tests.support.isolation import own_processes
from tests.support.left_over import children, nothing_left
from tests.support.marks import grid
from tests.support.streams.clips import clip_bytes, painted_index

pytest.importorskip("seccompy", reason="the extra isolation is not installed")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform != "linux", reason="CPU time is measured on Linux only"),
]

FRAMES = 12
WIDTH, HEIGHT = 64, 48
CLIP = clip_bytes(frames=FRAMES, width=WIDTH, height=HEIGHT)
SECONDS = 120
"""For what should take a moment, on a busy machine."""

SPINS = grid(
    ["spin-with-gil", "spin-without-gil", "ignore-cancellation", "hang"], fast="spin-without-gil".__eq__
)


@pytest.fixture(scope="module", autouse=True)
def lent() -> Iterator[Workers]:
    """Decode in processes that attack if the name of a source says so."""
    with own_processes(PROGRAM) as own:
        yield own


def hostile(attack: str, *, spared: int = 0, **options: Any) -> VideoOpener:
    return af.open_video(HostileSource(CLIP, attack, spared=spared), **{"isolation": "process"} | options)


def end_after(monkeypatch: pytest.MonkeyPatch, stall_seconds: float) -> None:
    """Have processes end that make no progress for some seconds."""
    monkeypatch.setattr(session, "_WATCH_SECONDS", 0.1)
    monkeypatch.setattr(session, "STALL_SECONDS", stall_seconds)


def pid_of(video: af.Video) -> int:
    pid = video.isolation.pid
    assert pid in children()
    assert pid is not None
    return pid


async def until_gone(pid: int) -> None:
    while pid in children():  # noqa: ASYNC110 - nothing tells when the kernel is done
        await asyncio.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("attack", SPINS)
async def test_cancelling_ends_a_process_that_goes_on(
    attack: str, lent: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_END_SECONDS", 4.0)
    async with nothing_left(lent), hostile(attack) as video:
        pid, request = pid_of(video), asyncio.create_task(anext(video.frames()))
        await asyncio.sleep(0.5)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        # The video is still open: nobody but the cancellation ends the process.
        await until_gone(pid)
        with pytest.raises(
            DecoderCrashedError, match=r"ended: (it did not answer|a cancelled request)"
        ) as caught:
            await video.frame(0)
        assert caught.value.limit == "progress"
        del caught, request


@pytest.mark.slow
@pytest.mark.parametrize("attack", SPINS)
async def test_a_deadline_ends_a_process_that_goes_on(
    attack: str, lent: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_END_SECONDS", 4.0)
    async with nothing_left(lent), hostile(attack) as video:
        pid = pid_of(video)
        late = hostile(attack, deadline_seconds=5.0)
        async with late as other:
            with pytest.raises(DeadlineError):
                await anext(other.frames())
            await until_gone(pid_of_last(other))
        # Another video goes on.
        assert pid in children()


def pid_of_last(video: af.Video) -> int:
    assert video.isolation.pid is not None
    return video.isolation.pid


@pytest.mark.slow
async def test_opening_in_a_process_that_hangs(lent: Workers) -> None:
    async with nothing_left(lent):
        with pytest.raises(DeadlineError):
            await hostile("open-hang", policy=af.Policy(isolation="process", deadline_seconds=5.0))


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["close-hang", "close-crash"])
async def test_closing_a_process_that_does_not_close(
    attack: str, lent: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_END_SECONDS", 4.0)
    async with nothing_left(lent):
        video = await hostile(attack)
        pid = pid_of(video)
        image = await video.frame(3)
        await video.aclose()
        await until_gone(pid)
        assert painted_index(image.image) == 3
        del image


@pytest.mark.slow
async def test_closing_while_a_process_spins(lent: Workers) -> None:
    async with nothing_left(lent):
        video = await hostile("spin-without-gil")
        request = asyncio.create_task(anext(video.frames()))
        await asyncio.sleep(0.5)
        await video.aclose()
        with pytest.raises(AsyncFramesError):
            await request
        del request


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["hang", "wait", "half-message"])
async def test_a_process_that_makes_no_progress(
    attack: str, lent: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with nothing_left(lent), hostile(attack) as video:
        pid = pid_of(video)
        end_after(monkeypatch, stall_seconds=1.0)
        with pytest.raises(DecoderCrashedError, match="no progress for 1 s") as caught:
            await anext(video.frames())
        assert caught.value.limit == "progress"
        await until_gone(pid)
        del caught


class SlowSource(HostileSource):
    """A source whose bytes take their time, once that is asked for."""

    seconds = 0.0

    async def read_range(self, start: int, stop: int) -> bytes:
        await asyncio.sleep(self.seconds)
        return await super().read_range(start, stop)


@pytest.mark.slow
async def test_a_slow_source_is_waited_for(lent: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    async with nothing_left(lent):
        source = SlowSource(CLIP, "none")
        async with af.open_video(source, isolation="process", cache_bytes=65536) as video:
            end_after(monkeypatch, stall_seconds=1.0)
            source.seconds = 3.0
            assert painted_index((await video.frame(FRAMES - 1)).image) == FRAMES - 1


@pytest.mark.slow
async def test_a_slow_consumer_is_waited_for(lent: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    async with nothing_left(lent), hostile("none") as video:
        frames = video.frames(queue_maxsize=2)
        found = [painted_index((await anext(frames)).image)]
        end_after(monkeypatch, stall_seconds=1.0)
        await asyncio.sleep(3.0)
        found += [painted_index(frame.image) async for frame in frames]
        assert found == list(range(FRAMES))


@pytest.mark.parametrize(
    ("attack", "signal"),
    [
        ("spin-with-gil", "SIGXCPU"),
        pytest.param("spin-without-gil", "SIGXCPU", marks=pytest.mark.slow),
        pytest.param("spin-despite-signal", None, marks=pytest.mark.slow),
    ],
)
async def test_a_process_that_computes_for_too_long(attack: str, signal: str | None, lent: Workers) -> None:
    policy = af.Policy(isolation="process", cpu_seconds=1)
    async with nothing_left(lent), hostile(attack, policy=policy, isolation=None) as video:
        with pytest.raises(DecoderCrashedError) as caught:
            await anext(video.frames())
        assert (caught.value.limit, caught.value.signal) == ("cpu", signal)
        del caught


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the shared memory room for three images in each half."""
    pages = -(-WIDTH * HEIGHT * 3 // mmap.PAGESIZE)
    monkeypatch.setattr(requests, "_MEMORY_BYTES", 2 * 3 * pages * mmap.PAGESIZE)
    monkeypatch.setattr(requests, "_MOST_BYTES_PER_PIXEL", 0)
    monkeypatch.setattr(session, "STALL_SECONDS", 30.0)


@pytest.mark.slow
async def test_frames_that_nobody_takes_leave_room_for_others(lent: Workers, little_memory: None) -> None:
    """Half of the memory is for frames that are copied; frames of a request that was left fill it."""
    async with nothing_left(lent), hostile("none") as video:
        for _ in range(3):
            frames = video.frames(queue_maxsize=FRAMES)
            kept = [await anext(frames)]
            await asyncio.sleep(0.5)
            await frames.aclose()
        found = [painted_index(frame.image) async for frame in video.frames()]
        assert found == list(range(FRAMES))
        del kept, frames


@pytest.mark.slow
async def test_frames_that_wait_for_their_consumer_leave_room_for_others(
    lent: Workers, little_memory: None
) -> None:
    async with nothing_left(lent), hostile("none") as video:
        first = video.frames(queue_maxsize=2 * FRAMES)
        found = [painted_index((await anext(first)).image)]
        await asyncio.sleep(0.5)
        others = [painted_index(frame.image) async for frame in video.frames()]
        found += [painted_index(frame.image) async for frame in first]
        assert found == others == list(range(FRAMES))
        del first


@pytest.mark.slow
async def test_a_caller_may_keep_every_frame(lent: Workers, little_memory: None) -> None:
    async with nothing_left(lent), hostile("none") as video:
        kept = [frame.image for _ in range(2) async for frame in video.frames()]
        assert [painted_index(image) for image in kept] == 2 * list(range(FRAMES))
        del kept
