"""Chunks as ``multipart/mixed``: the images of a zip, each sent as soon as it is made."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import MultipartReader
from aiohttp.multipart import MultipartResponseWrapper
from PIL import Image

import asyncframes as af
from asyncframes import Video
from asyncframes.web import WebLimits, frame_app
from asyncframes.web._aiohttp import _SITE
from tests.pipeline.test_requests import damaged_clip
from tests.support.marks import BOTH_ISOLATIONS
from tests.web.conftest import FRAMES
from tests.web.serving import running, serving, until

pytestmark = [pytest.mark.anyio, BOTH_ISOLATIONS]

AS_PARTS = {"Accept": "multipart/mixed"}


async def part_of(parts: MultipartResponseWrapper) -> tuple[Any, bytes] | None:
    """Return the headers and the body of the next part."""
    part = await parts.next()
    assert not isinstance(part, MultipartReader)
    return None if part is None else (part, bytes(await part.read()))


async def all_parts(reply: aiohttp.ClientResponse) -> list[tuple[Any, bytes]]:
    parts, found = MultipartReader.from_response(reply), []
    while (one := await part_of(parts)) is not None:
        found.append(one)
    return found


class Held:
    """Frames of which only the first ones come until the others are released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, first: int) -> None:
        self.released, self.ended = asyncio.Event(), asyncio.Event()
        decoded = Video.frames

        async def frames(video: Video, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
            came = 0
            try:
                async for frame in decoded(video, *arguments, **options):
                    if came == first:
                        await self.released.wait()
                    came += 1
                    yield frame
            finally:
                self.ended.set()

        monkeypatch.setattr(Video, "frames", frames)


@pytest.mark.parametrize(("number", "frames"), [(0, range(30)), (1, range(30, FRAMES))])
async def test_each_part_is_a_frame_of_the_library(clip: Path, number: int, frames: range) -> None:
    """Its headers say what it is, its image is exact, and the last part is the end."""
    async with serving({"c": clip}) as client, af.open_video(clip) as video:
        async with client.get(f"/v/c/chunks/{number}?size=30&ext=png", headers=AS_PARTS) as reply:
            assert (reply.status, reply.content_type) == (200, "multipart/mixed")
            found = await all_parts(reply)
        assert [int(part.headers["X-Frame-Index"]) for part, _ in found] == [*frames]
        for index, (part, body) in zip(frames, found, strict=True):
            frame = await video.frame(index)
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(body))), frame.image)
            assert part.headers["Content-Type"] == "image/png"
            assert part.headers["Content-Length"] == str(len(body))
            assert part.filename == f"{index:06}.png"
            assert float(part.headers["X-Frame-Pts-Seconds"]) == frame.pts_seconds
            assert part.headers["X-Frame-Keyframe"] == str(int(frame.is_keyframe))


async def test_parts_and_zip_have_the_same_images(clip: Path) -> None:
    """Other parameters mean the same to both, and caches keep them apart."""
    path = "/v/c/chunks/1?size=5&width=48&crop=0,0,64,32&quality=60"
    async with serving({"c": clip}) as client:
        async with client.get(path) as reply:
            archive = zipfile.ZipFile(io.BytesIO(await reply.read()))
            zipped = {name: archive.read(name) for name in archive.namelist()}
            assert (reply.content_type, reply.headers["Vary"]) == ("application/zip", "Accept")
        async with client.get(path, headers={"Accept": "application/json, Multipart/Mixed;q=0.5"}) as parts:
            assert {part.filename: body for part, body in await all_parts(parts)} == zipped
        tags = [reply.headers["ETag"], parts.headers["ETag"]]
        assert tags[0] != tags[1]
        for accepted, tag in zip(({}, AS_PARTS), tags, strict=True):
            for known, status in ((tags[0], 200), (tags[1], 200), (tag, 304)):
                if known == tag and status == 200:
                    continue
                headers = {**accepted, "If-None-Match": known}
                async with client.get(path, headers=headers) as again:
                    assert (again.status, again.headers["ETag"]) == (status, tag)
                    assert again.headers["Vary"] == "Accept"


async def test_the_same_chunk_has_the_same_bytes(clip: Path) -> None:
    """As its tag promises; HEAD has the headers alone."""
    path = "/v/c/chunks/0?size=4"
    async with serving({"c": clip}) as client:
        replies = [await client.request(method, path, headers=AS_PARTS) for method in ("GET", "GET", "HEAD")]
        bodies = [await reply.read() for reply in replies]
        assert bodies[0] == bodies[1]
        assert bodies[2] == b""
        for name in ("ETag", "Content-Type", "Cache-Control", "Vary"):
            assert len({reply.headers[name] for reply in replies}) == 1


async def test_parts_come_as_they_are_made(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first images are here before the last one is decoded."""
    held = Held(monkeypatch, 3)
    async with serving({"c": clip}) as client, client.get("/v/c/chunks/0?size=9", headers=AS_PARTS) as reply:
        parts = MultipartReader.from_response(reply)
        found = [await part_of(parts) for _ in range(3)]
        assert not held.ended.is_set()
        held.released.set()
        while (one := await part_of(parts)) is not None:
            found.append(one)
    assert [one and one[0].filename for one in found] == [f"{index:06}.jpg" for index in range(9)]


async def test_a_client_that_leaves_ends_the_decode(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its turn, its stream and its video are free again, also if it asked for the head alone."""
    app = frame_app(lambda name: clip, limits=WebLimits(max_streams=1, idle_seconds=0.1))
    async with running(app) as client:
        site = app[_SITE]
        for method in ("GET", "HEAD"):
            held = Held(monkeypatch, 3)
            async with client.request(method, "/v/c/chunks/0", headers=AS_PARTS) as reply:
                assert reply.status == 200
                if method == "GET":
                    assert site.turns.streams == 1
                    async with client.get("/v/c/chunks/1", headers=AS_PARTS) as refused:
                        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
                    await part_of(MultipartReader.from_response(reply))
                    reply.close()
            await held.ended.wait()
            await until(lambda: not site.turns.streams and site.turns.free == site.limits.at_once)
            await until(lambda: not len(site.videos))


async def test_damage_ends_the_answer_early() -> None:
    """Nobody takes what came before it for the whole. An error of the first frame has its status."""
    data = damaged_clip(16, frames=36)
    async with serving({"c": data}) as client:
        async with client.get("/v/c/chunks/16?size=1", headers=AS_PARTS) as reply:
            assert (reply.status, reply.content_type) == (422, "application/problem+json")
        async with client.get("/v/c/chunks/0?size=36", headers=AS_PARTS) as reply:
            assert reply.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await reply.read()


@pytest.mark.parametrize(
    ("path", "status"), [("chunks/9", 404), ("chunks/0?size=41", 413), ("chunks/0?ext=exe", 400)]
)
async def test_errors_are_problems(clip: Path, path: str, status: int) -> None:
    """Before the first part, as for a zip."""
    limits = WebLimits(max_chunk_frames=40)
    async with serving({"c": clip}, limits) as client, client.get(f"/v/c/{path}", headers=AS_PARTS) as reply:
        assert (reply.status, reply.content_type) == (status, "application/problem+json")


async def test_too_many_bytes_end_the_answer(clip: Path) -> None:
    """They wait in memory for their client, so there may be only so many."""
    limits = WebLimits(max_chunk_bytes=20_000)
    path = "/v/c/chunks/0?ext=png"
    async with serving({"c": clip}, limits) as client, client.get(path, headers=AS_PARTS) as reply:
        assert reply.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await reply.read()
