"""Short streams are decoded for their frame table, so that damage nobody reads shifts no number."""

from __future__ import annotations

from typing import Any

import pytest

import asyncframes as af
from asyncframes.sources import MemorySource
from asyncframes.testing import FaultySource
from tests.support.exact.one_thread import decode_by_one_thread, digest
from tests.support.streams.clips import clip_bytes

FRAMES = 12


def with_a_broken_packet(**clip: Any) -> bytes:
    """Return a clip with a packet, early in it, of a sample precision that no decoder knows."""
    data = clip_bytes(
        frames=FRAMES, codec="mjpeg", container="mov", pixel_format="yuvj420p", b_frames=0, **clip
    )
    second = data.index(b"\xff\xd8", data.index(b"\xff\xd8") + 2)
    precision = data.index(b"\xff\xc0", second) + 4
    return data[:precision] + b"\xff" + data[precision + 1 :]


@pytest.mark.anyio
@pytest.mark.parametrize("is_local", [True, False])
async def test_a_lost_frame_that_no_request_reads_shifts_no_number(is_local: bool) -> None:
    """The last frame is the last one that decodes, and the table rests on a decode."""
    data = with_a_broken_packet()
    truth = decode_by_one_thread(data)
    assert len(truth) == FRAMES - 1
    source = data if is_local else FaultySource(MemorySource(data))
    async with af.open_video(source, on_corrupt="keep") as video:
        frame = await video.frame(-1)
        assert (frame.index, digest(frame.image)) == (FRAMES - 2, truth.shown[-1].image)
        table = await video.frame_table()
        assert not table.is_provisional
        assert await video.count() == FRAMES - 1


@pytest.mark.anyio
async def test_a_long_stream_is_not_decoded_for_its_table(long_streams: None) -> None:
    """Its table says that it is provisional, and becomes right once the damage is read."""
    async with af.open_video(with_a_broken_packet(), on_corrupt="keep") as video:
        assert (await video.frame_table()).is_provisional
        frames = [frame.index async for frame in video.frames()]
        assert frames == list(range(FRAMES - 1))
        assert await video.count() == FRAMES - 1
        assert (await video.frame(-1)).index == FRAMES - 2
