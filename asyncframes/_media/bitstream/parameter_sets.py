"""Reads from parameter sets how slices store the numbers of their pictures.

ITU-T H.264, 7.3.2.1.1; ITU-T H.265, 7.3.2.2.1, 7.3.2.3.1 and 7.3.3; ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1 for
the sets before the first packet.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

from asyncframes._media.bitstream.bits import Bits
from asyncframes._media.bitstream.nal import UnitFormat

H264_SEQUENCE, HEVC_SEQUENCE, HEVC_PICTURE = 7, 33, 34

# Profiles whose parameter sets hold more fields, for chroma and scaling.
_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}

# The fields that are read fit into this many bytes of a set.
_SET_BYTES = 256


@dataclass(frozen=True, slots=True)
class H264Format:
    """How H.264 slices store the numbers of their pictures.

    Attributes
    ----------
    number_bits
        Length of ``frame_num`` in bits.
    order_kind, order_bits
        ``pic_order_cnt_type``, and the length of ``pic_order_cnt_lsb`` in bits if the type is 0.
    allows_gaps
        Whether ``frame_num`` may leave numbers out.
    may_be_fields
        Whether pictures may be fields.
    """

    number_bits: int
    order_kind: int
    order_bits: int
    allows_gaps: bool
    may_be_fields: bool


def h264_format(payload: bytes) -> H264Format | None:
    """Read a sequence parameter set; ``None`` if colour planes are coded separately.

    Raises
    ------
    DamagedPacketError
        The set ends early.
    """
    bits = Bits(payload[1:_SET_BYTES])
    profile = bits.take(8)
    bits.take(16)
    bits.unsigned()  # seq_parameter_set_id
    if profile in _HIGH_PROFILES:
        chroma = bits.unsigned()
        if chroma == 3 and bits.take(1):
            return None
        bits.unsigned()  # bit_depth_luma_minus8
        bits.unsigned()  # bit_depth_chroma_minus8
        bits.take(1)
        if bits.take(1):
            _pass_scaling(bits, 12 if chroma == 3 else 8)
    number_bits = bits.unsigned() + 4
    order_kind = bits.unsigned()
    order_bits = bits.unsigned() + 4 if order_kind == 0 else 0
    if order_kind == 1:
        _pass_order_cycle(bits)
    bits.unsigned()  # max_num_ref_frames
    allows_gaps = bits.take(1)
    bits.unsigned()  # pic_width_in_mbs_minus1
    bits.unsigned()  # pic_height_in_map_units_minus1
    has_frames_only = bits.take(1)
    return H264Format(number_bits, order_kind, order_bits, bool(allows_gaps), not has_frames_only)


def _pass_scaling(bits: Bits, lists: int) -> None:
    for number in range(lists):
        if bits.take(1):
            last = scale = 8
            for _ in range(16 if number < 6 else 64):
                if scale:
                    scale = (last + bits.signed()) % 256
                last = scale or last


def _pass_order_cycle(bits: Bits) -> None:
    bits.take(1)
    bits.signed()
    bits.signed()
    for _ in range(min(bits.unsigned(), 255)):
        bits.signed()


def hevc_order_bits(payload: bytes) -> int | None:
    """Read from a sequence parameter set the length of ``slice_pic_order_cnt_lsb`` in bits.

    ``None`` if colour planes are coded separately.

    Raises
    ------
    DamagedPacketError
        The set ends early.
    """
    bits = Bits(payload[2:_SET_BYTES])
    bits.take(4)
    layers = bits.take(3)  # sps_max_sub_layers_minus1
    bits.take(1)
    _pass_profiles(bits, layers)
    bits.unsigned()  # sps_seq_parameter_set_id
    if bits.unsigned() == 3 and bits.take(1):
        return None
    bits.unsigned()  # pic_width_in_luma_samples
    bits.unsigned()  # pic_height_in_luma_samples
    if bits.take(1):
        for _ in range(4):
            bits.unsigned()  # conformance window
    bits.unsigned()  # bit_depth_luma_minus8
    bits.unsigned()  # bit_depth_chroma_minus8
    return bits.unsigned() + 4


def _pass_profiles(bits: Bits, layers: int) -> None:
    bits.take(96)
    present = [(bits.take(1), bits.take(1)) for _ in range(layers)]
    if layers:
        bits.take(2 * (8 - layers))
    for has_profile, has_level in present:
        bits.take(88 * has_profile + 8 * has_level)


@dataclass(frozen=True, slots=True)
class HevcPictureSet:
    """How the slices of a picture parameter set of HEVC begin.

    Attributes
    ----------
    number
        The set's number, by which slices refer to it.
    has_output_flag
        Whether slices tell if their picture is shown.
    extra_bits
        Number of reserved bits in slice headers.
    """

    number: int
    has_output_flag: bool
    extra_bits: int


def hevc_picture_set(payload: bytes) -> HevcPictureSet:
    """Read a picture parameter set.

    Raises
    ------
    DamagedPacketError
        The set ends early.
    """
    bits = Bits(payload[2:_SET_BYTES])
    number = bits.unsigned()
    bits.unsigned()  # pps_seq_parameter_set_id
    bits.take(1)
    return HevcPictureSet(number, bool(bits.take(1)), bits.take(3))


def units_of_extradata(units: UnitFormat, extradata: bytes) -> list[bytes]:
    """Return the units before the first packet, up to the first that is cut off."""
    if units.length_bytes:
        return [*(_hevc_record(extradata) if units.is_hevc else _h264_record(extradata))]
    starts = [*units.units(extradata)] if extradata else []
    return [extradata[start:end] for start, end in zip(starts, [*starts[1:], None], strict=False)]


def _h264_record(extradata: bytes) -> Iterator[bytes]:
    position = 5
    for mask in (0x1F, 0xFF):
        count = extradata[position] & mask if position < len(extradata) else 0
        position = yield from _units_at(extradata, position + 1, count)


def _hevc_record(extradata: bytes) -> Iterator[bytes]:
    position = 23
    for _ in range(extradata[22] if len(extradata) > 22 else 0):
        count = int.from_bytes(extradata[position + 1 : position + 3], "big")
        position = yield from _units_at(extradata, position + 3, count)


def _units_at(data: bytes, position: int, count: int) -> Generator[bytes, None, int]:
    """Yield up to `count` units, each behind its length, and return the position after them."""
    for _ in range(count):
        unit = _unit_at(data, position)
        position += 2 + len(unit)
        if unit:
            yield unit
    return position


def _unit_at(data: bytes, position: int) -> bytes:
    length = int.from_bytes(data[position : position + 2], "big")
    unit = data[position + 2 : position + 2 + length]
    return unit if len(unit) == length else b""
