"""Segmented and live addresses, opened only where they are asked for as such."""

from __future__ import annotations

import asyncio
import functools
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import asyncframes as af
from asyncframes._media.container.formats import has_demuxer
from asyncframes.abc import StreamSource
from asyncframes.errors import (
    AsyncFramesError,
    ClosedError,
    ShortReadError,
    SourceAccessError,
    SourceAddressError,
    SourceError,
    SourceNotFoundError,
    SourceTimeoutError,
    SourceUnavailableError,
    UnsupportedMediaError,
)
from asyncframes.sources import FFmpegUrlSource, HttpSource, _registry, register_scheme, resolve_source
from asyncframes.writers._manifest import MANIFEST_NAME
from tests.support.servers.web import Reply, RunningServer, retries_at_once
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = pytest.mark.anyio


SEGMENTS, FRAMES = 3, 24
HEAD = "#EXTM3U\n#EXT-X-VERSION:4\n#EXT-X-TARGETDURATION:1\n"
impatient = functools.partial(HttpSource, attempts=1, read_timeout_seconds=0.3)


def segment(number: int) -> bytes:
    start = number * FRAMES
    return clip_bytes(
        frames=FRAMES, container="mpegts", b_frames=0, pts=[start + place for place in range(FRAMES)]
    )


def playlist(*entries: str, live: bool = False) -> bytes:
    lines = "".join(f"#EXTINF:0.96,\n{entry}\n" for entry in entries)
    return (HEAD + lines + ("" if live else "#EXT-X-ENDLIST\n")).encode()


@pytest.fixture
def server(server: RunningServer) -> RunningServer:
    for number in range(SEGMENTS):
        server.serve(f"/{number}.ts", segment(number))
    server.serve("/list.m3u8", playlist("0.ts", "1.ts?sig=hush", "2.ts"))
    return server


async def painted(source: FFmpegUrlSource, *bounds: int) -> list[int]:
    """Read the frames; each segment's show the numbers from 0 on."""
    async with af.open_video(source) as video:
        return [painted_index(frame.image) async for frame in video.frames(*bounds)]


async def test_a_playlist(server: RunningServer) -> None:
    """Every frame of every segment comes, in order, and nothing is opened past the last one asked for."""
    source = FFmpegUrlSource(server.url("/list.m3u8"))
    assert await painted(source) == [*range(FRAMES)] * SEGMENTS
    del server.requests[:]
    assert await painted(FFmpegUrlSource(server.url("/list.m3u8")), 0, 5) == list(range(6))
    assert "/2.ts" not in [request.path for request in server.requests]


async def test_byte_ranges_of_one_file(server: RunningServer) -> None:
    """Segments that are parts of one file are read from where they begin to where they end."""
    parts = [segment(number) for number in range(SEGMENTS)]
    server.serve("/all.ts", b"".join(parts))
    entries, offset = [], 0
    for part in parts:
        entries.append(f"#EXT-X-BYTERANGE:{len(part)}@{offset}\nall.ts")
        offset += len(part)
    server.serve("/ranges.m3u8", playlist(*entries))
    source = FFmpegUrlSource(server.url("/ranges.m3u8"))
    assert await painted(source) == [*range(FRAMES)] * SEGMENTS


@pytest.mark.skipif(has_demuxer("dash"), reason="this build of FFmpeg reads DASH manifests")
async def test_a_dash_manifest_says_what_is_missing(server: RunningServer) -> None:
    """The FFmpeg of PyAV's wheels has no demuxer for it, and the error is clear about that."""
    manifest = b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"></MPD>'
    server.serve("/clip.mpd", manifest)
    with pytest.raises(UnsupportedMediaError, match="DASH"):
        await painted(FFmpegUrlSource(server.url("/clip.mpd")))


async def test_it_is_never_chosen_by_itself(server: RunningServer) -> None:
    """A playlist at a URL is refused as before: nothing further is opened without consent."""
    assert isinstance(resolve_source(server.url("/list.m3u8")), HttpSource)
    with pytest.raises(UnsupportedMediaError, match=r"playlist.*FFmpegUrlSource"):
        async with af.open_video(server.url("/list.m3u8")):
            pass
    assert [request.path for request in server.requests] == ["/list.m3u8"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(status=404), SourceNotFoundError),
        (Reply(status=403), SourceAccessError),
        (Reply(status=503), SourceUnavailableError),
        (Reply(reset_at=-1), SourceUnavailableError),
        (Reply(truncate_at=1000), ShortReadError),
        (Reply(stall_at=1000), SourceTimeoutError),
        (Reply(delay_seconds=10), SourceTimeoutError),
    ],
)
@pytest.mark.parametrize("number", [0, 1, 2])
async def test_a_segment_that_cannot_be_had(
    server: RunningServer, reply: Reply, error: type[AsyncFramesError], number: int
) -> None:
    """FFmpeg would go on without it; here the frames end in the error, and those before are right."""
    server.serve(f"/{number}.ts", segment(number), default=reply)
    seen: list[int] = []
    with pytest.raises(error) as caught:
        async for index, image in af.stream_frames(FFmpegUrlSource(server.url("/list.m3u8"), http=impatient)):
            assert painted_index(image) == index % FRAMES
            seen.append(index)
    assert seen == list(range(len(seen)))
    assert len(seen) <= number * FRAMES
    assert "hush" not in str(caught.value)


async def test_a_passing_failure_is_not_seen(server: RunningServer) -> None:
    """Segments are fetched with retries, and go on where they were cut."""
    server.script("/1.ts", Reply(status=503), Reply(truncate_at=1000))
    with retries_at_once():
        assert await painted(FFmpegUrlSource(server.url("/list.m3u8"))) == [*range(FRAMES)] * SEGMENTS


@pytest.mark.parametrize(
    ("entry", "error"),
    [("file:///etc/passwd", UnsupportedMediaError), ("https://127.0.0.1:1/x.ts", SourceAccessError)],
)
async def test_only_the_protocols_that_are_named(
    server: RunningServer, entry: str, error: type[AsyncFramesError]
) -> None:
    """A playlist leads nowhere else."""
    server.serve("/list.m3u8", playlist("0.ts", entry))
    with pytest.raises(error):
        await painted(FFmpegUrlSource(server.url("/list.m3u8"), protocols=["http"]))


@pytest.mark.parametrize("entry", ["concat:1.ts|2.ts", "rtsp://127.0.0.1/x.ts"])
async def test_an_entry_that_ffmpeg_refuses_is_left_out(server: RunningServer, entry: str) -> None:
    """What is no address of a segment to FFmpeg is opened by nobody."""
    server.serve("/list.m3u8", playlist("0.ts", entry))
    assert await painted(FFmpegUrlSource(server.url("/list.m3u8"))) == list(range(FRAMES))
    assert {request.path for request in server.requests} == {"/list.m3u8", "/0.ts"}


async def test_the_guard_covers_segments(server: RunningServer) -> None:
    """The factory of HTTP sources decides for every address."""
    source = FFmpegUrlSource(
        server.url("/list.m3u8"), http=functools.partial(HttpSource, allow_private=False, attempts=1)
    )
    with pytest.raises(SourceAccessError, match="private"):
        await painted(source)
    assert server.requests == []


async def test_stopping_in_the_middle_of_a_read(server: RunningServer) -> None:
    """Cancelling a reader that waits for a segment is prompt and leaves no task."""
    before = asyncio.all_tasks()
    server.serve("/1.ts", segment(1), default=Reply(stall_at=1000))
    seen: list[int] = []

    async def read() -> None:
        async for index, _ in af.stream_frames(FFmpegUrlSource(server.url("/list.m3u8"))):
            seen.append(index)

    reading = asyncio.create_task(read())
    await asyncio.to_thread(server.wait_for_requests, 3)
    await asyncio.sleep(0.1)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(reading, 5)
    assert asyncio.all_tasks() == before


async def test_a_live_playlist_goes_on(server: RunningServer) -> None:
    """New entries are read as they appear, until the playlist says that it ends."""
    served = server.serve("/list.m3u8", playlist("0.ts", live=True))
    seen = 0
    async for index, _ in af.stream_frames(FFmpegUrlSource(server.url("/list.m3u8"))):
        seen += 1
        if index == 3:
            served.data, served.etag = playlist("0.ts", "1.ts"), '"v2"'
    assert seen == 2 * FRAMES


async def test_what_looks_back_is_refused(server: RunningServer) -> None:
    """There is one pass; what needs another says so."""
    async with af.open_video(FFmpegUrlSource(server.url("/list.m3u8"))) as video:
        for ask in (video.frames(indices=[3]), video.frames(-2)):
            with pytest.raises(SourceError, match="can be read only once"):
                await anext(ask)
        assert [frame.index async for frame in video.frames(0, 2)] == [0, 1, 2]
        with pytest.raises(SourceError, match="can be read only once"):
            await anext(video.frames())


async def test_it_is_no_source_of_bytes() -> None:
    """It has no byte ranges, so it is no `StreamSource` and offers none of its methods."""
    source = FFmpegUrlSource("rtsp://camera/1")
    assert not isinstance(source, StreamSource)
    assert not [name for name in ("size", "validator", "read_range", "local_file") if hasattr(source, name)]
    assert resolve_source(source) is source


async def test_it_is_opened_and_closed_like_any_source(server: RunningServer) -> None:
    """Closing twice is harmless, and a closed one says by name that it is closed."""
    source = FFmpegUrlSource(server.url("/list.m3u8?sig=hush"))
    async with source:
        await source.open()
    await source.aclose()
    with pytest.raises(ClosedError, match=r"list\.m3u8'\) is closed"):
        await source.open()
    with pytest.raises(ClosedError, match="is closed"):
        await painted(source)


async def test_a_scheme_can_be_registered_for_it(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program can open its own playlists by URL; a video of one has read no bytes through a cache."""
    monkeypatch.setattr(_registry, "_factories", dict(_registry._factories))
    register_scheme("playlist", lambda url: FFmpegUrlSource(url.replace("playlist://", "http://")))
    async with af.open_video(server.url("/list.m3u8").replace("http://", "playlist://")) as video:
        assert [frame.index async for frame in video.frames(0, 2)] == [0, 1, 2]
        assert (video.bytes_read, video.range_requests) == (0, 0)


async def test_saved_frames_are_told_by_its_address(server: RunningServer, tmp_path: Path) -> None:
    """The manifest names the address without its query, and neither size nor checksum."""
    address = server.url("/list.m3u8")
    await af.stream_frames_to_dir(FFmpegUrlSource(f"{address}?sig=hush"), tmp_path, end=1)
    manifest = (tmp_path / MANIFEST_NAME).read_text()
    [run] = json.loads(manifest)["runs"]
    assert "hush" not in manifest
    facts = run["facts"]
    assert (facts["source"], facts["size"], facts["validator"]) == (address, None, None)


@pytest.mark.parametrize(
    ("url", "protocols", "error"),
    [
        ("rtsp://user:hush@127.0.0.1:1/x?hush", None, SourceUnavailableError),
        ("rtmp://127.0.0.1:1/hush", None, SourceUnavailableError),
        ("rtmp://127.0.0.1:1/x", ["rtmp"], SourceAccessError),
        ("nonsense://x", ["nonsense"], SourceAccessError),
    ],
)
async def test_other_protocols(url: str, protocols: Any, error: type[AsyncFramesError]) -> None:
    """FFmpeg's own protocols are used where they are allowed; their failures have names and tell nothing."""
    with pytest.raises(error) as caught:
        await painted(FFmpegUrlSource(url, protocols=protocols))
    if "user" in url:
        assert "hush" not in repr(caught.value)
        assert caught.value.__cause__ is None


async def test_a_silent_server_times_out() -> None:
    """A server that takes the connection and says nothing is left after the time allowed."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for scheme in ("rtsp", "rtmp"):
            with pytest.raises(SourceTimeoutError):
                await painted(FFmpegUrlSource(f"{scheme}://127.0.0.1:{port}/x", open_timeout_seconds=0.5))


async def test_an_unknown_scheme_needs_its_protocols() -> None:
    """Without a list nothing is guessed."""
    with pytest.raises(ValueError, match="protocols"):
        FFmpegUrlSource("gopher://x")


@pytest.mark.parametrize(
    "entry", ["http://[bad/1.ts", "http://h:99999/1.ts", "http://a..b/1.ts", "http://" + "a" * 64 + "/1.ts"]
)
async def test_an_entry_that_no_address_is(server: RunningServer, entry: str) -> None:
    """An impossible host or port in a playlist is an error of ours, or the entry is left out by FFmpeg."""
    server.serve("/list.m3u8", playlist("0.ts", entry))
    with suppress(AsyncFramesError):
        assert await painted(FFmpegUrlSource(server.url("/list.m3u8"))) == list(range(FRAMES))


@pytest.mark.parametrize("url", ["http://[bad/a.m3u8", "rtmp://[bad", "gopher://host/a", "", "a.m3u8"])
async def test_an_address_that_cannot_be_opened(url: str) -> None:
    """It is a named error that is a `ValueError` too."""
    with pytest.raises(SourceAddressError) as caught:
        FFmpegUrlSource(url)
    assert isinstance(caught.value, ValueError)
