"""Frame tables that a decoding process builds."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import asyncframes as af
from asyncframes._isolation import requests
from asyncframes._isolation.stored_table import table_from
from asyncframes._policy.policy import Isolation
from asyncframes.errors import MediaLimitError
from tests.support.streams.clips import clip_bytes

pytestmark = pytest.mark.anyio

FRAMES = 12
CLIP = clip_bytes(frames=FRAMES)


async def test_a_table_whose_caller_left_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process has sent is not what its caller has got."""
    given, reading, go_on = table_from, threading.Event(), threading.Event()

    def slow(*arguments: Any) -> af.FrameTable:
        reading.set()
        assert go_on.wait(60)
        return given(*arguments)

    async with af.open_video(CLIP, isolation="process") as video:
        monkeypatch.setattr(requests, "table_from", slow)
        left = asyncio.create_task(video.frame_table())
        async with asyncio.timeout(60):
            while not reading.is_set():  # noqa: ASYNC110 - set in a thread
                await asyncio.sleep(0.01)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        go_on.set()
        table = await video.frame_table()
        assert len(table) == FRAMES
        assert await video.frame_table() is table


@pytest.mark.parametrize("isolation", ["none", "process"])
async def test_a_table_of_the_callers_is_not_counted(isolation: Isolation) -> None:
    """It has been made already. One that would have to be made is refused."""
    async with af.open_video(CLIP) as video:
        table = await video.frame_table()
    few = af.Policy(max_frames=FRAMES - 1, isolation=isolation)
    async with af.open_video(CLIP, policy=few, frame_table=table) as video:
        assert await video.count() == FRAMES
    with pytest.raises(MediaLimitError):
        async with af.open_video(CLIP, policy=few) as video:
            await video.count()
