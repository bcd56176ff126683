"""How long frames are shown: to the next frame by the table, or as their packets say."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame

import asyncframes as af
from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.pictures import Picture
from tests.support.isolation import in_threads
from tests.support.streams.clips import clip_bytes

FRAMES = 31
PTS = [index + index * index // 9 for index in range(FRAMES)]
RATE = Fraction(25)


def varying(container: str, **options: Any) -> bytes:
    """A clip whose frames are shown for one to seven ticks of its rate, most of them reordered."""
    return clip_bytes(
        frames=FRAMES, width=64, height=48, rate=RATE, pts=PTS, container=container, gop=8, **options
    )


def steady(container: str, **options: Any) -> bytes:
    return clip_bytes(frames=FRAMES, width=64, height=48, rate=RATE, container=container, **options)


async def durations(frames: AsyncIterator[af.Frame]) -> dict[int, float | None]:
    return {frame.index: frame.duration_seconds async for frame in frames}


@pytest.mark.anyio
@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "flv"])
async def test_a_frame_lasts_until_the_next_one(container: str) -> None:
    """By every route that has a table, the one from the start included; the last lasts as its packet does."""
    async with af.open_video(varying(container)) as video:
        table = await video.frame_table()
        ticks = np.diff(table.pts)
        expected = [float(int(tick) * table.time_base) for tick in ticks]
        assert len(set(expected)) > 3
        packet = int(table.packets.duration[table.packet_of[-1]])
        expected.append(float((packet or int(ticks[-1])) * table.time_base))
        by_index = dict(enumerate(expected))
        assert await durations(video.frames()) == by_index
        backwards = list(range(FRAMES))[::-1]
        assert await durations(video.frames(indices=backwards, deinterlace=True)) == by_index
        assert await durations(video.frames(5, 9)) == {index: expected[index] for index in range(5, 10)}
        assert (await video.frame(-1)).duration_seconds == expected[-1]
        near = await asyncio.gather(*[video.frame(index) for index in range(FRAMES)])
        assert [frame.duration_seconds for frame in near] == expected
        assert table.duration_seconds.tolist() == expected


def test_the_blocking_twin_has_durations_too() -> None:
    """The frames are the same objects."""
    with af.sync.open_video(varying("mp4")) as video:
        expected = video.frame_table().duration_seconds.tolist()
        assert [frame.duration_seconds for frame in video.frames(indices=range(FRAMES))] == expected


@pytest.mark.anyio
@pytest.mark.parametrize("options", [{}, {"deinterlace": True}])
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(
    ("container", "clip"),
    [
        ("mp4", {}),
        ("mp4", {"codec": "libx265"}),
        ("matroska", {}),
        ("webm", {"codec": "libvpx-vp9"}),
        ("webm", {"codec": "libsvtav1"}),
        ("mpegts", {"codec": "mpeg2video"}),
        ("avi", {"codec": "mpeg4", "b_frames": 0}),
        ("mov", {"codec": "mjpeg", "pixel_format": "yuvj420p", "b_frames": 0}),
    ],
)
async def test_read_forward_it_is_what_the_packet_says(
    container: str, clip: dict[str, Any], threads: int, options: dict[str, Any]
) -> None:
    """Without a table, a constant rate is one over the rate, to a tick of the container."""
    async with af.open_video(steady(container, **clip), threads=threads) as video:
        found = await durations(video.frames(**options))
        assert in_threads(video)._tables.table is None
        tick = video.info.time_base
    assert list(found) == list(range(FRAMES))
    for duration in found.values():
        assert duration == pytest.approx(float(1 / RATE), abs=float(tick))


@pytest.mark.anyio
async def test_where_packets_say_nothing_only_a_table_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container without durations gives none until there is a table."""
    given = Decoder._picture

    def without(decoder: Decoder, number: int, frame: VideoFrame) -> Picture:
        return replace(given(decoder, number, frame), duration=0)

    monkeypatch.setattr(Decoder, "_picture", without)
    async with af.open_video(steady("mp4")) as video:
        assert set((await durations(video.frames())).values()) == {None}
        await video.frame_table()
        assert set((await durations(video.frames())).values()) == {0.04}


@pytest.mark.anyio
async def test_in_approximate_mode_it_is_what_the_packet_says() -> None:
    """There is no table of real frames, so the nominal one is not asked."""
    async with af.open_video(varying("mp4"), seek_mode="approximate") as video:
        frames = [frame async for frame in video.frames(indices=[0, 4, 9])]
        with av.open(io.BytesIO(varying("mp4")), "r") as container:
            said = {packet.pts: packet.duration for packet in container.demux(video=0)}
    for frame in frames:
        assert frame.duration_seconds == float((said[frame.pts] or 0) * frame.time_base)


@pytest.mark.anyio
async def test_a_stream_that_is_read_once_has_durations() -> None:
    """Of an upload that is decoded as it comes in, packets tell."""

    async def upload() -> AsyncIterator[bytes]:
        yield steady("matroska")

    async with af.open_video(upload()) as video:
        assert set((await durations(video.frames())).values()) == {0.04}
