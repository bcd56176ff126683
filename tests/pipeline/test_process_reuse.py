"""Decoding processes serve one video after another."""

from __future__ import annotations

import asyncio

import pytest

import asyncframes as af
from asyncframes._isolation import workers as module
from asyncframes._isolation.workers import workers
from tests.support.isolation import end_idle_processes
from tests.support.streams.clips import clip_bytes

pytestmark = pytest.mark.anyio


async def test_videos_in_sequence_use_few_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that is started ahead does not end the one that has served."""
    monkeypatch.setattr(module, "cpus", lambda: 4)
    used = set()
    for _ in range(5):
        async with af.open_video(clip_bytes(frames=2), isolation="process") as video:
            used.add(video.isolation.pid)
            async with asyncio.timeout(60):
                while not workers()._idle:  # noqa: ASYNC110 - nothing else tells
                    await asyncio.sleep(0.01)
    assert len(used) <= 2
    assert len(workers()._idle) <= 2
    end_idle_processes()


@pytest.mark.slow
async def test_a_process_unmaps_the_memory_of_earlier_videos() -> None:
    """It would otherwise reach its limit of address space after a few."""
    one = af.Policy(isolation="process", max_workers=1)
    used = set()
    for _ in range(20):
        async with af.open_video(clip_bytes(frames=4), policy=one) as video:
            used.add(video.isolation.pid)
            assert (await video.frame(3)).index == 3
    assert len(used) == 1
    end_idle_processes()
