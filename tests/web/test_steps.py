"""Clients that step get frames that were decoded in runs: the same ones, for fewer decodes."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from PIL import Image

from asyncframes import Video
from asyncframes.web import WebLimits, frame_app
from asyncframes.web._aiohttp import _SITE
from asyncframes.web._site import Site
from asyncframes.web._steps import LONGEST_RUN
from tests.pipeline.test_requests import damaged_clip
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.streams.clips import clip_bytes, painted_index
from tests.web.serving import running, until

pytestmark = [pytest.mark.anyio, BOTH_ISOLATIONS]

FRAMES = 100


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("web") / "clip.mp4"
    path.write_bytes(clip_bytes(frames=FRAMES, gop=25))
    return path


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Frames that were decoded one by one."""
    decoded: list[int] = []
    frame = Video.frame

    async def counted(video: Video, index: int, **picture: Any) -> Any:
        decoded.append(index)
        return await frame(video, index, **picture)

    monkeypatch.setattr(Video, "frame", counted)
    return decoded


@asynccontextmanager
async def stepping(source: Any, **limits: Any) -> AsyncIterator[tuple[Site, aiohttp.ClientSession]]:
    app = frame_app(lambda name: source, limits=WebLimits(**limits))
    async with running(app) as client:
        yield app[_SITE], client


async def check(client: aiohttp.ClientSession, indices: Iterable[int]) -> None:
    """Ask for frames one after the other. Each shows its own index."""
    for index in indices:
        async with client.get(f"/v/c/frames/{index}.png?width=64") as reply:
            image = np.asarray(Image.open(io.BytesIO(await reply.read())))
            assert (reply.status, reply.headers["X-Frame-Index"]) == (200, str(index))
            assert painted_index(image) == index


@pytest.mark.parametrize(
    "order", [range(FRAMES), range(FRAMES - 1, -1, -1), [*range(40, 60), *range(60, 30, -1)]]
)
async def test_steps_are_decoded_in_runs(clip: Path, alone: list[int], order: Iterable[int]) -> None:
    """Only the first frame is decoded alone, in both ways and up to both ends."""
    async with stepping(clip) as (site, client):
        await check(client, order)
        assert alone == [next(iter(order))]
        await until(lambda: not site.steps._tasks)
        assert not site.steps._runs


async def test_jumps_are_decoded_alone(clip: Path, alone: list[int]) -> None:
    """Nothing is made ahead for a client that does not step."""
    jumps = [0, 50, 3, 99, 20, 70]
    async with stepping(clip) as (site, client):
        await check(client, jumps)
        assert alone == jumps
        assert not len(site.steps._kept)


@pytest.mark.parametrize("max_kept_bytes", [0, 1, 1500])
async def test_little_room_costs_time_alone(clip: Path, max_kept_bytes: int) -> None:
    """Frames are right, and fewer are made ahead if they are dropped before they are asked for."""
    async with stepping(clip, max_kept_bytes=max_kept_bytes) as (site, client):
        async with asyncio.TaskGroup() as group:
            for start in (0, 30, 60):
                group.create_task(check(client, range(start, start + 30)))
        assert site.steps._longest < LONGEST_RUN
        held = [*site.steps._kept._new.values(), *site.steps._kept._given.values()]
        assert sum(len(image.body) for image in held) <= max_kept_bytes


async def test_damage_is_reported_where_it_is(tmp_path: Path) -> None:
    """A run that meets it leaves each frame its own answer, as jumps get it."""
    path = tmp_path / "damaged.mp4"
    path.write_bytes(damaged_clip(16, frames=36))
    jumps = {}
    async with stepping(path) as (_, client):
        for index in (35, 11, 30, 3, 16, 14, 20, 7, 25, 23):
            async with client.get(f"/v/c/frames/{index}.png") as reply:
                jumps[index] = (reply.status, await reply.read())
    async with stepping(path) as (_, client):
        for index in range(36):
            async with client.get(f"/v/c/frames/{index}.png") as reply:
                found = (reply.status, await reply.read())
            assert found == jumps.get(index, found)
            assert found[0] in {200, 422}
    assert {status for status, _ in jumps.values()} == {200, 422}


async def test_a_client_that_leaves_ends_its_run(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless another one waits for it."""
    frames, released, ended = Video.frames, asyncio.Event(), asyncio.Event()

    async def held_back(video: Video, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        try:
            await released.wait()
            async for frame in frames(video, *arguments, **options):
                yield frame
        finally:
            ended.set()

    async with stepping(clip) as (site, client):
        await check(client, [60])
        monkeypatch.setattr(Video, "frames", held_back)
        url = "/v/c/frames/61.png?width=64"
        first, second = (asyncio.create_task(client.get(url)) for _ in range(2))
        await until(lambda: any(run._waiting[61] == 2 for run in site.steps._runs.values()))
        first.cancel()
        await until(lambda: all(run._waiting[61] == 1 for run in site.steps._runs.values()))
        assert not ended.is_set()
        second.cancel()
        await ended.wait()
        await until(lambda: not site.steps._tasks)
        assert not site.steps._runs
        released.set()
        await check(client, range(61, 80))
