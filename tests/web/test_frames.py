"""Frames over HTTP are the frames of the library, by index and by time."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import asyncframes as af
from asyncframes.web import WebLimits
from tests.support.streams.clips import clip_bytes, painted_index
from tests.web.conftest import FRAMES
from tests.web.serving import serving

pytestmark = pytest.mark.anyio


def image_of(body: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGB"))


@pytest.mark.parametrize("ext", ["jpg", "png", "webp"])
async def test_a_frame_is_the_one_of_its_index(clip: Path, ext: str) -> None:
    """In any order, and its headers tell index, time and keyframe."""
    async with serving({"clip.mp4": clip}) as client, af.open_video(clip) as video:
        for index in (0, 47, 13, 12, 11, -1):
            async with client.get(f"/v/clip.mp4/frames/{index}.{ext}") as reply:
                assert reply.status == 200
                frame = await video.frame(index)
                assert painted_index(image_of(await reply.read())) == index % FRAMES
                assert reply.headers["X-Frame-Index"] == str(index % FRAMES)
                assert float(reply.headers["X-Frame-Pts-Seconds"]) == frame.pts_seconds
                assert reply.headers["X-Frame-Keyframe"] == str(int(frame.is_keyframe))


async def test_the_bytes_equal_those_of_the_library(clip: Path) -> None:
    """Also of a part, scaled down; an image is never scaled up."""
    async with serving({"c": clip}) as client, af.open_video(clip) as video:
        frame = await video.frame(5, crop=(8, 8, 64, 32), resize=(32, None))
        expected = await asyncio.to_thread(frame.encode, "jpg", quality=60)
        async with client.get("/v/c/frames/5.jpg?crop=8,8,64,32&width=32&quality=60") as reply:
            assert await reply.read() == expected
        async with client.get("/v/c/frames/5.png?width=5000") as reply:
            assert np.array_equal(image_of(await reply.read()), (await video.frame(5)).image)


async def test_a_name_may_hold_anything(clip: Path) -> None:
    """Slashes, spaces, other scripts and signs of URLs are percent-encoded."""
    names = ["a/b c.mp4", "фильм?.mp4", "100%25#.mp4", "..", "%2F"]
    async with serving(dict.fromkeys(names, clip)) as client:
        from urllib.parse import quote

        from yarl import URL

        for name in names:
            url = URL(f"/v/{quote(name, safe='').replace('.', '%2E')}/info", encoded=True)
            async with client.get(url) as reply:
                assert (reply.status, (await reply.json())["id"]) == (200, name)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v/c/frames/48.jpg", 404, "FrameIndexError"),
        ("/v/c/at/99.jpg", 404, "FrameIndexError"),
        ("/v/none/frames/0.jpg", 404, "NotFound"),
        ("/v/absent/frames/0.jpg", 404, "SourceNotFoundError"),
        ("/v/text/frames/0.jpg", 422, "UnsupportedMediaError"),
        ("/v/c/frames/0.jpg?crop=0,0,9999,9999", 422, "CropError"),
        ("/v/c/frames/0.jpg?width=0", 400, "ValueError"),
        ("/v/c/frames/0.jpg?width=1e3", 400, "ValueError"),
        ("/v/c/frames/0.jpg?height=10", 400, "ValueError"),
        ("/v/c/frames/0.jpg?quality=101", 400, "ValueError"),
        ("/v/c/frames/0.png?quality=50", 400, "ValueError"),
        ("/v/c/frames/0.gif", 404, "NotFound"),
        ("/v/c/at/nan.jpg", 400, "ValueError"),
        ("/v/c/at/1e999.jpg", 400, "ValueError"),
        ("/v/c/table?from=3&to=2", 400, "ValueError"),
        ("/v/c/table?from=48", 404, "FrameIndexError"),
        ("/v/c/frames/0.jpg?v=other", 410, "Gone"),
        ("/v/c/original", 403, "Forbidden"),
        ("/nothing", 404, "NotFound"),
        ("/page/../_site.py", 404, "NotFound"),
    ],
)
async def test_errors_are_problems(clip: Path, tmp_path: Path, path: str, status: int, code: str) -> None:
    """Bodies name the error, as RFC 9457 describes, and no path of the server."""
    text = tmp_path / "text.mp4"
    text.write_text("no video " * 1000)
    sources = {"c": clip, "absent": tmp_path / "absent.mp4", "text": text}
    async with serving(sources) as client:
        async with client.get(path) as reply:
            problem = await reply.json(content_type="application/problem+json")
        assert (reply.status, problem["status"], problem["code"]) == (status, status, code)
        assert problem.keys() == {"type", "title", "status", "detail", "code"}
        assert str(tmp_path) not in problem["detail"]
        assert reply.headers["Cache-Control"] == "no-store"


async def test_only_reading_is_allowed(clip: Path) -> None:
    """Other methods are refused; HEAD has the headers of GET."""
    async with serving({"c": clip}) as client:
        async with client.post("/v/c/info") as reply:
            assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")
        async with client.get("/v/c/frames/3.png") as got, client.head("/v/c/frames/3.png") as head:
            named = ("ETag", "Content-Length", "Content-Type", "X-Frame-Index")
            assert [got.headers[name] for name in named] == [head.headers[name] for name in named]
            assert await head.read() == b""


async def test_a_client_that_has_an_answer_gets_none(clip: Path) -> None:
    """The tag depends on the video and on the parameters, and a version of the video never changes."""
    async with serving({"c": clip}) as client:
        async with client.get("/v/c/frames/3.jpg?width=40") as reply:
            tag = reply.headers["ETag"]
            assert reply.headers["Cache-Control"] == "public, max-age=10, must-revalidate"
        async with client.get("/v/c/frames/3.jpg?width=41") as reply:
            assert reply.headers["ETag"] != tag
        for wanted in (tag, f'"x", W/{tag}', "*"):
            async with client.get("/v/c/frames/3.jpg?width=40", headers={"If-None-Match": wanted}) as reply:
                assert (reply.status, reply.headers["ETag"], await reply.read()) == (304, tag, b"")
        async with client.get("/v/c/info") as reply:
            version = (await reply.json())["validator"]
        async with client.get(f"/v/c/frames/3.jpg?v={version}&width=40") as reply:
            assert reply.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert reply.headers["ETag"] == tag


async def test_a_changed_file_is_noticed(clip: Path) -> None:
    """Its tag, its count and its frames are those of the new bytes."""
    async with serving({"c": clip}, WebLimits(fresh_seconds=0.001)) as client:
        async with client.get("/v/c/info") as reply:
            before = await reply.json()
        clip.write_bytes(clip_bytes(frames=20))
        async with client.get("/v/c/info") as reply:
            after = await reply.json()
        async with client.get(f"/v/c/frames/19.png?v={before['validator']}") as reply:
            assert reply.status == 410
        assert (before["frame_count"], after["frame_count"]) == (FRAMES, 20)
        assert before["validator"] != after["validator"]


async def test_bytes_without_a_validator_are_not_cached() -> None:
    """Nothing says whether they are the same the next time."""
    async with serving({"c": clip_bytes(frames=FRAMES)}) as client, client.get("/v/c/frames/3.jpg") as reply:
        assert reply.headers["Cache-Control"] == "no-store"
        assert "ETag" not in reply.headers
