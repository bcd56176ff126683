"""Fifty uploads at once to the service of examples/upload_service.py, some of them hostile."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import sys
import time
from typing import Any

import httpx
import pytest

import asyncframes as af
from tests.support.servers.uploads import UploadServer
from tests.support.streams.uploads import GOOD, HOSTILE
from tests.support.upload_load import WIDTH, percentiles, send_all

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="what is left is read from /proc"),
    pytest.mark.skipif(importlib.util.find_spec("uvicorn") is None, reason="uvicorn is not installed"),
]

GOOD_UPLOADS = 40
POOLS = ("asyncframes", "asyncio", "uvloop")
"""How names of threads of pools begin, which wait for the next work."""


def expected(clip: bytes) -> list[dict[str, Any]]:
    """Return what the service should answer, decoded in threads."""
    with af.sync.open_video(clip) as video:
        return [
            {
                "index": frame.index,
                "seconds": frame.pts_seconds,
                "jpeg": base64.b64encode(frame.encode("jpg", quality=85)).decode(),
            }
            for frame in video.frames(num_frames=4, short="fewer", resize=(WIDTH, None))
        ]


async def rested(server: UploadServer) -> dict[str, Any]:
    """Return the state of the server once it has only what waits for the next upload."""
    async with httpx.AsyncClient(timeout=100) as client, asyncio.timeout(200):
        before: dict[str, Any] = {}
        while True:
            state: dict[str, Any] = (await client.get(f"{server.url}/state")).json()
            # Sockets of uploads that were refused close a moment later, and a process is started ahead.
            state["processes"] = len(server.decoding_processes())
            if state == before:
                return state
            before = state
            await asyncio.sleep(3)


@pytest.mark.parametrize("isolation", ["process", "none"])
async def test_hostile_uploads_disturb_no_other(isolation: str) -> None:
    """Each hostile one gets its status, all others get their frames, and nothing is left."""
    frames = {str(number): await asyncio.to_thread(expected, make()) for number, make in enumerate(GOOD)}
    with UploadServer(isolation) as server:
        await send_all(server.url, GOOD_UPLOADS, [])
        before = await rested(server)
        began = time.perf_counter()
        answers = await send_all(server.url, GOOD_UPLOADS, list(HOSTILE))
        seconds = time.perf_counter() - began
        times = {name: round(value, 2) for name, value in percentiles(answers).items()}
        print(f"{isolation}: {len(answers)} uploads in {seconds:.1f} s, good ones in {times}")  # noqa: T201
        after = await rested(server)
        left = server.decoding_processes()
        assert await asyncio.to_thread(server.stop) == 0, server.said
        async with asyncio.timeout(60):
            while server.decoding_processes():  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0.1)
    good = [answer for answer in answers if answer.name in frames]
    assert len(good) == GOOD_UPLOADS
    for answer in good:
        assert (answer.status, answer.frames) == (200, frames[answer.name])
    statuses = {name: after["statuses"].get(name) for name in HOSTILE}
    assert statuses == {name: status for name, (_, status) in HOSTILE.items()}
    told = {answer.name: answer.status for answer in answers if answer.name in HOSTILE}
    assert all(told[name] in {status, None} for name, status in statuses.items())
    assert len(left) <= 2
    assert after["descriptors"] - after["processes"] <= before["descriptors"] - before["processes"]
    assert [name for name in after["threads"] if not name.startswith(POOLS)] == ["MainThread"]
    assert "Traceback" not in server.said
