"""Long work pauses often enough that a thread can serve other videos."""

from __future__ import annotations

import io
from collections.abc import Generator
from typing import Any

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._media.bitstream.packet_checks import PacketChecks
from asyncframes._media.files.media_files import DirectFile
from asyncframes._media.mp4.fragments import media_ranges
from asyncframes._media.stepwise import finished, mapped
from tests.support.streams.clips import clip_bytes

AT_ONCE = 256

CODECS: dict[str, dict[str, Any]] = {
    "h264": {},
    "hevc": {"codec": "libx265"},
    "mpeg2": {"codec": "mpeg2video", "container": "mpegts"},
    "mpeg4": {"codec": "mpeg4"},
    "vp9": {"codec": "libvpx-vp9", "container": "webm"},
}


def pauses_of(steps: Generator[None, None, object]) -> int:
    """Take all steps, and return how many pauses there were."""
    return sum(1 for _ in steps)


@given(count=st.integers(0, 3 * AT_ONCE))
def test_each_item_is_taken_once_and_in_order(count: int) -> None:
    """There is a pause after at most 256 of them."""
    assert finished(mapped(str, range(count))) == [str(number) for number in range(count)]
    assert pauses_of(mapped(str, range(count))) == -(-count // AT_ONCE)


@pytest.mark.parametrize("codec", CODECS)
def test_the_headers_of_many_packets_are_read_in_steps(codec: str) -> None:
    """The same few packets again and again are no intact stream, but their headers are read all the same."""
    clip = clip_bytes(frames=24, gop=8, **CODECS[codec])
    with av.open(io.BytesIO(clip), "r") as container:
        stream = container.streams.video[0]
        checks = PacketChecks(stream)
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    many = packets * 200
    assert pauses_of(checks.find_damage(many, range(len(many)))) >= len(many) // AT_ONCE


def test_fragments_are_found_in_steps() -> None:
    """Each box is a step, because over a network it may have to be fetched."""
    clip = clip_bytes(frames=96, gop=4, fragmented=True)
    steps = media_ranges(DirectFile(io.BytesIO(clip), len(clip), "clip"))
    assert pauses_of(steps) >= 2 * clip.count(b"moof") > 8
