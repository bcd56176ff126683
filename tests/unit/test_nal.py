"""Packets of H.264 and HEVC: what their units say."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._media.bitstream.nal import DamagedPacketError, UnitFormat, unit_format
from asyncframes._media.bitstream.unit_walk import UnitWalk
from tests.support.streams.clips import clip_bytes

BY_LENGTH = UnitFormat(is_hevc=False, length_bytes=4)
BY_START_CODE = UnitFormat(is_hevc=False, length_bytes=0)


def by_length(*units: bytes) -> bytes:
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)


def by_start_code(*units: bytes) -> bytes:
    return b"".join(b"\0\0\0\1" + unit for unit in units)


@pytest.mark.parametrize(("form", "join"), [(BY_LENGTH, by_length), (BY_START_CODE, by_start_code)])
def test_parameters_and_ends_hold_no_picture(form: UnitFormat, join: Callable[..., bytes]) -> None:
    """A packet of parameter sets, messages and ends becomes no frame; with a slice it does."""
    others = [bytes([0x67, 1]), bytes([0x68, 1]), bytes([6, 1]), bytes([10])]
    assert not form.has_picture(join(*others))
    assert form.has_picture(join(*others, bytes([0x65, 1])))
    assert form.has_picture(join(bytes([0x6E, 1])))


def test_the_reference_count_is_that_of_the_slices() -> None:
    """Parameter sets count as referenced in any packet, slices only where others refer to them."""
    parameters = bytes([0x67, 1])
    assert not BY_LENGTH.is_reference(by_length(parameters, bytes([0x01, 1])))
    assert BY_LENGTH.is_reference(by_length(parameters, bytes([0x41, 1])))
    assert BY_LENGTH.is_reference(b"\xff\xff\xff\xff")


@pytest.mark.parametrize(
    "packet", [b"\xa5\xa5\xa5\xa5 rest", by_length(b"\x41ab")[:-1], by_length(b"\x06a") + b"\0\0"]
)
def test_units_that_do_not_fill_a_packet_are_damage(packet: bytes) -> None:
    """What such a packet becomes cannot be told from its bytes."""
    with pytest.raises(DamagedPacketError):
        BY_LENGTH.has_picture(packet[:])


@pytest.mark.parametrize(("form", "join"), [(BY_LENGTH, by_length), (BY_START_CODE, by_start_code)])
def test_heads_leave_out_what_a_decoder_ignores(form: UnitFormat, join: Callable[..., bytes]) -> None:
    """Parameter sets stay whole, slices keep their beginning, and messages go."""
    sets, message, piece = bytes([0x67, *range(1, 9)]), bytes([6, 1]), bytes([0x65, *range(1, 9)])
    heads = form.heads(join(sets, message, piece, piece), 4)
    # A start code may begin with another zero, which then seems to end the unit before.
    assert [unit.rstrip(b"\0") for unit in heads] == [sets, piece[:4], piece[:4]]
    assert form.packet_of([sets, piece]) == join(sets, piece)
    assert form.heads(join(message), 4) == []
    assert form.heads(join(b""), 4) == []


@pytest.mark.parametrize("unit", [bytes([0x71, 1]), bytes([0xC1, 1]), bytes([0x02, 1])])
def test_a_picture_without_a_slice_is_damage(unit: bytes) -> None:
    """No decoder takes a unit of a reserved kind, with a forbidden bit or in partitions for a slice."""
    with pytest.raises(DamagedPacketError):
        BY_LENGTH.heads(by_length(unit), 4)
    assert BY_LENGTH.heads(by_length(unit, bytes([0x41, 1])), 4)


@given(packet=st.binary(max_size=200), length_bytes=st.sampled_from([0, 1, 2, 4]), is_hevc=st.booleans())
def test_any_bytes_are_told_or_broken(packet: bytes, length_bytes: int, is_hevc: bool) -> None:
    """Nothing but the one error comes out of hostile bytes."""
    form = UnitFormat(is_hevc, length_bytes)
    assert form.is_reference(packet) in {True, False}
    with suppress(DamagedPacketError):
        assert form.has_picture(packet) in {True, False}


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
@pytest.mark.parametrize("container", ["mp4", "mpegts", "matroska"])
def test_every_packet_of_a_clip_holds_a_picture(codec: str, container: str) -> None:
    """The format of the units is read from the stream's own parameters."""
    clip = clip_bytes(frames=12, codec=codec, container=container)
    with av.open(io.BytesIO(clip), "r") as opened:
        stream = opened.streams.video[0]
        form = unit_format(stream.codec_context.name, stream.codec_context.extradata)
        assert form is not None
        assert (form.length_bytes == 0) == (container == "mpegts")
        packets = [bytes(packet) for packet in opened.demux(stream) if packet.size]
    assert all(map(form.has_picture, packets))


HEAD = 4


def heads_alone(form: UnitFormat, packet: bytes) -> list[bytes] | None:
    try:
        return form.heads(packet, HEAD)
    except DamagedPacketError:
        return None


def without_zeros(units: list[bytes] | None) -> list[bytes] | None:
    """Drop the length of an empty unit, which seems to belong to the unit before."""
    return units and [unit.rstrip(b"\0") for unit in units]


@given(
    packets=st.lists(
        st.one_of(
            st.binary(max_size=30),
            st.lists(st.binary(max_size=6), max_size=4).map(lambda units: by_length(*units)),
        ).filter(len),
        min_size=1,
        max_size=8,
    ),
    is_hevc=st.booleans(),
)
def test_all_packets_walked_together_are_told_as_each_alone(packets: list[bytes], is_hevc: bool) -> None:
    """The walk over a whole file says of each packet what `has_picture` does."""
    form = UnitFormat(is_hevc, 4)
    sizes = np.array([len(packet) for packet in packets], np.int64)
    walk = UnitWalk(b"".join(packets), np.cumsum(sizes) - sizes, sizes, form)
    heads = walk.heads(HEAD)
    for number, packet in enumerate(packets):
        try:
            told = form.has_picture(packet)
        except DamagedPacketError:
            assert walk.is_broken[number]
        else:
            # A packet that holds a picture is not looked at any further alone.
            assert walk.has_picture[number] == told
            assert told or not walk.is_broken[number]
        assert without_zeros(heads[number]) == without_zeros(heads_alone(form, packet))
        assert walk[number] == packet
        assert (number in walk.unsure) == (not walk.has_picture[number])


@pytest.mark.parametrize(
    ("length_bytes", "packet"), [(0, "0000000109f0"), (1, "0209f0"), (4, "0000000209f0")]
)
def test_a_delimiter_is_a_packet_without_a_picture(length_bytes: int, packet: str) -> None:
    delimiter = UnitFormat(False, length_bytes).delimiter()
    assert delimiter == bytes.fromhex(packet)
    assert not UnitFormat(False, length_bytes).has_picture(delimiter)
