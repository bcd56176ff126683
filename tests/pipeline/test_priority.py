"""Codec threads that give way: which threads do, and that nothing else changes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import asyncframes as af
from tests._clips import clip_bytes, painted_index

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a policy")


def idle_threads() -> int:
    """Count the threads of this process that run while nothing else wants the CPU."""
    threads = [int(entry.name) for entry in Path("/proc/self/task").iterdir()]
    return [os.sched_getscheduler(thread) for thread in threads].count(os.SCHED_IDLE)


@pytest.mark.anyio
@pytest.mark.parametrize(("threads", "expected"), [(1, 0), (3, 3)])
async def test_only_codec_threads_are_idle_ones(threads: int, expected: int) -> None:
    """The loop's and the pool's threads stay as they are, and the codec's end with the video."""
    async with af.open_video(clip_bytes(frames=48), threads=threads, idle_priority=True) as video:
        shown = [painted_index(frame.image) async for frame in video.frames()]
        assert shown == list(range(48))
        assert (await video.frame(5)).index == 5
        assert idle_threads() == expected
    assert idle_threads() == 0


@pytest.mark.anyio
async def test_by_default_none_are() -> None:
    """Decoding gets its share beside other work."""
    async with af.open_video(clip_bytes(frames=48), threads=3) as video:
        await video.frame(5)
        assert idle_threads() == 0


@pytest.mark.anyio
async def test_where_it_is_forbidden_frames_come_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox may refuse the call."""

    def refuse(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    async with af.open_video(clip_bytes(frames=48), threads=3, idle_priority=True) as video:
        assert painted_index((await video.frame(40)).image) == 40
        assert idle_threads() == 0
