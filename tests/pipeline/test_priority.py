"""Codec threads that give way: which threads do, and that nothing else changes."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

import asyncframes as af
from asyncframes._media.codec import priority
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such a policy")


def threads_under(policy: int) -> int:
    """Count the threads of this process that are scheduled so."""
    found = 0
    for entry in Path("/proc/self/task").iterdir():
        # A thread may end between the two calls.
        with suppress(OSError):
            found += os.sched_getscheduler(int(entry.name)) == policy
    return found


async def until_under(policy: int, expected: int) -> bool:
    """Wait for a number of threads: those that were joined need the CPU once more to end."""
    with anyio.move_on_after(60):
        while threads_under(policy) != expected:  # noqa: ASYNC110 - nothing else tells
            await anyio.sleep(0.01)
    return threads_under(policy) == expected


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
            found.append(await until_under(policy, expected))
        assert shown == list(range(48))
        assert all(found)
        assert (await video.frame(5)).index == 5
        assert await until_under(policy, expected)
    assert await until_under(policy, 0)


@pytest.mark.anyio
@pytest.mark.usefixtures("long_streams")
async def test_threads_are_found_without_a_list_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A locked process may not list its own."""
    monkeypatch.setattr(priority, "_THREADS", tmp_path / "absent")
    async with af.open_video(clip_bytes(frames=48), threads=3, idle_priority=True) as video:
        assert painted_index((await video.frame(40)).image) == 40
        assert await until_under(os.SCHED_IDLE, 3)
    assert await until_under(os.SCHED_IDLE, 0)


@pytest.mark.anyio
async def test_where_it_is_forbidden_frames_come_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox may refuse the call."""

    def refuse(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    async with af.open_video(clip_bytes(frames=48), threads=3, idle_priority=True) as video:
        assert painted_index((await video.frame(40)).image) == 40
        assert threads_under(os.SCHED_IDLE) == 0
