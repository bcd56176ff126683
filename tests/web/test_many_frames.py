"""Answers of many frames: chunks, sprite sheets, contact sheets and streams."""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import asyncframes as af
from asyncframes.cli import main
from asyncframes.web import WebLimits
from asyncframes.web._routes.mjpeg import Pace
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.servers.web import RunningServer
from tests.support.streams.clips import clip_bytes, painted_index
from tests.web.serving import serving

pytestmark = [pytest.mark.anyio, BOTH_ISOLATIONS]

FRAMES = 100


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("web") / "clip.mp4"
    path.write_bytes(clip_bytes(frames=FRAMES, gop=10))
    return path


def shown_in(body: bytes) -> int:
    return painted_index(np.asarray(Image.open(io.BytesIO(body)).convert("RGB")))


async def test_a_chunk_has_its_frames_and_no_others(clip: Path) -> None:
    """Each is named after its index, and equals the image of that frame alone."""
    async with serving({"c": clip}) as client:
        for number, frames in ((0, range(30)), (3, range(90, 100))):
            async with client.get(f"/v/c/chunks/{number}?size=30&width=48&ext=png") as reply:
                assert (reply.status, reply.content_type) == (200, "application/zip")
                chunk = zipfile.ZipFile(io.BytesIO(await reply.read()))
            assert chunk.namelist() == [f"{index:06}.png" for index in frames]
            assert {entry.compress_type for entry in chunk.infolist()} == {zipfile.ZIP_STORED}
            for index in frames:
                assert shown_in(chunk.read(f"{index:06}.png")) == index
        async with client.get("/v/c/frames/95.png?width=48") as reply:
            assert chunk.read("000095.png") == await reply.read()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("chunks/4?size=30", 404),
        ("chunks/0?size=0", 400),
        ("chunks/0?size=50", 413),
        ("chunks/0?size=40&ext=png", 413),
        ("chunks/0?ext=exe", 400),
        ("sprites.jpg?every=0.01", 400),
        ("sprites.jpg?every=0", 400),
        ("sprites.vtt?every=-1", 400),
        ("sprites.jpg?width=90000", 400),
        ("sheet.png?columns=50&rows=50", 413),
        ("mjpeg?start=100", 404),
        ("mjpeg?fps=0", 400),
    ],
)
async def test_too_much_is_refused(clip: Path, path: str, status: int) -> None:
    """Before or while it is made, never with fewer frames."""
    limits = WebLimits(max_chunk_frames=40, max_chunk_bytes=20_000, max_tiles=60)
    async with serving({"c": clip}, limits) as client, client.get(f"/v/c/{path}") as reply:
        assert (reply.status, reply.content_type) == (status, "application/problem+json")


async def test_sprites_show_what_their_times_say(clip: Path) -> None:
    """Each cue leads to the tile of the frame that is shown when it begins."""
    async with serving({"c": clip}) as client, af.open_video(clip) as video:
        table = await video.frame_table()
        async with client.get("/v/c/sprites.vtt?every=0.7&columns=3&width=64") as reply:
            assert reply.content_type == "text/vtt"
            text = await reply.text()
        cues = re.findall(r"(\S+) --> (\S+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)\n", text)
        assert text.startswith("WEBVTT\n\n")
        assert [start for start, *_ in cues[1:]] == [stop for _, stop, *_ in cues[:-1]]
        assert cues[-1][1] == "00:00:04.000"
        async with client.get(f"/v/c/{cues[0][2]}") as reply:
            assert reply.headers["Cache-Control"].endswith("immutable")
            sheet = np.asarray(Image.open(io.BytesIO(await reply.read())))
        assert len(cues) == 6
        assert sheet.shape == (2 * 43, 3 * 64, 3)
        for start, _, _, *box in cues:
            x, y, width, height = map(int, box)
            seconds = Fraction(start.removeprefix("00:00:"))
            assert painted_index(sheet[y : y + height, x : x + width]) == table.index_at(seconds)


# Constant bitrate, so that pictures which are easy to encode take their share of bytes too.
PADDED = "scenecut=0:b-adapt=0:keyint=25:min-keyint=25:nal-hrd=cbr:filler=1:bitrate=8000:vbv-maxrate=8000"


async def test_sprites_read_only_the_groups_they_need() -> None:
    """Of a long file over HTTP, no more than the groups of pictures that the tiles are in, and the header."""
    data = clip_bytes(
        frames=500, gop=25, options={"b": "8M", "x264-params": f"{PADDED}:vbv-bufsize=8000"}, faststart=True
    )
    async with af.open_video(data) as video:
        table = await video.frame_table()
    groups = {index // 25 * 25 for index in (table.index_at(2 * place) for place in range(10))}
    ranges = [one for first in groups for one in table.byte_ranges(first, first + 24)]
    needed = sum(stop - start for start, stop in ranges)
    with RunningServer() as server:
        server.serve("/clip.mp4", data)
        async with serving({"c": server.url("/clip.mp4")}) as client:
            # What a page asks for first.
            for path in ("info", "keyframes", "table", "frames/0.jpg"):
                async with client.get(f"/v/c/{path}") as reply:
                    assert reply.status == 200
            async with client.get("/v/c/stats") as reply:
                first = (await reply.json())["bytes_fetched"]
            async with client.get("/v/c/sprites.jpg?every=2&width=40") as reply:
                assert reply.status == 200
            async with client.get("/v/c/stats") as reply:
                fetched = (await reply.json())["bytes_fetched"]
    assert 0 < first < 2 * 1024 * 1024
    assert len(groups) == 10
    assert len(data) > 15_000_000
    assert fetched < needed + ranges[0][0] + 2 * 1024 * 1024 < len(data) * 0.7


@pytest.mark.parametrize(
    ("query", "options"), [("", {}), ("?columns=3&rows=2&width=400", {"columns": 3, "rows": 2, "width": 400})]
)
async def test_a_contact_sheet(clip: Path, query: str, options: af.SheetOptions) -> None:
    """It is that of the library, also if nothing is asked of it."""
    async with serving({"c": clip}) as client, af.open_video(clip) as video:
        expected = await video.contact_sheet(**options)
        async with client.get(f"/v/c/sheet.png{query}") as reply:
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(await reply.read()))), expected.image)


def parts_of(body: bytes) -> list[tuple[int, int]]:
    """Return the index that each part names, and the one that its picture shows."""
    parts = body.split(b"--asyncframes-frame")
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    found = []
    for part in parts[1:-1]:
        head, _, picture = part.removesuffix(b"\r\n").partition(b"\r\n\r\n")
        named = re.search(rb"X-Frame-Index: (\d+)", head)
        length = re.search(rb"Content-Length: (\d+)", head)
        assert named
        assert length
        assert len(picture) == int(length[1])
        found.append((int(named[1]), shown_in(picture)))
    return found


async def test_a_stream_shows_frames_in_order(clip: Path) -> None:
    """It begins where it is asked to, ends with the video, and never names a frame wrongly."""
    async with serving({"c": clip}) as client, client.get("/v/c/mjpeg?start=70") as reply:
        assert reply.content_type == "multipart/x-mixed-replace"
        found = parts_of(await reply.read())
    named = [index for index, _ in found]
    assert named == [shown for _, shown in found]
    assert named == sorted(set(named))
    assert (named[0], named[-1]) == (70, FRAMES - 1)


def test_a_slow_client_misses_frames() -> None:
    """The frame shown is the one of now, whatever the rate of the video or that asked for."""
    pace = Pace(np.array([1.0, 1.1, 1.2, 1.2, 2.0, 2.1]), 1, None)
    assert [pace.index_at(elapsed) for elapsed in (0, 0.05, 0.1, 0.5, 0.9, 9.0)] == [1, 1, 3, 3, 4, 5]
    assert pace.next_after(1) == pytest.approx(0.1)
    assert pace.next_after(3) == pytest.approx(0.9)
    assert pace.next_after(5) is None
    assert Pace(np.array([0.0, 0.1, 0.2, 0.3]), 0, Fraction(5)).next_after(0) == pytest.approx(0.2)


async def test_a_stream_ends_with_the_application() -> None:
    """It does not hold up the shutdown, and a client that leaves ends it."""
    data = clip_bytes(frames=FRAMES, rate=Fraction(1, 1000))
    async with serving({"c": data}, WebLimits(max_streams=1)) as client:
        async with client.get("/v/c/mjpeg") as reply:
            assert await reply.content.readuntil(b"\xff\xd9") != b""
            async with client.get("/v/c/mjpeg") as refused:
                assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        async with asyncio.timeout(30):
            while True:
                async with client.get("/v/c/mjpeg") as again:
                    if again.status == 200:
                        break
                await asyncio.sleep(0.05)


async def test_metrics_count_requests(clip: Path) -> None:
    """By route and status, without names of videos."""
    pytest.importorskip("prometheus_client", reason="prometheus_client is not installed (extra web)")
    async with serving({"my secret clip": clip}) as client:
        for path in ("frames/1.jpg", "frames/2.jpg", "frames/999.jpg"):
            async with client.get(f"/v/my%20secret%20clip/{path}") as reply:
                await reply.read()
        async with client.get("/metrics") as reply:
            text = await reply.text()
    assert 'asyncframes_requests_total{route="frames",status="200"} 2.0' in text
    assert 'asyncframes_requests_total{route="frames",status="404"} 1.0' in text
    assert "asyncframes_open_videos 1.0" in text
    assert "secret" not in text


def test_sprites_in_the_shell(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two files, one of which names the other relative to itself."""
    (tmp_path / "a b").mkdir()
    out, vtt = tmp_path / "a b" / "clip 1.jpg", tmp_path / "clip.vtt"
    assert main(["sprites", str(clip), str(out), str(vtt), "--every", "2s", "--no-table-cache"]) == 0
    assert "2 frames on" in capsys.readouterr().out
    with Image.open(out) as sheet:
        assert sheet.size == (320, 107)
    assert vtt.read_text().splitlines()[2:] == [
        "00:00:00.000 --> 00:00:02.000",
        "a%20b/clip%201.jpg#xywh=0,0,160,107",
        "",
        "00:00:02.000 --> 00:00:04.000",
        "a%20b/clip%201.jpg#xywh=160,0,160,107",
    ]
    with pytest.raises(SystemExit):
        main(["sprites", str(clip), str(out), str(vtt), "--every", "0s"])
    assert "expected a time such as 10s" in capsys.readouterr().err
