"""Many clients at once: each gets its frames, or is told to come again."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from PIL import Image

from asyncframes.web import WebLimits
from tests.support.left_over import Held
from tests.support.streams.clips import clip_bytes, painted_index
from tests.web.serving import serving

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]

FRAMES = 60


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Twenty videos, of which each has its own file."""
    folder, data = tmp_path_factory.mktemp("load"), clip_bytes(frames=FRAMES)
    paths = {f"clip-{number}.mp4": folder / f"clip-{number}.mp4" for number in range(20)}
    for path in paths.values():
        path.write_bytes(data)
    return paths


async def step(client: aiohttp.ClientSession, name: str, start: int, steps: int, found: Counter[str]) -> None:
    """Step through a video, and count what came."""
    for index in range(start, start + steps):
        async with client.get(f"/v/{name}/frames/{index % FRAMES}.jpg") as reply:
            body = await reply.read()
            found[str(reply.status)] += 1
            if reply.status != 200:
                assert "Retry-After" in reply.headers
                continue
            shown = painted_index(np.asarray(Image.open(io.BytesIO(body))))
            found["wrong"] += shown != index % FRAMES


@pytest.mark.slow
async def test_a_hundred_clients_step_through_twenty_videos(clips: dict[str, Path]) -> None:
    """Every picture is the one that was asked for, and nothing is left."""
    before = Held.now()
    async with serving(clips) as client:
        found: Counter[str] = Counter()
        names = [*clips]
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(step(client, names[number % len(names)], number, 3, found))
        assert found == {"200": 300, "wrong": 0}
    for _ in range(300):
        if not (grown := Held.now().grown_since(before)):
            break
        await asyncio.sleep(0.2)
    assert not grown


@pytest.mark.slow
async def test_a_thousand_clients_are_served_or_refused(clips: dict[str, Path]) -> None:
    """With 200, 429 or 503 and nothing else; afterwards all is as before."""
    limits = WebLimits(max_queued=50, max_requests=4)
    connector = aiohttp.TCPConnector(limit=0)
    async with serving(clips, limits) as client:
        url = client._base_url
        async with aiohttp.ClientSession(url, connector=connector) as many:
            found: Counter[str] = Counter()
            names = [*clips]
            async with asyncio.TaskGroup() as group:
                for number in range(1000):
                    group.create_task(step(many, names[number % len(names)], number, 2, found))
        assert found["wrong"] == 0
        assert found["503"] > 0
        assert found["200"] + found["503"] == 2000
        again: Counter[str] = Counter()
        await step(client, names[0], 0, FRAMES, again)
        assert again == {"200": FRAMES, "wrong": 0}
