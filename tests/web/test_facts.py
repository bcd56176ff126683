"""Facts of a video over HTTP: what it is, its table, its keyframes and its bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import asyncframes as af
from asyncframes.web import WebLimits
from asyncframes.web._routes import facts
from tests.support.streams.clips import clip_bytes
from tests.web.serving import serving

pytestmark = pytest.mark.anyio

VARYING = [0, 1, 2, 5, 6, 11, 12, 13, 20, 21, 22, 30, 31, 40, 41, 42, 43, 44, 60, 61]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=len(VARYING), pts=VARYING, gop=6))
    return path


async def test_info_is_exact(clip: Path) -> None:
    """The count is that of the table, and the size is that of the frames."""
    async with serving({"c": clip}) as client, client.get("/v/c/info") as reply, af.open_video(clip) as video:
        told = await reply.json()
        table = await video.frame_table()
    assert told == {
        "id": "c",
        "title": "c",
        "frame_count": len(VARYING),
        "width": 96,
        "height": 64,
        "codec": "h264",
        "container": video.info.container,
        "pixel_format": "yuv420p",
        "duration_seconds": float(table.duration_seconds.sum()),
        "average_rate": float(video.info.average_rate or 0),
        "size_bytes": clip.stat().st_size,
        "colour": {
            "matrix": video.info.color_matrix,
            "range": None if video.info.color_range == "unspecified" else video.info.color_range,
            "primaries": None,
            "transfer": None,
            "hdr": None,
        },
        "is_provisional": table.is_provisional,
        "validator": told["validator"],
        "allows_original": False,
    }


async def test_the_table_is_that_of_the_library(clip: Path) -> None:
    """Both bounds are inclusive, and the last clamps."""
    async with serving({"c": clip}) as client, af.open_video(clip) as video:
        table = await video.frame_table()
        async with client.get("/v/c/table") as reply:
            told = await reply.json()
        assert (told["from"], told["to"]) == (0, len(VARYING) - 1)
        assert told["index"] == [*range(len(VARYING))]
        for name in ("pts_seconds", "duration_seconds", "is_keyframe"):
            assert told[name] == getattr(table, name).tolist()
        assert told["keyframe_before"] == [index // 6 * 6 for index in range(len(VARYING))]
        async with client.get("/v/c/table?from=5&to=7") as reply:
            assert (await reply.json())["index"] == [5, 6, 7]
        async with client.get("/v/c/table?from=18&to=99") as reply:
            told = await reply.json()
            assert (told["index"], told["to"]) == ([18, 19], 19)
        async with client.get("/v/c/keyframes") as reply:
            assert await reply.json() == {
                "from": 0,
                "to": len(VARYING) - 1,
                "index": np.flatnonzero(table.is_keyframe).tolist(),
                "next": None,
            }


async def test_an_answer_has_a_bounded_number_of_rows(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client sees where it ends, and asks on from there."""
    monkeypatch.setattr(facts, "MOST_ROWS", 7)
    async with serving({"c": clip}) as client, client.get("/v/c/table?from=2&to=19") as reply:
        told = await reply.json()
    assert (told["to"], len(told["index"])) == (8, 7)


@pytest.mark.parametrize(
    ("query", "status", "expected"),
    [
        ("", 200, {"from": 0, "to": 11, "index": [0, 6], "next": 12}),
        ("?from=12", 200, {"from": 12, "to": 19, "index": [12, 18], "next": None}),
        ("?from=13&to=17", 200, {"from": 13, "to": 17, "index": [], "next": None}),
        ("?from=1&to=12", 200, {"from": 1, "to": 12, "index": [6, 12], "next": None}),
        ("?from=1&to=99", 200, {"from": 1, "to": 17, "index": [6, 12], "next": 18}),
        ("?from=20", 404, None),
        ("?from=-1", 400, None),
        ("?from=5&to=4", 400, None),
    ],
)
async def test_more_keyframes_than_an_answer_lists(
    clip: Path, monkeypatch: pytest.MonkeyPatch, query: str, status: int, expected: object
) -> None:
    """It says up to which frame they are listed, and which is the next one."""
    monkeypatch.setattr(facts, "MOST_KEYFRAMES", 2)
    async with serving({"c": clip}) as client, client.get(f"/v/c/keyframes{query}") as reply:
        assert reply.status == status
        if status == 200:
            assert await reply.json() == expected


async def test_the_table_as_arrow(clip: Path) -> None:
    """The same columns, for those who ask for them."""
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra parquet)")
    async with serving({"c": clip}) as client:
        async with client.get("/v/c/table", headers={"Accept": facts.ARROW}) as reply:
            assert (reply.content_type, reply.headers["Vary"]) == (facts.ARROW, "Accept")
            columns = arrow.ipc.open_stream(await reply.read()).read_all().to_pydict()
        async with client.get("/v/c/table") as reply:
            told = await reply.json()
    assert columns == {name: told[name] for name in columns}
    assert columns.keys() == told.keys() - {"from", "to"}


async def test_the_list_and_health(clip: Path) -> None:
    """They need no video."""
    async with serving({"a/b.mp4": clip}) as client:
        async with client.get("/videos") as reply:
            assert await reply.json() == {"videos": [{"id": "a/b.mp4", "title": "a/b.mp4"}]}
        async with client.get("/healthz") as reply:
            assert (reply.status, await reply.text()) == (200, "ok\n")


async def test_the_page_is_strict(clip: Path) -> None:
    """Scripts and styles are its own files alone."""
    async with serving({"c": clip}) as client:
        async with client.get("/") as reply:
            assert (reply.status, reply.content_type) == (200, "text/html")
            assert "default-src 'none'; script-src 'self'" in reply.headers["Content-Security-Policy"]
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            tag = reply.headers["ETag"]
        async with client.get("/page/index.html", headers={"If-None-Match": tag}) as reply:
            assert reply.status == 304


@pytest.mark.parametrize(
    ("asked", "status", "start", "stop"),
    [
        (None, 200, 0, None),
        ("bytes=0-0", 206, 0, 1),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=100-", 206, 100, None),
        ("bytes=-5", 206, -5, None),
        ("bytes=0-999999999", 206, 0, None),
        ("bytes=5-1", 200, 0, None),
        ("bytes=0-1,5-6", 200, 0, None),
        ("items=0-1", 200, 0, None),
        ("bytes=999999999-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
    ],
)
async def test_the_original_by_range(
    clip: Path, asked: str | None, status: int, start: int, stop: int | None
) -> None:
    """One range is served; several are answered with the whole."""
    data = clip.read_bytes()
    async with serving({"c.mp4": clip}, WebLimits(allow_original=True)) as client:
        headers = {} if asked is None else {"Range": asked}
        async with client.get("/v/c.mp4/original", headers=headers) as reply:
            body = await reply.read()
            assert reply.status == status
    if status == 416:
        assert reply.headers["Content-Range"] == f"bytes */{len(data)}"
        return
    assert body == data[start:stop]
    assert reply.headers["Content-Length"] == str(len(body))
    assert reply.headers["Content-Type"] == "video/mp4"
    if status == 206:
        first = data.index(body) if start >= 0 else len(data) + start
        assert reply.headers["Content-Range"] == f"bytes {first}-{first + len(body) - 1}/{len(data)}"


async def test_a_range_of_other_bytes_is_the_whole(clip: Path) -> None:
    """``If-Range`` keeps a client from mixing versions."""
    async with serving({"c": clip}, WebLimits(allow_original=True)) as client:
        async with client.head("/v/c/original") as reply:
            tag = reply.headers["ETag"]
            assert reply.headers["Content-Length"] == str(clip.stat().st_size)
        for wanted, status in ((tag, 206), ('"other"', 200)):
            headers = {"Range": "bytes=0-3", "If-Range": wanted}
            async with client.get("/v/c/original", headers=headers) as reply:
                assert (reply.status, len(await reply.read()) == 4) == (status, status == 206)
