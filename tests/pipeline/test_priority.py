"""Codec threads that give way: which threads do, and that nothing else changes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import asyncframes as af
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a policy")


def threads_under(policy: int) -> int:
    """Count the threads of this process that are scheduled so."""
    threads = [int(entry.name) for entry in Path("/proc/self/task").iterdir()]
    return [os.sched_getscheduler(thread) for thread in threads].count(policy)


@pytest.mark.anyio
@pytest.mark.usefixtures("long_streams")
@pytest.mark.parametrize("idle", [False, True])
@pytest.mark.parametrize(("threads", "expected"), [(1, 0), (3, 3)])
async def test_only_codec_threads_give_way(threads: int, expected: int, *, idle: bool) -> None:
    """The loop's and the pool's threads stay as they are, and the codec's end with the video."""
    policy = os.SCHED_IDLE if idle else os.SCHED_BATCH
    async with af.open_video(clip_bytes(frames=48), threads=threads, idle_priority=idle) as video:
        shown, found = [], []
        async for frame in video.frames(queue_maxsize=4):
            shown.append(painted_index(frame.image))
            found.append(threads_under(policy))
        assert shown == list(range(48))
        assert max(found) == expected
        assert (await video.frame(5)).index == 5
        assert threads_under(policy) == expected
    assert threads_under(policy) == 0


@pytest.mark.anyio
async def test_where_it_is_forbidden_frames_come_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox may refuse the call."""

    def refuse(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    async with af.open_video(clip_bytes(frames=48), threads=3, idle_priority=True) as video:
        assert painted_index((await video.frame(40)).image) == 40
        assert threads_under(os.SCHED_IDLE) == 0
