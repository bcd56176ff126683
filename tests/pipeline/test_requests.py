"""Requests in flight: back-pressure, early ends, failures, memory, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import io
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import av
import pytest
from av.container import InputContainer, OutputContainer
from av.video.frame import VideoFrame

import asyncframes as af
from asyncframes import Frame
from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.pictures import Picture
from asyncframes._requests.decoder_session import DecoderSession
from asyncframes._requests.pump import Pump
from asyncframes.errors import ClosedError, CorruptMediaError, SourceTimeoutError
from asyncframes.sources import MemorySource
from asyncframes.testing import FaultySource
from tests.support.loop import settled_heap
from tests.support.marks import BOTH_ISOLATIONS, grid
from tests.support.servers.web import Reply, RunningServer
from tests.support.streams.clips import clip_bytes, painted_index

pytestmark = [pytest.mark.usefixtures("only_long_streams"), BOTH_ISOLATIONS]

FRAMES = 48


@pytest.fixture
def server(server: RunningServer) -> RunningServer:
    server.serve("/clip.mp4", clip_bytes(frames=FRAMES))
    return server


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip_bytes(frames=FRAMES))
    return path


@pytest.fixture(autouse=True)
def nothing_left(isolation: str) -> Iterator[None]:
    """No file stays open, and no thread but those of the shared executors stays."""
    gc.collect()
    files = open_files()
    threads = set(threading.enumerate())
    yield
    gc.collect()
    assert open_files() <= files
    names = {thread.name.split("_")[0] for thread in set(threading.enumerate()) - threads}
    names -= {"asyncframes workers", "asyncframes read"} if isolation == "process" else set()
    assert names <= {"MainThread", "asyncframes", "asyncio", "Thread-1 (", "test-server"} | {
        name for name in names if name.startswith(("pytest_timeout", "AnyIO"))
    }


@cache
def shipped_clip() -> bytes:
    """The shipped clip, some 600 kB, with its header first."""
    with (
        tempfile.NamedTemporaryFile(suffix=".mp4") as target,
        files("asyncframes.data").joinpath("bunny.mp4").open("rb") as shipped,
        av.open(shipped, "r") as reader,
    ):
        with av.open(target.name, "w", options={"movflags": "+faststart"}) as writer:
            _copy_packets(reader, writer)
        return target.read()


def _copy_packets(reader: InputContainer, writer: OutputContainer) -> None:
    stream = writer.add_stream_from_template(reader.streams.video[0])
    for packet in reader.demux(video=0):
        if packet.size:
            packet.stream = stream
            writer.mux(packet)


def damaged_clip(frame: int, frames: int = FRAMES) -> bytes:
    """A clip in which the packet of a frame, and of no keyframe, is overwritten."""
    clip = clip_bytes(frames=frames, width=320, height=180, options={"qp": "4"}, b_frames=0)
    with av.open(io.BytesIO(clip), "r") as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][frame]
        position, size = packet.pos, packet.size
    assert position is not None
    hole = slice(position + size // 4, position + size)
    return clip[: hole.start] + b"\xff" * (hole.stop - hole.start) + clip[hole.stop :]


def open_files() -> set[str]:
    """Paths of the clips this process has open."""
    targets = {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.is_symlink()}
    return {target for target in targets if target.endswith(".mp4")}


def tasks() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()} - {asyncio.current_task().get_name()}  # type: ignore[union-attr]  # inside a task


@pytest.mark.anyio
async def test_a_slow_consumer_gets_each_frame_once(path: Path) -> None:
    """However long the consumer takes and however small the queue, frames neither repeat nor vanish."""
    seen = []
    async with af.open_video(path) as video:
        async for frame in video.frames(0, 9, queue_maxsize=2):
            seen.append(painted_index(frame.image))
            await asyncio.sleep(0.25 if frame.index in {0, 5} else 0)
    assert seen == list(range(10))


@pytest.mark.anyio
async def test_a_full_queue_holds_no_thread(path: Path) -> None:
    """Many stalled consumers leave the executor to the one that reads."""
    async with af.open_video(path) as video:
        stalled = [video.frames(queue_maxsize=1) for _ in range(20)]
        for frames in stalled:
            assert (await anext(frames)).index == 0
        assert [frame.index async for frame in video.frames()] == list(range(FRAMES))
        for frames in stalled:
            assert (await anext(frames)).index == 1
            await frames.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("taken", [0, 1, 5])
async def test_closing_a_generator_leaves_no_task(path: Path, taken: int) -> None:
    """After `aclose` nothing works for the request, and the video serves on."""
    async with af.open_video(path) as video:
        before = tasks()
        frames = video.frames(queue_maxsize=3)
        for _ in range(taken):
            await anext(frames)
        await frames.aclose()
        assert tasks() == before
        assert (await video.frame(7)).index == 7


@pytest.mark.anyio
async def test_breaking_out_of_stream_frames_closes_the_video(path: Path) -> None:
    """An abandoned generator is finalised by the loop, and its file is closed."""
    async for index, _ in af.stream_frames(path):
        if index == 3:
            break
    gc.collect()
    for _ in range(100):
        if not open_files():
            break
        await asyncio.sleep(0.02)
    assert not open_files()


@pytest.mark.anyio
@pytest.mark.parametrize("delay", grid([0.0, 0.001, 0.01, 0.05], fast=lambda delay: delay in {0.0, 0.01}))
async def test_cancelling_a_consumer_leaves_nothing(path: Path, delay: float) -> None:
    """A cancelled task ends at once, wherever it was, and takes its decode with it.

    Without `aclosing`, it is the event loop that closes a generator, a moment after it was abandoned.
    """

    async def consume() -> None:
        async with aclosing(af.stream_frames(path, queue_maxsize=1)) as frames:
            async for _ in frames:
                await asyncio.sleep(0.005)

    before = tasks()
    task = asyncio.create_task(consume())
    await asyncio.sleep(delay)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tasks() == before
    assert not open_files()


@pytest.mark.anyio
async def test_cancelling_ends_a_stalled_read(server: RunningServer) -> None:
    """A decode thread that waits for bytes is woken by the cancellation, not by its timeout."""
    server.serve("/clip.mp4", clip_bytes(frames=FRAMES), default=Reply(stall_at=0))
    before = tasks()
    task = asyncio.create_task(af.open_video(server.url("/clip.mp4"), read_timeout_seconds=600)._open())
    await asyncio.to_thread(server.wait_for_requests, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert tasks() == before


@pytest.mark.anyio
async def test_closing_the_video_ends_a_stalled_decode(path: Path) -> None:
    """`Video.aclose` wakes a request in mid-read; its consumer sees that the video was closed."""
    clip = shipped_clip()
    source = FaultySource(MemorySource(clip), stall_at=len(clip) * 3 // 4)
    video = await af.open_video(source, read_timeout_seconds=600)
    frames = video.frames()

    async def consume() -> list[int]:
        return [frame.index async for frame in frames]

    consumer = asyncio.create_task(consume())
    await source.stalled.wait()
    await asyncio.wait_for(video.aclose(), 10)
    with pytest.raises(ClosedError):
        await asyncio.wait_for(consumer, 10)


@pytest.mark.anyio
async def test_a_read_that_waits_too_long_is_a_timeout(server: RunningServer) -> None:
    """The decoder's own bound holds where the source would wait longer."""
    server.serve("/clip.mp4", clip_bytes(frames=FRAMES), default=Reply(stall_at=100))
    source = af.sources.HttpSource(server.url("/clip.mp4"), read_timeout_seconds=0.5, attempts=1)
    with pytest.raises(SourceTimeoutError):
        async with af.open_video(source, read_timeout_seconds=1):
            pass


@pytest.mark.anyio
async def test_requests_side_by_side_do_not_mix(path: Path) -> None:
    """Each request has its own decoder; all share the frame table and the cache."""

    async def collect(video: af.Video, indices: list[int]) -> list[int]:
        return [painted_index(frame.image) async for frame in video.frames(indices=indices)]

    asked = [list(range(start, FRAMES, 5)) for start in range(5)]
    async with af.open_video(path) as video, asyncio.TaskGroup() as group:
        running = [group.create_task(collect(video, indices)) for indices in asked]
    assert [task.result() for task in running] == asked


@pytest.mark.anyio
async def test_a_closed_video_says_so(path: Path) -> None:
    """Every request after `aclose` is a ClosedError; closing again does nothing."""
    video = await af.open_video(path)
    await video.aclose()
    await video.aclose()
    for request in (video.count(), video.frame(0), anext(video.frames())):
        with pytest.raises(ClosedError, match="closed"):
            await request


@pytest.mark.anyio
async def test_at_most_the_queue_and_one_frame_exist(path: Path) -> None:
    """Frames made and not yet taken never number more than ``queue_maxsize + 1``."""
    async with af.open_video(path) as video:
        frames = video.frames(queue_maxsize=4)
        with settled_heap():
            async for frame in frames:
                await asyncio.sleep(0.01)
                waiting = [thing is not frame for thing in gc.get_objects() if isinstance(thing, Frame)]
                assert sum(waiting) <= 5


@pytest.mark.anyio
async def test_damage_is_raised_left_out_or_kept_as_asked(caplog: pytest.LogCaptureFixture) -> None:
    """A frame that does not decode is reported with its index, and never silently missing."""
    clip = damaged_clip(frame=20)
    seen = []
    with pytest.raises(CorruptMediaError, match="frame 20 is damaged") as caught:
        async for index, _ in af.stream_frames(clip):
            seen.append(index)
    assert seen == list(range(20))
    assert caught.value.index == 20
    left = [index async for index, _ in af.stream_frames(clip, on_corrupt="skip")]
    assert "is damaged" in caplog.text
    async with af.open_video(clip, on_corrupt="keep") as video:
        kept = [frame async for frame in video.frames()]
    assert [frame.index for frame in kept] == list(range(len(kept)))
    assert left == [frame.index for frame in kept if not frame.is_corrupt]


@pytest.mark.anyio
async def test_damage_elsewhere_does_not_matter() -> None:
    """Frames of whole GOPs are given; one on whose way damage lies is an error that names it."""
    async with af.open_video(damaged_clip(frame=20)) as video:
        assert [frame.index async for frame in video.frames(indices=[40, 3])] == [40, 3]
        with pytest.raises(CorruptMediaError, match="is damaged"):
            await video.frame(23)


@pytest.mark.anyio
@pytest.mark.parametrize("selection", [{}, {"indices": range(0, 48, 2)}])
async def test_frames_left_out_are_counted_in_one_line_of_the_log(
    selection: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """However many frames of a request are damaged, the log has one line: their number, and the first."""
    clip = bytearray(clip_bytes(frames=48, b_frames=0, gop=1, codec="mpeg4"))
    with av.open(io.BytesIO(clip), "r") as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    for packet in packets[10:20]:
        assert packet.pos is not None
        clip[packet.pos + 20 : packet.pos + packet.size] = bytes(packet.size - 20)
    asked = list(selection.get("indices", range(48)))
    async with af.open_video(bytes(clip), on_corrupt="skip") as video:
        left = [frame.index async for frame in video.frames(**selection)]
    damaged = [index for index in asked if index not in left]
    assert len(damaged) > 1
    [record] = [record for record in caplog.records if record.name == "asyncframes"]
    assert f"frame {damaged[0]} is damaged" in record.getMessage()
    assert f"{len(damaged)} such frames were left out" in record.getMessage()


@pytest.mark.anyio
async def test_pictures_that_nobody_wants_are_left_out_within_the_first_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once some pictures came out as the table says, those that no other refers to are not decoded."""
    came: list[int] = []
    picture = Decoder._picture

    def counted(self: Decoder, number: int, frame: VideoFrame) -> Picture:
        came.append(number)
        return picture(self, number, frame)

    monkeypatch.setattr(Decoder, "_picture", counted)
    async with af.open_video(clip_bytes(frames=97, gop=96)) as video:
        came.clear()
        assert painted_index((await video.frame(90)).image) == 90
    # One of two B-frames refers to the other.
    assert len(came) < 70


@pytest.mark.in_threads
@pytest.mark.anyio
async def test_single_frames_are_decoded_by_the_decoder_that_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To open another costs more than a frame: one request leaves it to the next."""
    opened: list[DecoderSession] = []
    open_decoder, deliver = DecoderSession._opened_decoder, Pump._deliver

    def counted(self: DecoderSession) -> Decoder:
        opened.append(self)
        return open_decoder(self)

    def deliver_and_go_on(self: Pump, frames: list[Frame], ends_step: bool) -> None:
        deliver(self, frames, False)
        time.sleep(0.02)

    monkeypatch.setattr(DecoderSession, "_opened_decoder", counted)
    monkeypatch.setattr(Pump, "_deliver", deliver_and_go_on)
    async with af.open_video(clip_bytes(frames=FRAMES)) as video:
        for index in (5, 0, 40, 41):
            assert (await video.frame(index)).index == index
    assert len(opened) == 1
