"""Videos that decode in processes, of which there are fewer than videos."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asyncframes import Policy
from asyncframes._isolation.workers import Workers
from asyncframes.web import WebLimits
from tests.support.isolation import own_processes
from tests.support.streams.clips import clip_bytes
from tests.web.serving import serving

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such processes"),
]

VIDEOS = 6
SECONDS = 100


@pytest.fixture(scope="module", autouse=True)
def lent() -> Iterator[Workers]:
    """Decode in processes of this module's own."""
    with own_processes() as own:
        yield own


@pytest.mark.parametrize("most", [1, 2])
async def test_idle_videos_make_way_for_others(most: int, lent: Workers, tmp_path: Path) -> None:
    """Each open video has a process, and there is none for every video, so nobody may keep one idle."""
    clips = {f"{number}.mp4": tmp_path / f"{number}.mp4" for number in range(VIDEOS)}
    data = clip_bytes(frames=12)
    for path in clips.values():
        path.write_bytes(data)
    policy = Policy(isolation="process", max_workers=most, deadline_seconds=SECONDS)
    limits = WebLimits(idle_seconds=SECONDS, request_seconds=SECONDS, max_requests=2)
    async with serving(clips, limits, policy=policy) as client, asyncio.timeout(SECONDS):

        async def status(name: str, index: int) -> int:
            async with client.get(f"/v/{name}/frames/{index}.jpg") as reply:
                await reply.read()
                assert len(lent._busy) <= most
                return reply.status

        # One after another, and then all at once.
        for name in clips:
            assert await status(name, 3) == 200
        asked = [status(name, index) for index in (5, 7) for name in clips]
        assert await asyncio.gather(*asked) == [200] * len(asked)
