"""Representations of what users hold are one short line."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest

import asyncframes as af
from asyncframes._model.packets import NO_TIMESTAMP, Packets
from asyncframes.errors import SourceError
from asyncframes.sources import resolve_source
from tests.support.streams.clips import clip_bytes

CLIP = clip_bytes(frames=6, width=64, height=48)
LONG = "x" * 5000


@pytest.mark.anyio
async def test_a_frame_is_shown_without_its_pixels() -> None:
    """Its index, time and shape are, and its flags where they are set."""
    async with af.open_video(CLIP) as video:
        shown = [repr(frame) async for frame in video.frames(0, 1)]
    assert shown == [
        "Frame(index=0, pts_seconds=0, uint8 image of shape (48, 64, 3), is_keyframe=True)",
        "Frame(index=1, pts_seconds=0.04, uint8 image of shape (48, 64, 3))",
    ]
    bare = af.Frame(7, np.zeros((2, 2), np.uint16), None, Fraction(1, 25), is_corrupt=True)
    assert repr(bare) == "Frame(index=7, uint16 image of shape (2, 2), is_corrupt=True)"


@pytest.mark.anyio
async def test_a_video_says_whether_it_is_open() -> None:
    """With its name, and what there is to know of it while it is."""
    opener = af.open_video(CLIP)
    name = f"'{len(CLIP)} bytes in memory'"
    assert repr(opener) == f"<open_video({name}, not open yet)>"
    async with opener as video:
        assert repr(video) == f"<Video {name}, open: 64x48, h264, 25 fps>"
    assert repr(video) == f"<Video {name}, closed>"
    with pytest.raises(SourceError):
        await (opener := af.open_video(f"/{LONG}"))
    assert len(repr(opener)) < 120


def test_so_does_a_blocking_one() -> None:
    """The twin says that it is one."""
    with af.sync.open_video(CLIP) as video:
        assert repr(video) == f"<sync.Video '{len(CLIP)} bytes in memory', open: 64x48, h264, 25 fps>"
    assert repr(video).endswith(", closed>")


async def pieces() -> AsyncIterator[bytes]:
    yield CLIP


@pytest.mark.parametrize(
    "make",
    [
        lambda: f"/{LONG}",
        lambda: f"https://host/{LONG}?{LONG}",
        lambda: f"s3://bucket/{LONG}",
        lambda: f"memory://{LONG}",
        lambda: f"data:,{LONG}",
        lambda: CLIP,
        lambda: np.frombuffer(CLIP, np.uint8),
        lambda: io.BytesIO(CLIP),
        lambda: pieces(),
        lambda: 0,
        lambda: af.FFmpegUrlSource(f"rtsp://host/{LONG}"),
    ],
)
def test_a_source_is_shown_short(make: Callable[[], af.sources.SourceLike]) -> None:
    """Whatever it is made of."""
    source = resolve_source(make())
    assert repr(source).startswith(type(source).__name__ + "(")
    assert len(repr(source)) < 250
    assert "\n" not in repr(source)


def test_a_table_is_shown_without_its_rows() -> None:
    """How many frames it has, how long they last, and whether they were observed."""
    with af.sync.open_video(CLIP) as video:
        table = video.frame_table()
    assert repr(replace(table, is_verified=False)) == "FrameTable(6 frames, 0.24 s, provisional)"
    assert repr(replace(table, is_verified=True)) == "FrameTable(6 frames, 0.24 s, verified)"
    assert repr(table.packets) == "Packets(6 packets)"
    untimed = replace(table.packets, pts=np.full(6, NO_TIMESTAMP), dts=np.full(6, NO_TIMESTAMP))
    bare = replace(table, packets=untimed, average_rate=None, is_verified=False)
    assert repr(bare) == "FrameTable(6 frames, provisional)"
    none = Packets(*(getattr(untimed, one.name)[:0] for one in fields(untimed)))
    empty = af.FrameTable(none, table.time_base, np.zeros(0, np.int64))
    assert repr(empty) == "FrameTable(0 frames, 0 s, provisional)"
