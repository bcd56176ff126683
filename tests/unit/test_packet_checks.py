"""The packets of a stream are checked by their units, walked together, as they are one by one."""

from __future__ import annotations

import io
from functools import cache

import av
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from asyncframes._media.bitstream.nal import UnitFormat, unit_format
from asyncframes._media.bitstream.packet_checks import PacketChecks
from asyncframes._media.bitstream.unit_walk import UnitWalk
from asyncframes._media.stepwise import finished
from tests.support.streams.clips import clip_bytes

FRAMES = 24
DELIMITERS = {"libx264": b"\0\0\0\2\x09\xf0", "libx265": b"\0\0\0\3\x46\x01\x10"}

# What becomes of a packet: a bit of it is flipped, or other units are put before it or in its place.
EDITS = st.one_of(
    st.tuples(st.just("flip"), st.integers(6, 40)),
    st.tuples(st.sampled_from(["before", "instead"]), st.sampled_from([1, 63, 64, 80])),
)


@cache
def clip_of(codec: str) -> bytes:
    return clip_bytes(frames=FRAMES, gop=8, codec=codec)


def edited(packet: bytes, codec: str, kind: str, number: int) -> bytes:
    if kind == "flip":
        place = min(number, len(packet) - 1)
        return packet[:place] + bytes([packet[place] ^ 1 << number % 8]) + packet[place + 1 :]
    return DELIMITERS[codec] * number + (packet if kind == "before" else b"")


def walk_of(packets: list[bytes], form: UnitFormat) -> UnitWalk:
    sizes = np.array([len(packet) for packet in packets], np.int64)
    return UnitWalk(b"".join(packets), np.cumsum(sizes) - sizes, sizes, form)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@given(edits=st.dictionaries(st.integers(1, FRAMES - 1), EDITS, max_size=3))
def test_walked_packets_are_judged_as_single_ones(codec: str, edits: dict[int, tuple[str, int]]) -> None:
    """Both ways find the same damage, and agree on whether every packet holds a picture."""
    with av.open(io.BytesIO(clip_of(codec)), "r") as opened:
        stream = opened.streams.video[0]
        form = unit_format(stream.codec_context.name, stream.codec_context.extradata)
        assert form is not None
        read = [packet for packet in opened.demux(stream) if packet.size]
        pts = [packet.pts or 0 for packet in read]
        packets = [bytes(packet) for packet in read]
        alone, together = PacketChecks(stream), PacketChecks(stream)
    for number, edit in edits.items():
        packets[number] = edited(packets[number], codec, *edit)
    walk = walk_of(packets, form)
    # The units of these do not fill them. Such a stream is decoded without further checks.
    assume(not walk.is_broken.any())
    assert finished(alone.find_damage(packets, pts)) == finished(together.find_damage(walk, pts))
    assert alone.are_accepted == together.are_accepted
    if not edits:
        assert together.are_accepted


def test_many_units_without_a_picture_are_told() -> None:
    """Only a look at all of them shows that there is no picture, so such packets are listed."""
    form = UnitFormat(False, 4)
    delimiter = DELIMITERS["libx264"]
    walk = walk_of([delimiter * 80, delimiter, b"\0\0\0\2\x65\x88"], form)
    assert sorted(walk.unsure) == [0, 1]
    assert walk.has_picture.tolist() == [True, False, True]
