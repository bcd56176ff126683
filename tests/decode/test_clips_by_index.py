"""Frames that name themselves, by every way to ask for them, from every kind of source."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import asyncframes as af
from asyncframes.errors import FrameIndexError
from tests.support.marks import BOTH_ISOLATIONS, examples
from tests.support.servers.web import RunningServer
from tests.support.streams.clips import clip_bytes, paint, painted_index

pytestmark = [pytest.mark.usefixtures("only_long_streams"), BOTH_ISOLATIONS]

FRAMES = 48
CLIPS: dict[str, dict[str, Any]] = {
    "header last": {},
    "faststart": {"faststart": True},
    "fragmented": {"fragmented": True},
    "open GOP": {"open_gop": True},
    "with audio": {"audio": True},
    "intra only": {"gop": 1, "b_frames": 0},
    "one GOP": {"gop": 250},
    "late and uneven times": {"pts": [7 + index + index * index // 9 for index in range(FRAMES)]},
    "HEVC open GOP": {"codec": "libx265", "open_gop": True, "width": 128, "height": 96},
    "VP9 in MP4": {"codec": "libvpx-vp9", "b_frames": 0},
    "AV1": {"codec": "libsvtav1", "width": 128, "height": 96},
    "Matroska": {"container": "matroska"},
    "WebM VP8": {"container": "webm", "codec": "libvpx"},
    "MPEG-TS": {"container": "mpegts"},
    "MPEG-2 in TS": {"container": "mpegts", "codec": "mpeg2video"},
    "AVI": {"container": "avi", "codec": "mpeg4", "b_frames": 0},
    "FLV": {"container": "flv"},
    "raw H.264": {"container": "h264"},
}


def clip(kind: str = "header last") -> bytes:
    return clip_bytes(frames=FRAMES, **CLIPS[kind])


async def indices_of(frames: AsyncIterator[af.Frame]) -> list[int]:
    """Read the painted index of each frame, and check that the frame claims the same."""
    found = []
    async for frame in frames:
        assert painted_index(frame.image) == frame.index
        found.append(frame.index)
    return found


@pytest.fixture
def server(server: RunningServer) -> RunningServer:
    server.serve("/clip.mp4", clip())
    return server


@asynccontextmanager
async def opened(kind: str, tmp_path: Path, server: RunningServer) -> AsyncIterator[af.Video]:
    """Open the same clip from one kind of source."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip())
    with path.open("rb") as file:
        sources: dict[str, Any] = {
            "path": path,
            "text": str(path),
            "file url": path.as_uri(),
            "bytes": clip(),
            "memoryview": memoryview(clip()),
            "file object": file,
            "buffer": io.BytesIO(clip()),
            "http": server.url("/clip.mp4"),
        }
        async with af.open_video(sources[kind]) as video:
            yield video


@pytest.mark.anyio
@pytest.mark.parametrize(
    "kind", ["path", "text", "file url", "bytes", "memoryview", "file object", "buffer", "http"]
)
async def test_every_source_gives_the_same_frames(kind: str, tmp_path: Path, server: RunningServer) -> None:
    """Order, repeats and negative indices hold wherever the bytes lie."""
    async with opened(kind, tmp_path, server) as video:
        assert await video.count() == FRAMES
        assert await indices_of(video.frames(indices=[30, 7, 7, -1, 12, 11])) == [30, 7, 7, 47, 12, 11]
        assert await indices_of(video.frames(40)) == list(range(40, 48))
        assert await indices_of(video.frames()) == list(range(48))


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("kind", CLIPS)
async def test_every_container_gives_every_frame(kind: str) -> None:
    """Backwards is the hardest order: each frame needs its GOP, and none may be another's."""
    async with af.open_video(clip(kind)) as video:
        assert await video.count() == FRAMES
        assert await indices_of(video.frames(indices=range(FRAMES - 1, -1, -1))) == list(range(FRAMES))[::-1]
        assert await indices_of(video.frames(5, 40, 7)) == [5, 12, 19, 26, 33, 40]
        for index in (0, 11, 12, 13, 47):
            assert painted_index((await video.frame(index)).image) == index


@pytest.mark.anyio
@settings(
    max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(indices=st.lists(st.integers(-FRAMES, FRAMES - 1), max_size=40), reorder_frames=st.integers(0, 5))
async def test_any_list_of_indices_is_the_same_picks_from_a_sequential_decode(
    indices: list[int], reorder_frames: int
) -> None:
    """Also where hardly any frame may be kept until its turn."""
    async with af.open_video(clip(), reorder_bytes=reorder_frames * 96 * 64 * 3) as video:
        assert await indices_of(video.frames(indices=indices)) == [index % FRAMES for index in indices]


@pytest.mark.anyio
async def test_a_repeated_frame_is_its_owners() -> None:
    """Writing into one frame changes no other, not even the same frame asked for again."""
    async with af.open_video(clip()) as video:
        first, second = [frame async for frame in video.frames(indices=[9, 9])]
        first.image[:] = 0
        assert painted_index(second.image) == 9


@pytest.mark.anyio
async def test_each_gop_is_decoded_once() -> None:
    """A scattered request feeds the decoder no packet twice."""
    fed = []
    asked = [47, 0, 30, 1, 31, 13, 46, 12]
    async with af.open_video(clip(), packet_progress=lambda phase, _total: fed.append(phase)) as video:
        await video.count()
        fed.clear()
        assert await indices_of(video.frames(indices=asked)) == asked
    assert fed.count("decode") <= FRAMES


@pytest.mark.anyio
async def test_selections_by_time_rate_and_keyframe() -> None:
    """Times name the frame shown then, fps the frame at each tick, keyframes the starts of GOPs."""
    async with af.open_video(clip()) as video:
        frames = [frame async for frame in video.frames()]
        seconds = [frame.pts_seconds or 0.0 for frame in frames]
        assert await indices_of(video.frames(times=reversed(seconds))) == list(range(FRAMES))[::-1]
        assert (await video.frame_at(seconds[20] + 0.039)).index == 20
        assert await indices_of(video.frames(fps=5)) == list(range(0, FRAMES, 5))
        assert await indices_of(video.frames(keyframes=True)) == [0, 12, 24, 36]
        assert (await video.indices(fps=5)).tolist() == list(range(0, FRAMES, 5))
        with pytest.raises(FrameIndexError, match="is shown from"):
            await video.frame_at(100)


@pytest.mark.anyio
async def test_packets_in_scattered_sectors_are_read_whole() -> None:
    """A position in WTV is no place in the file: a seek to it would give a part of another packet."""
    written = clip_bytes(
        frames=FRAMES, container="wtv", codec="asv1", gop=1, b_frames=0, width=176, height=144
    )
    async with af.open_video(written) as video:
        sequence = [frame.image async for frame in video.frames()]
    async with af.open_video(written) as video:
        for index in (30, 31, 32, 33, 10, 11, 12, 13, FRAMES - 1):
            np.testing.assert_array_equal((await video.frame(index)).image, sequence[index])


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("image_format", "shape"), [("rgb24", (3,)), ("bgr24", (3,)), ("rgba", (4,)), ("gray", ())]
)
async def test_image_formats(image_format: Any, shape: tuple[int, ...]) -> None:
    """Each layout has its shape, is contiguous and writable, and shows the colours painted."""
    clip = clip_bytes(frames=2, codec="libx264rgb", pixel_format="rgb24", b_frames=0, options={"qp": "0"})
    async with af.open_video(clip) as video:
        frame = await video.frame(1, image_format=image_format)
    painted = paint(1, 96, 64)
    assert frame.image.shape == (64, 96, *shape)
    assert frame.image.flags.c_contiguous
    assert frame.image.flags.writeable
    if image_format == "gray":
        assert painted_index(frame.image) == 1
    else:
        colours = frame.image[..., :3][..., :: -1 if image_format == "bgr24" else 1]
        assert np.array_equal(colours, painted)
    if image_format == "rgba":
        assert (frame.image[..., 3] == 255).all()


@pytest.mark.anyio
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
async def test_frames_are_upright(rotation: int, mirrored: bool) -> None:
    """What the display matrix asks for is done, and `info` says so."""
    stored = clip_bytes(frames=3, rotation=rotation, mirrored=mirrored)
    async with af.open_video(stored) as video:
        info, frame = video.info, await video.frame(2)
    assert (info.rotation, info.mirrored) == (rotation, mirrored)
    assert (info.coded_width, info.coded_height) == (96, 64)
    assert frame.image.shape == (info.height, info.width, 3)
    back = frame.image[:, ::-1] if mirrored else frame.image
    assert painted_index(np.rot90(back, -rotation // 90)) == 2


def cut_before(number: int, *, container: str, **options: Any) -> bytes:
    """A clip without its first packets, such that it begins with packet `number`."""
    target = io.BytesIO()
    whole = clip_bytes(frames=FRAMES, container=container, **options)
    with av.open(io.BytesIO(whole), "r") as reader, av.open(target, "w", format=container) as writer:
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for packet in list(reader.demux(video=0))[number:]:
            if packet.size:
                packet.stream = stream
                writer.mux(packet)
    return target.getvalue()


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("container", ["mpegts", "matroska"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("number", [3, 7, 12, 13])
async def test_a_stream_that_begins_inside_a_gop(container: str, codec: str, number: int) -> None:
    """What its decoder drops at the head has no number; only the head is decoded to learn that."""
    clip = cut_before(number, container=container, codec=codec, open_gop=True, width=128, height=96)
    phases: list[str] = []
    async with af.open_video(clip) as video:
        sequential = [(frame.index, painted_index(frame.image)) async for frame in video.frames()]
    async with af.open_video(clip, packet_progress=lambda phase, _total: phases.append(phase)) as video:
        assert await video.count() == len(sequential)
        assert len(phases) < 2 * FRAMES
        picked = [
            (frame.index, painted_index(frame.image))
            async for frame in video.frames(indices=range(len(sequential) - 1, -1, -1))
        ]
    assert picked == sequential[::-1]
