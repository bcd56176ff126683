"""Bytes that are still arriving: frames while they come, and what becomes of a sender that fails."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import av
import httpx
import pytest
from aiohttp import web

import asyncframes as af
from asyncframes._media.container import opening
from asyncframes.errors import (
    ClosedError,
    CorruptMediaError,
    FrameIndexError,
    MediaError,
    SourceError,
    SourceLimitError,
    SourceTimeoutError,
    SourceUnavailableError,
    UnsupportedMediaError,
)
from asyncframes.sources import ForwardSource, resolve_source
from asyncframes.sources._http import pace
from tests.support.exact.one_thread import digest
from tests.support.marks import BOTH_ISOLATIONS, grid
from tests.support.memory import PEAK
from tests.support.streams.clips import clip_bytes, painted_index
from tests.support.streams.hostile import box

pytestmark = BOTH_ISOLATIONS

FRAMES = 48
ALL = list(range(FRAMES))


class Sender:
    """Sends bytes in pieces and notes how far it was asked to."""

    def __init__(self, data: bytes, *, piece: int = 1000, error: Exception | None = None) -> None:
        self._data = data
        self._piece = piece
        self._error = error
        self.sent = 0
        self.ended = False
        self.stall_at: int | None = None
        self.stalled = asyncio.Event()
        self.released = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while self.sent < len(self._data):
                if self.stall_at is not None and self.sent >= self.stall_at:
                    self.stalled.set()
                    await self.released.wait()
                piece = self._data[self.sent : self.sent + self._piece]
                self.sent += len(piece)
                yield piece
            if self._error is not None:
                raise self._error
        finally:
            self.ended = True


async def painted(source: Any, *args: Any, **selection: Any) -> list[int]:
    async with af.open_video(source) as video:
        return [painted_index(frame.image) async for frame in video.frames(*args, **selection)]


CONTAINERS: dict[str, dict[str, Any]] = {
    "fragmented mp4": {"fragmented": True},
    "mp4, header first": {"faststart": True, "audio": True},
    "mkv": {"container": "matroska"},
    "webm": {"container": "webm", "codec": "libvpx-vp9"},
    "ts": {"container": "mpegts", "audio": True},
    "flv": {"container": "flv", "b_frames": 0},
    "avi": {"container": "avi", "codec": "mpeg4", "b_frames": 0},
    "h264": {"container": "h264"},
}


COMMON = ["fragmented mp4", "mp4, header first", "mkv", "ts"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("container", "piece"),
    grid(CONTAINERS, [333, 10_000_000], fast=lambda container, piece: piece == 333 or "mp4" in container),
)
async def test_frames_come_in_order(container: str, piece: int) -> None:
    """However small the pieces are, every frame comes, and ranges are those of a file."""
    clip = clip_bytes(frames=FRAMES, **CONTAINERS[container])
    assert await painted(Sender(clip, piece=piece)) == ALL
    assert await painted(Sender(clip, piece=piece), 5, 40, 7) == [5, 12, 19, 26, 33, 40]


@pytest.mark.anyio
@pytest.mark.parametrize("container", grid(COMMON, fast=lambda container: "mp4" in container))
async def test_frames_come_while_bytes_come_in(container: str) -> None:
    """The first frames are there long before the last byte, and nobody asks for more meanwhile."""
    options = CONTAINERS[container]
    clip = clip_bytes(frames=400, width=320, height=240, b_frames=0, **options | {"audio": False})
    sender = Sender(clip, piece=2000)
    async with af.open_video(sender, threads=1) as video:
        frames = video.frames(queue_maxsize=1)
        assert painted_index((await anext(frames)).image) == 0
        first = sender.sent
        await asyncio.sleep(0.2)
        waiting = sender.sent
        assert painted_index((await anext(frames)).image) == 1
        await frames.aclose()
    assert first < len(clip) * 0.75
    assert waiting < len(clip) * 0.8
    assert sender.ended


@pytest.mark.anyio
async def test_a_stalled_sender_does_not_hold_back_whole_frames() -> None:
    """What can be decoded of the bytes that have come is there before more come: the sender waits for it."""
    clip = clip_bytes(frames=150, width=320, height=240, b_frames=0, container="mpegts")
    sender = Sender(clip, piece=4000)
    sender.stall_at = len(clip) // 2
    async with af.open_video(sender, threads=1) as video:
        async for frame in video.frames():
            assert painted_index(frame.image) == frame.index
            if frame.index == 50:
                assert not sender.released.is_set()
                sender.released.set()
        assert frame.index == 149


@pytest.mark.anyio
async def test_a_silent_sender_times_out() -> None:
    """The wait for bytes is bounded, and the frames before it are there."""
    clip = clip_bytes(frames=400, container="mpegts")
    sender = Sender(clip)
    sender.stall_at = len(clip) // 2
    seen = 0
    async with af.open_video(sender, read_timeout_seconds=0.5) as video:
        with pytest.raises(SourceTimeoutError):
            async for _ in video.frames():
                seen += 1
    assert seen > 100


@pytest.mark.anyio
@pytest.mark.parametrize(("container", "b_frames"), grid(COMMON, [0, 2], fast=lambda _, b_frames: b_frames))
async def test_a_sender_that_fails(container: str, b_frames: int) -> None:
    """The whole frames that came are yielded, in order and each the right one, and then the error."""
    options = CONTAINERS[container] | {"b_frames": b_frames}
    clip = clip_bytes(frames=200, **options)
    broken = Sender(clip[: len(clip) * 3 // 4], error=ConnectionResetError("peer"))
    seen = []
    with pytest.raises(SourceUnavailableError, match="ConnectionResetError") as caught:
        async for index, image in af.stream_frames(broken):
            assert painted_index(image) == index
            seen.append(index)
    assert seen == list(range(len(seen)))
    assert len(seen) > 100
    assert isinstance(caught.value.__cause__, ConnectionResetError)


@pytest.mark.anyio
@pytest.mark.parametrize("container", ["fragmented mp4", "mp4, header first", "flv"])
async def test_an_end_in_the_middle_is_an_error(container: str) -> None:
    """A stream that ends where its container goes on gives the frames before, and says so."""
    clip = clip_bytes(frames=200, **CONTAINERS[container] | {"audio": False})
    seen = []
    with pytest.raises(MediaError) as caught:
        async for index, image in af.stream_frames(Sender(clip[: len(clip) * 3 // 4])):
            assert painted_index(image) == index
            seen.append(index)
    assert isinstance(caught.value, CorruptMediaError)
    assert seen == list(range(len(seen)))
    assert len(seen) > 100


@pytest.mark.anyio
async def test_a_start_past_the_end() -> None:
    """A range that begins past the last frame says how many there were."""
    with pytest.raises(FrameIndexError, match="48 frames"):
        await painted(Sender(clip_bytes(frames=FRAMES, container="mpegts")), 48)


@pytest.mark.anyio
async def test_a_header_that_comes_last_is_spooled(caplog: pytest.LogCaptureFixture) -> None:
    """An MP4 whose header comes last is kept on disk, says so, and then serves anything."""
    with caplog.at_level(logging.INFO, "asyncframes"):
        async with af.open_video(Sender(clip_bytes(frames=FRAMES))) as video:
            assert [painted_index(f.image) async for f in video.frames()] == ALL
            assert [painted_index(f.image) async for f in video.frames(indices=[40, 3])] == [40, 3]
            assert await video.count() == FRAMES
    assert "temporary file" in caplog.text


def too_many_samples(faststart: bool) -> bytes:
    """Return an MP4 whose header lists 50 million samples."""
    data = bytearray(clip_bytes(frames=8, faststart=faststart))
    place = data.index(b"stsz") + 8
    data[place : place + 8] = (1).to_bytes(4, "big") + (50_000_000).to_bytes(4, "big")
    return bytes(data)


def too_many_items() -> bytes:
    """Return an MP4 with a list of 134 million items in front."""
    clip = clip_bytes(frames=8, faststart=True)
    items = box(b"meta", bytes(4) + box(b"iinf", b"\1\0\0\0" + b"\x08\0\0\0"))
    place = clip.index(b"moov") - 4
    return clip[:place] + items + clip[place:]


@pytest.mark.anyio
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(too_many_samples(True), id="samples"),
        pytest.param(too_many_samples(False), id="samples behind the media"),
        pytest.param(too_many_items(), id="items"),
    ],
)
async def test_what_a_header_claims_is_checked_before_ffmpeg_reads_it(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFmpeg would take gigabytes for it, whether the size of the file is known or not."""
    opened = []
    monkeypatch.setattr(opening, "open_input", lambda *_, **__: opened.append(True))
    with pytest.raises(UnsupportedMediaError, match="the header lists"):
        await painted(Sender(data))
    assert not opened


@pytest.mark.anyio
async def test_packets_that_do_not_lie_in_order_are_spooled(caplog: pytest.LogCaptureFixture) -> None:
    """Without seeking FFmpeg would stop at the first that begins before the last one ended."""
    data = bytearray(clip_bytes(frames=900, faststart=True, audio=True, b_frames=0, gop=12))
    with av.open(io.BytesIO(data), "r") as container:
        packets = [(entry.pos, entry.size) for entry in container.streams.video[0].index_entries]
    last = next(i for i in range(20, len(packets)) if packets[i + 1][0] > sum(packets[i]))
    place = data.index(b"stsz") + 16 + 4 * last
    data[place : place + 4] = (packets[last + 1][0] - packets[last][0] + 70_000).to_bytes(4, "big")
    frames = {}
    with caplog.at_level(logging.INFO, "asyncframes"):
        for source in (Sender(bytes(data)), bytes(data)):
            async with af.open_video(source, on_corrupt="keep") as video:
                frames[type(source)] = [digest(frame.image) async for frame in video.frames()]
    assert frames[Sender] == frames[bytes]
    assert "is stored in a temporary file" in caplog.text


@pytest.mark.anyio
async def test_what_is_kept_is_bounded() -> None:
    """More bytes than may be kept are an error."""
    clip = clip_bytes(frames=FRAMES)
    with pytest.raises(SourceLimitError):
        await painted(ForwardSource(Sender(clip), max_spool_bytes=len(clip) - 1))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"indices": [40, 3, 3]}, [40, 3, 3]),
        ({"start": -3}, [45, 46, 47]),
        ({"keyframes": True}, [0, 12, 24, 36]),
        ({"fps": 5}, list(range(0, FRAMES, 5))),
    ],
)
async def test_what_needs_a_table_is_spooled(
    selection: dict[str, Any], expected: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    """A first request that looks back gets its frames, from a temporary file."""
    with caplog.at_level(logging.INFO, "asyncframes"):
        clip = clip_bytes(frames=FRAMES, container="mpegts")
        assert await painted(Sender(clip), **selection) == expected
    assert "frame table" in caplog.text


@pytest.mark.anyio
async def test_bytes_that_have_passed() -> None:
    """After one range nothing else can be asked for, unless everything is kept."""
    clip = clip_bytes(frames=FRAMES, container="mpegts")
    async with af.open_video(Sender(clip)) as video:
        assert [frame.index async for frame in video.frames(0, 5)] == list(range(6))
        for again in (video.frames(), video.frames(indices=[3])):
            with pytest.raises(SourceError, match="keep=True"):
                await anext(again)
    async with af.open_video(ForwardSource(Sender(clip), keep=True)) as video:
        for selection in ({"start": 0, "end": 5}, {"indices": [40, 3]}, {}):
            found = [painted_index(frame.image) async for frame in video.frames(**selection)]
            assert found == {0: ALL, 1: [40, 3], 2: list(range(6))}[len(selection)]


@pytest.mark.anyio
async def test_all_is_received_before_a_video_is_opened() -> None:
    """Then every request can be made, and no decoder waits for the sender."""
    clip = clip_bytes(frames=FRAMES)
    sender = Sender(clip)
    async with ForwardSource(sender) as source:
        assert await source.receive() == len(clip)
        assert sender.ended
        assert await source.receive() == len(clip)
        async with af.open_video(source) as video:
            for selection, expected in (({"start": 7, "end": 9}, [7, 8, 9]), ({"indices": [40, 3]}, [40, 3])):
                frames = video.frames(**selection)
                assert [painted_index(frame.image) async for frame in frames] == expected


@pytest.mark.anyio
async def test_receiving_keeps_to_a_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its limits on size and pace hold, and errors of the sender come as they are."""
    clip = clip_bytes(frames=FRAMES)
    monkeypatch.setattr(pace, "POLICY_WINDOW_SECONDS", 0.3)
    for sender, policy, limit in (
        (Sender(clip), af.Policy(max_source_bytes=len(clip) - 1), "max_source_bytes"),
        (Sender(clip), af.Policy(min_bytes_per_second=1024), "min_bytes_per_second"),
    ):
        sender.stall_at = 500 if limit == "min_bytes_per_second" else None
        async with ForwardSource(sender) as source:
            with pytest.raises(SourceLimitError) as caught:
                await source.receive(policy)
            assert caught.value.limit == limit
    async with ForwardSource(Sender(clip, error=ConnectionAbortedError())) as source:
        with pytest.raises(SourceUnavailableError):
            await source.receive()


@pytest.mark.anyio
async def test_two_ranges_side_by_side() -> None:
    """The second of two requests cannot have what the first one used up."""
    clip = clip_bytes(frames=400, container="mpegts")
    async with af.open_video(Sender(clip)) as video:
        first, second = video.frames(queue_maxsize=1), video.frames()
        assert (await anext(first)).index == 0
        with pytest.raises(SourceError, match=r"bytes before \d+ are gone"):
            await anext(second)
        assert [frame.index async for frame in first] == list(range(1, 400))


@pytest.mark.anyio
async def test_closing_while_the_sender_stalls() -> None:
    """Closing is prompt, ends the generator, and leaves no task."""
    clip = clip_bytes(frames=400, container="mpegts")
    sender = Sender(clip)
    sender.stall_at = len(clip) // 2
    before = asyncio.all_tasks()
    async with af.open_video(sender) as video:
        reading = asyncio.create_task(_drain(video))
        await sender.stalled.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert sender.ended
    assert asyncio.all_tasks() == before


async def _drain(video: af.Video) -> None:
    async for _ in video.frames():
        pass


@pytest.mark.anyio
async def test_a_cancelled_reader_loses_no_bytes() -> None:
    """A read that gives up leaves the sender as it was: the next one goes on."""
    gate = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"0123"
        await gate.wait()
        yield b"456789"

    source = ForwardSource(slow(), keep=True)
    async with source:
        assert await source.read_range(0, 4) == b"0123"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(source.read_range(4, 8), 0.05)
        gate.set()
        assert await source.read_range(2, 8) == b"234567"
        assert await source.read_range(8, 20) == b"89"
        assert source.size == 10
    with pytest.raises(ClosedError):
        await source.read_range(0, 1)


@pytest.mark.anyio
async def test_a_stream_reader() -> None:
    """An `asyncio.StreamReader` is read in pieces, not in lines."""
    clip = clip_bytes(frames=FRAMES, container="mpegts")

    async def send(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(clip)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(send, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        assert await painted(reader) == ALL
        writer.close()


@pytest.mark.anyio
@pytest.mark.parametrize("buffering", [0, -1])
async def test_a_pipe(buffering: int) -> None:
    """A pipe is read as it fills, and no thread waits in it."""
    clip = clip_bytes(frames=FRAMES, container="mpegts")
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering) as pipe, os.fdopen(writer, "wb") as sink:

        def write() -> None:
            sink.write(clip)
            sink.close()

        thread = threading.Thread(target=write)
        thread.start()
        assert await painted(pipe) == ALL
        thread.join()


@pytest.mark.anyio
async def test_a_pipe_that_stays_silent() -> None:
    """Closing does not wait for somebody to write."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe, os.fdopen(writer, "wb"):
        source = ForwardSource(pipe)
        await source.open()
        reading = asyncio.create_task(source.read_some(0, 1))
        await asyncio.sleep(0.01)
        await source.aclose()
        with pytest.raises(ClosedError):
            await reading


class _Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False


@pytest.mark.anyio
async def test_a_file_object_that_cannot_seek() -> None:
    """What only reads is read in threads."""
    assert await painted(_Unseekable(clip_bytes(frames=FRAMES, container="mpegts"))) == ALL


class Body:
    """A generator of bytes that blocks, and the threads that ran it."""

    def __init__(self, data: bytes) -> None:
        self.threads: set[int] = set()
        self.is_closed = False
        self.begins = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._data = data

    def pieces(self) -> Iterator[bytes]:
        try:
            for start in range(0, len(self._data), 5000):
                self.threads.add(threading.get_ident())
                self.begins.set()
                self.may_go_on.wait()
                yield self._data[start : start + 5000]
        finally:
            self.is_closed = True


@pytest.mark.anyio
async def test_an_iterator_is_read_in_threads() -> None:
    """The body of a response is one. A generator is closed, as an asynchronous one is."""
    body = Body(clip_bytes(frames=FRAMES, container="mpegts"))
    assert await painted(body.pieces()) == ALL
    assert threading.get_ident() not in body.threads
    assert body.is_closed

    early = Body(clip_bytes(frames=FRAMES, container="mpegts"))
    async with ForwardSource(early.pieces()) as source:
        assert await source.read_some(0, 1)
    assert early.is_closed


@pytest.mark.anyio
async def test_closing_does_not_wait_for_an_iterator() -> None:
    """A thread cannot be stopped, and its generator not be closed."""
    body = Body(bytes(20_000))
    body.may_go_on.clear()
    source = ForwardSource(body.pieces())
    await source.open()
    reading = asyncio.create_task(source.read_some(0, 1))
    await asyncio.to_thread(body.begins.wait)
    async with asyncio.timeout(1):
        await source.aclose()
    with pytest.raises(ClosedError):
        await reading
    body.may_go_on.set()


async def _letters() -> AsyncIterator[Any]:
    yield "text"


@pytest.mark.anyio
async def test_streams_of_something_else() -> None:
    """Text is a wrong type, wherever it shows."""
    with pytest.raises(TypeError, match="str"):
        await painted(_letters())
    with pytest.raises(TypeError, match="binary"):
        ForwardSource(io.StringIO("text"))  # type: ignore[arg-type]  # that is the mistake
    with pytest.raises(TypeError, match="int"):
        ForwardSource(42)  # type: ignore[arg-type]  # that is the mistake
    with pytest.raises(TypeError, match="str"):
        await painted(iter(["text"]))
    with pytest.raises(TypeError, match=r"Response, whose read\(\) takes no size: pass its content"):
        ForwardSource(httpx.Response(200))  # type: ignore[arg-type]  # that is the mistake
    with pytest.raises(TypeError, match=r"ClientResponse, whose read\(\) takes no size"):
        resolve_source(aiohttp.ClientResponse.__new__(aiohttp.ClientResponse))  # type: ignore[arg-type]  # that is the mistake
    assert isinstance(resolve_source(_letters()), ForwardSource)


@pytest.mark.anyio
async def test_the_body_of_a_request() -> None:
    """A server decodes an upload while it comes in: the sender sends the rest when it has seen a frame."""
    clip = clip_bytes(frames=400, width=320, height=240, container="mpegts")
    sender = Sender(clip, piece=4096)
    sender.stall_at = len(clip) // 2

    async def upload(request: web.Request) -> web.Response:
        count = 0
        async for index, image in af.stream_frames(request.content):
            sender.released.set()
            assert painted_index(image) == index
            count += 1
        return web.Response(text=str(count))

    app = web.Application(client_max_size=0)
    app.router.add_post("/", upload)
    async with (
        _running(app) as url,
        aiohttp.ClientSession() as session,
        session.post(url, data=aiter(sender)) as response,
    ):
        assert await response.text() == "400"


@contextlib.asynccontextmanager
async def _running(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


GIGABYTE = """
import asyncio, io
from fractions import Fraction
from importlib.resources import files
import av
import asyncframes as af

NULL = b"\\x47\\x1f\\xff\\x10" + bytes(184)
TOTAL = 1_000_000_000

class Sink:
    def __init__(self): self.data = bytearray()
    def write(self, data): self.data += data

def packets():
    clip = files("asyncframes.data").joinpath("bunny.mp4").read_bytes()
    with av.open(io.BytesIO(clip)) as reader:
        stream = reader.streams.video[0]
        kept = [(bytes(p), p.pts, p.dts, p.is_keyframe) for p in reader.demux(stream) if p.size]
        yield stream
        turn = 0
        while True:
            for data, pts, dts, key in kept:
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.is_keyframe = pts + turn, dts + turn, key
                packet.time_base = stream.time_base
                yield packet
            turn += stream.duration

async def upload():
    source, sink, sent = packets(), Sink(), 0
    padding = NULL * 2000
    with av.open(sink, "w", format="mpegts") as writer:
        stream = writer.add_stream_from_template(next(source))
        while sent < TOTAL:
            packet = next(source)
            packet.stream = stream
            writer.mux(packet)
            piece, sink.data[:] = bytes(sink.data) + padding, b""
            sent += len(piece)
            yield piece
    yield bytes(sink.data)

async def main():
    count = before = 0
    async for index, image in af.stream_frames(upload(), image_format="gray", threads=1):
        count += 1
        if count == 100:
            before = peak()
    print(count, (peak() - before) // 1024)

asyncio.run(main())
"""


@pytest.mark.slow
def test_memory_is_flat_over_a_gigabyte() -> None:
    """An upload of 1 GB decodes in no more memory than its first 40 MB."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK + GIGABYTE], capture_output=True, text=True, check=True, timeout=58
    )
    count, grown_kilobytes = map(int, done.stdout.split())
    assert count > 2000
    assert grown_kilobytes < 16 * 1024


def test_the_command_line_reads_standard_input(tmp_path: Any) -> None:
    """``cat x.ts | asyncframes extract - out`` writes the frames."""
    clip = clip_bytes(frames=FRAMES, container="mpegts")
    done = subprocess.run(
        [sys.executable, "-m", "asyncframes", "extract", "-", str(tmp_path / "out"), "--end", "3"],
        input=clip,
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert b"4 frames" in done.stdout
    assert len(list((tmp_path / "out").glob("frame_*"))) == 4
