"""Video over HTTP: what is fetched, and what each kind of failure says."""

from __future__ import annotations

import asyncio
import socket
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

import asyncframes as af
from asyncframes import errors
from asyncframes._media.files.media_files import BUFFER_BYTES
from asyncframes.sources import HttpSource
from tests.support.marks import BOTH_ISOLATIONS
from tests.support.servers.web import Reply, RunningServer
from tests.support.streams.clips import audio_bytes, clip_bytes, painted_index, repeated

pytestmark = BOTH_ISOLATIONS

SLACK = 512 * 1024
BUNNY = files("asyncframes.data").joinpath("bunny.mp4").read_bytes()


async def first_frame(source: Any, **options: Any) -> None:
    """Open and read one frame."""
    async for _ in af.stream_frames(source, 0, 0, **options):
        pass


@pytest.fixture(scope="module")
def large() -> bytes:
    """Two minutes of the shipped clip, packets repeated, header last: some 14 MB."""
    return repeated(BUNNY, times=23)


@pytest.mark.anyio
async def test_a_range_near_the_end_fetches_header_and_gops(server: RunningServer, large: bytes) -> None:
    """Ten frames near the end of a header-last MP4 cost the header, the GOPs they lie in, and little more."""
    server.serve("/large.mp4", large)
    async with af.open_video(server.url("/large.mp4")) as video:
        count = await video.count()
        start = count - 200
        frames = [frame.index async for frame in video.frames(start, start + 9)]
        fetched, requests = video.bytes_read, video.range_requests
    assert count == 132 * 23
    assert frames == list(range(start, start + 10))
    header = len(large) - large.rindex(b"moov") + 4
    gop = 2 * len(BUNNY) * 25 // 132
    assert fetched <= header + 2 * gop + SLACK
    assert fetched < len(large) / 10
    assert server.bytes_sent <= fetched + SLACK
    assert requests <= 20


@pytest.mark.anyio
async def test_frames_from_the_middle_take_three_requests(server: RunningServer, large: bytes) -> None:
    """The first bytes, the header at the end, the GOPs: each waits for the one before, and nothing else."""
    server.serve("/large.mp4", large)
    async with af.open_video(server.url("/large.mp4")) as video:
        assert video.range_requests == 2
        frames = [frame.index async for frame in video.frames(1500, 1509)]
        assert frames == list(range(1500, 1510))
        assert video.range_requests == 3
        table = await video.frame_table()
        packets = slice(table.start_for(1500), max(map(table.last_packet_for, frames)) + 1)
        needed = BUFFER_BYTES + len(large) - large.rindex(b"moov") + int(table.packets.size[packets].sum())
        assert video.bytes_read <= needed + 64 * 1024
    assert len(server.requests) == 3


@pytest.mark.anyio
async def test_nothing_is_read_ahead_where_that_is_unwanted(server: RunningServer, large: bytes) -> None:
    """A consumer that stops after a frame has fetched what that took; by default some more."""
    server.serve("/large.mp4", large)
    fetched = []
    for read_ahead_bytes in (0, 8 * 1024 * 1024):
        async with af.open_video(server.url("/large.mp4"), read_ahead_bytes=read_ahead_bytes) as video:
            async for frame in video.frames(queue_maxsize=1):
                if frame.index == 60:
                    break
            fetched.append(video.bytes_read)
    assert fetched[0] < 3 * len(BUNNY) / 4 + SLACK
    assert fetched[0] < fetched[1]
    with pytest.raises(ValueError, match="read_ahead_bytes=-1"):
        af.open_video(server.url("/large.mp4"), read_ahead_bytes=-1)


@pytest.mark.anyio
async def test_the_first_frame_needs_no_frame_table(server: RunningServer, large: bytes) -> None:
    """Reading from frame 0 fetches the header and what is decoded, and stops when the consumer stops."""
    server.serve("/large.mp4", large)
    async with af.open_video(server.url("/large.mp4")) as video:
        frames = video.frames(queue_maxsize=4)
        assert (await anext(frames)).index == 0
        await frames.aclose()
        assert video.bytes_read < 1.5 * 1024 * 1024


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_whole_pass_fetches_nothing_twice(server: RunningServer, large: bytes) -> None:
    """A cache far smaller than the file still reads each byte about once."""
    server.serve("/large.mp4", large)
    async with af.open_video(server.url("/large.mp4"), cache_bytes=4 * 1024 * 1024) as video:
        count = 0
        async for _ in video.frames(image_format="gray"):
            count += 1
        assert count == 132 * 23
        assert video.bytes_read <= len(large) * 1.05 + SLACK


@pytest.mark.anyio
async def test_a_server_without_ranges_is_read_forward_once(server: RunningServer) -> None:
    """Frames by index come out of a spool, in one request."""
    server.serve("/clip.mp4", clip_bytes(frames=48), default=Reply(ignore_range=True))
    async with af.open_video(server.url("/clip.mp4")) as video:
        found = [painted_index(frame.image) async for frame in video.frames(indices=[40, 3])]
    assert found == [40, 3]
    assert len(server.requests) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("header_first", [True, False])
async def test_a_body_of_unknown_length(server: RunningServer, header_first: bool) -> None:
    """A chunked answer without ranges: the size is learnt at its end, and frames are exact."""
    clip = clip_bytes(frames=48, faststart=header_first)
    server.serve("/clip.mp4", clip, default=Reply(ignore_range=True, chunked=True))
    async with af.open_video(server.url("/clip.mp4")) as video:
        found = [painted_index(frame.image) async for frame in video.frames(indices=[40, 3])]
        assert [frame.index async for frame in video.frames(45)] == [45, 46, 47]
    assert found == [40, 3]


@pytest.mark.anyio
async def test_a_file_replaced_meanwhile_is_an_error(server: RunningServer, large: bytes) -> None:
    """A new ETag is never mixed with the old bytes."""
    served = server.serve("/large.mp4", large)
    with pytest.raises(errors.SourceChangedError):
        async for index, _ in af.stream_frames(server.url("/large.mp4")):
            if index == 5:
                served.etag = '"v2"'


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=404), errors.SourceNotFoundError),
        (Reply(status=403), errors.SourceAccessError),
        (Reply(body=b"<!DOCTYPE html><html>Log in</html>", ignore_range=True), errors.UnsupportedMediaError),
    ],
)
async def test_what_a_server_answers_instead(
    server: RunningServer, reply: Reply, error: type[Exception]
) -> None:
    """Each answer that is no video is a named error, with the address and without its query."""
    server.serve("/clip.mp4", b"", default=reply)
    with pytest.raises(error) as caught:
        await first_frame(server.url("/clip.mp4?token=secret"))
    assert "secret" not in str(caught.value)
    if error is errors.UnsupportedMediaError:
        assert "web page" in str(caught.value)


@pytest.mark.anyio
async def test_a_refused_connection() -> None:
    """Nobody listening is a ConnectionError of ours."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(errors.SourceUnavailableError):
        await first_frame(HttpSource(f"http://127.0.0.1:{port}/clip.mp4", attempts=2))


@pytest.mark.anyio
async def test_local_things_that_are_no_video(tmp_path: Path) -> None:
    """Each has a named error whose text says what it is."""
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.mp4").write_text("not a video at all, just words " * 40)
    (tmp_path / "sound.mp4").write_bytes(audio_bytes())
    (tmp_path / "secret.mp4").write_bytes(clip_bytes(frames=48))
    (tmp_path / "list.m3u8").write_text(f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/secret.mp4\n#EXT-X-ENDLIST\n")
    (tmp_path / "list.txt").write_text("ffconcat version 1.0\nfile secret.mp4\n")
    cases: list[tuple[str, type[Exception], str]] = [
        ("empty.mp4", errors.UnsupportedMediaError, "empty"),
        ("notes.mp4", errors.UnsupportedMediaError, "recognises"),
        ("sound.mp4", errors.NoVideoStreamError, "audio"),
        ("list.m3u8", errors.UnsupportedMediaError, "playlist"),
        ("list.txt", errors.UnsupportedMediaError, "playlist"),
        ("nowhere.mp4", errors.SourceNotFoundError, "nowhere"),
        (".", errors.SourceAccessError, "directory"),
    ]
    for name, error, text in cases:
        with pytest.raises(error, match=text):
            await first_frame(tmp_path / name)


@pytest.mark.anyio
@pytest.mark.parametrize("kept", [0.5, 0.9])
@pytest.mark.parametrize("faststart", [False, True])
async def test_a_truncated_file_is_an_error(kept: float, faststart: bool) -> None:
    """Without its header it does not open; with it, the frames that are there come before the error."""
    clip = clip_bytes(frames=48, faststart=faststart, width=320, height=240)
    cut = clip[: int(len(clip) * kept)]
    seen = []
    with pytest.raises(errors.MediaError) as caught:
        async for index, image in af.stream_frames(cut):
            assert painted_index(image) == index
            seen.append(index)
    if faststart:
        assert isinstance(caught.value, errors.CorruptMediaError)
        assert seen == list(range(len(seen)))
        assert len(seen) > 10
    else:
        assert isinstance(caught.value, (errors.UnsupportedMediaError, errors.NoVideoStreamError))


@pytest.mark.anyio
async def test_bounds_outside_the_video() -> None:
    """A start or an index past the end says how many frames there are; an end past it clamps."""
    clip = clip_bytes(frames=48)
    for ask in ({"start": 48}, {"start": 5000}, {"indices": [48]}, {"start": -49}):
        with pytest.raises(errors.FrameIndexError, match="48 frames"):
            async for _ in af.stream_frames(clip, **ask):
                pass
    assert [index async for index, _ in af.stream_frames(clip, 45, 5000)] == [45, 46, 47]
    with pytest.raises(ValueError, match="end=4 is before start=5"):
        af.stream_frames(clip, 5, 4)


@pytest.mark.anyio
async def test_limits_are_named_when_they_are_reached(server: RunningServer) -> None:
    """`max_pixels` and `max_read_bytes` refuse, and say which option to raise."""
    server.serve("/bunny.mp4", BUNNY)
    with pytest.raises(errors.UnsupportedMediaError, match="max_pixels"):
        async with af.open_video(BUNNY, max_pixels=640 * 359):
            pass
    with pytest.raises(errors.SourceLimitError):
        async with af.open_video(server.url("/bunny.mp4"), max_read_bytes=200_000) as video:
            async for _ in video.frames():
                pass


@pytest.mark.anyio
async def test_many_videos_over_one_session(server: RunningServer) -> None:
    """A session of the caller's serves many sources and stays open."""
    import aiohttp

    server.serve("/clip.mp4", clip_bytes(frames=48))

    async def last(session: aiohttp.ClientSession) -> int:
        async with af.open_video(HttpSource(server.url("/clip.mp4"), session=session)) as video:
            return painted_index((await video.frame(-1)).image)

    async with aiohttp.ClientSession() as session:
        assert await asyncio.gather(*(last(session) for _ in range(8))) == [47] * 8
        assert not session.closed


@pytest.mark.anyio
@pytest.mark.parametrize("options", [{"movflags": "faststart"}, {}], ids=["first", "last"])
async def test_a_header_is_read_to_its_end_and_no_further(
    server: RunningServer, options: dict[str, str]
) -> None:
    """Listing the frames of an MP4 costs its header, wherever it is, and not what lies beyond."""
    data = repeated(clip_bytes(frames=48, width=320, height=240), 1000, options=options)
    server.serve("/long.mp4", data)
    header = data.index(b"mdat") if options else len(data) - data.rindex(b"moov")
    assert 400_000 < header < len(data) / 10
    async with af.open_video(server.url("/long.mp4")) as video:
        assert await video.count() == 48 * 1000
        assert video.bytes_read < header + 384 * 1024
        assert video.range_requests <= 8


@pytest.mark.anyio
@pytest.mark.parametrize("options", [{"movflags": "faststart"}, {}], ids=["first", "last"])
async def test_a_long_header_is_not_fetched_piece_by_piece(
    server: RunningServer, options: dict[str, str]
) -> None:
    """Each piece that FFmpeg reads would cost a round trip: a few long requests are made instead."""
    data = repeated(clip_bytes(frames=48), 3000, options=options)
    header = data.index(b"mdat") if options else len(data) - data.rindex(b"moov")
    assert 1024 * 1024 < header < 2 * 1024 * 1024
    server.serve("/long.mp4", data)
    async with af.open_video(server.url("/long.mp4")) as video:
        assert video.range_requests <= 5
