"""The fields of many H.264 slices, read at once, are those that are read one by one."""

from __future__ import annotations

import io

import av
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._media.bitstream.bits import Bits
from asyncframes._media.bitstream.nal import DamagedPacketError, unit_format
from asyncframes._media.bitstream.parameter_sets import H264Format
from asyncframes._media.bitstream.picture_order import H264Order, picture_order
from asyncframes._media.bitstream.slice_fields import SliceFields, slice_fields
from tests.support.streams.clips import clip_bytes

FORMS = st.builds(
    lambda number_bits, order_bits: H264Format(
        number_bits, 0 if order_bits else 2, order_bits, allows_gaps=False, may_be_fields=False
    ),
    st.integers(4, 16),
    st.one_of(st.just(0), st.integers(4, 16)),
)


def read_singly(unit: bytes, form: H264Format) -> SliceFields:
    """Read the fields of one slice."""
    bits = Bits(unit[1:32])
    for _ in range(3):
        bits.unsigned()
    number = bits.take(form.number_bits)
    is_idr = unit[0] & 0x1F == 5
    if is_idr:
        bits.unsigned()
    return SliceFields(is_idr, bool(unit[0] & 0x60), number, bits.take(form.order_bits))


# Few values, so that zeros and emulation prevention bytes are frequent.
PAYLOADS = st.lists(st.sampled_from([0, 0, 0, 3, 1, 0x80, 0xFF, 0x9A, 0x21]), max_size=40).map(bytes)
SLICES = st.tuples(st.sampled_from([0x01, 0x41, 0x65, 0x25, 0xE1]), PAYLOADS | st.binary(max_size=40))


@given(slices=st.lists(SLICES, min_size=1, max_size=6), form=FORMS)
def test_many_are_read_as_one_is(slices: list[tuple[int, bytes]], form: H264Format) -> None:
    """What cannot be read at once is left to the reader of single slices."""
    units = [bytes([header]) + payload for header, payload in slices]
    found = slice_fields([[unit] for unit in units], form)
    if found is not None:
        assert found == [read_singly(unit, form) for unit in units]
        return
    for unit in units:
        try:
            read_singly(unit[:9], form)
        except DamagedPacketError:
            return
    assert any(b"\0\0\3" in unit for unit in units)


@given(packets=st.lists(st.lists(st.binary(min_size=1, max_size=12), max_size=2), max_size=4), form=FORMS)
def test_other_packets_are_left(packets: list[list[bytes]], form: H264Format) -> None:
    """Only packets that begin with a slice are read."""
    found = slice_fields(packets, form)
    if not all(units and units[0][0] & 0x1F in {1, 5} for units in packets):
        assert found is None


def test_real_slices_are_read_at_once() -> None:
    """The packets of MP4 hold slices alone, so all are read together."""
    with av.open(io.BytesIO(clip_bytes(frames=48, gop=12)), "r") as opened:
        codec = opened.streams.video[0].codec_context
        units = unit_format(codec.name, codec.extradata)
        assert units is not None
        packets = [units.heads(bytes(packet), 64) for packet in opened.demux(video=0) if packet.size]
        order = picture_order(units, codec.extradata)
    assert isinstance(order, H264Order)
    slices = order.slices_of(packets)
    assert slices is not None
    assert [number for number, fields in enumerate(slices) if fields.is_idr] == [0, 12, 24, 36]
