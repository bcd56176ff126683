"""The order of H.264 and HEVC pictures as slice headers give it, against the order of their times."""

from __future__ import annotations

import io

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._media.bitstream.nal import DamagedPacketError, UnitFormat, unit_format
from asyncframes._media.bitstream.parameter_sets import units_of_extradata
from asyncframes._media.bitstream.picture_order import PictureOrder, picture_order
from asyncframes._media.stepwise import finished
from tests.support.streams.clips import clip_bytes

BY_START_CODE = {is_hevc: UnitFormat(is_hevc, 0) for is_hevc in (False, True)}


def order_and_packets(
    codec: str = "libx264", container: str = "mp4"
) -> tuple[PictureOrder, list[list[bytes]], list[int]]:
    """Return the check for a clip, the units of its packets, and their times."""
    clip = clip_bytes(frames=48, gop=12, codec=codec, container=container)
    with av.open(io.BytesIO(clip), "r") as opened:
        stream = opened.streams.video[0]
        units = unit_format(stream.codec_context.name, stream.codec_context.extradata)
        order = picture_order(units, stream.codec_context.extradata)
        packets = [packet for packet in opened.demux(stream) if packet.size]
    assert order is not None
    assert units is not None
    return order, [units.heads(bytes(packet), 64) for packet in packets], [one.pts or 0 for one in packets]


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("container", ["mp4", "mpegts"])
def test_whole_streams_agree(codec: str, container: str) -> None:
    """Pictures that are reordered come out in the order of their times, GOP by GOP."""
    order, packets, pts = order_and_packets(codec, container)
    assert pts != sorted(pts)
    assert finished(order.agrees_with(packets, pts))


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_another_order_shows(codec: str) -> None:
    """Two times that are exchanged contradict the headers, in any part of the stream."""
    for first in range(1, 47):
        order, packets, pts = order_and_packets(codec)
        pts[first], pts[first + 1] = pts[first + 1], pts[first]
        assert not finished(order.agrees_with(packets, pts)), first


def hevc_order(kinds: list[int], *, drops: bool = False) -> bool:
    """Whether the pictures of a clip agree once packets after the first GOP have other kinds of units."""
    order, packets, pts = order_and_packets("libx265")
    for number, kind in enumerate(kinds, start=12):
        unit = packets[number][-1]
        packets[number][-1] = bytes([kind << 1, unit[1], unit[2] | drops << 6, *unit[3:]])
    return finished(order.agrees_with(packets, pts))


def test_pictures_that_are_dropped_show() -> None:
    """Such are leading pictures of an IDR picture, and those before one that drops what is not yet shown."""
    assert hevc_order([20])
    assert not hevc_order([20], drops=True)
    assert not hevc_order([20, 8])


def test_another_parameter_set_leaves_the_order_open() -> None:
    """What follows may be of another format, so nothing is told."""
    order, packets, pts = order_and_packets()
    pts[3], pts[4] = pts[4], pts[3]
    other = bytes([0x67, 66, 0, 30, 0b11110101, 0b11111000])
    assert finished(order.agrees_with([[other], *packets[1:]], pts))


@given(
    extradata=st.binary(max_size=80),
    packets=st.lists(st.binary(max_size=60), max_size=5),
    is_hevc=st.booleans(),
    length_bytes=st.sampled_from([0, 1, 4]),
)
def test_any_bytes_are_told(extradata: bytes, packets: list[bytes], is_hevc: bool, length_bytes: int) -> None:
    """Nothing is raised by hostile bytes."""
    units = UnitFormat(is_hevc, length_bytes)
    try:
        heads = [units.heads(packet, 64) for packet in packets]
        sets = units_of_extradata(units, extradata)
    except DamagedPacketError:
        return
    assert all(sets)
    order = picture_order(units, extradata)
    assert order is None or finished(order.agrees_with([sets, *heads], range(len(heads) + 1))) in {
        True,
        False,
    }
