"""Finds lost reference pictures of an H.264 stream: their numbers (``frame_num``) increase by one.

ITU-T H.264: 7.3.2.1.1 (sequence parameter set), 7.3.3 (slice header), 7.4.3 (``frame_num``).
"""

from __future__ import annotations

from asyncframes._media.bitstream.nal import DamagedPacketError, UnitFormat

_SEQUENCE_PARAMETERS, _IDR = 7, 5
_SLICES = {1, 5}

# Profiles whose parameter sets hold more fields, for chroma and scaling.
_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}

# The fields up to `frame_num` fit into this many bytes of a slice.
_HEADER_BYTES = 24


class _Bits:
    """Reads numbers from the payload of a unit, without its emulation prevention bytes."""

    def __init__(self, payload: bytes) -> None:
        plain = payload.replace(b"\0\0\3", b"\0\0")
        self._value = int.from_bytes(plain, "big")
        self._left = 8 * len(plain)

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise DamagedPacketError
        return self._value >> self._left & (1 << count) - 1

    def unsigned(self) -> int:
        """Read an Exp-Golomb number (9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise DamagedPacketError
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        code = self.unsigned()
        return (code + 1) // 2 if code & 1 else -(code // 2)


class FrameNumbers:
    """Follows the numbers of reference pictures from packet to packet.

    Parameters
    ----------
    units
        How packets store their units.
    bits
        Length of a number in bits.
    may_be_fields
        Whether pictures may be fields. Two fields of a frame have the same number.
    """

    def __init__(self, units: UnitFormat, bits: int, *, may_be_fields: bool) -> None:
        self._units = units
        self._bits = bits
        self._may_be_fields = may_be_fields
        self._last: tuple[int, bool] | None = None

    def reset(self) -> None:
        """Drop the last number after a seek."""
        self._last = None

    def take(self, packet: bytes) -> bool:
        """Check the next packet.

        Returns
        -------
        bool
            Whether no reference picture is missing before it, as far as the numbers show.
        """
        try:
            found = self._read(packet)
        except DamagedPacketError:
            return False
        if found is None:
            return True
        number, is_reference, is_idr = found
        last, self._last = self._last, (number, is_reference)
        if is_idr:
            return number == 0
        if last is None:
            return True
        before, was_reference = last
        if number == before:
            return self._may_be_fields or not was_reference
        return was_reference and number == (before + 1) % (1 << self._bits)

    def _read(self, packet: bytes) -> tuple[int, bool, bool] | None:
        """Return a picture's number, whether it is a reference, and whether it is an IDR picture."""
        for place in self._units.units(packet):
            kind = packet[place] & 0x1F
            if kind in _SLICES:
                bits = _Bits(packet[place + 1 : place + _HEADER_BYTES])
                bits.unsigned()  # first_mb_in_slice
                bits.unsigned()  # slice_type
                bits.unsigned()  # pic_parameter_set_id
                return bits.take(self._bits), bool(packet[place] >> 5 & 3), kind == _IDR
        return None


def frame_numbers(units: UnitFormat | None, extradata: bytes | None) -> FrameNumbers | None:
    """Return the check for a stream, ``None`` if its numbers may have gaps or cannot be read."""
    if units is None or units.is_hevc or not extradata:
        return None
    try:
        found = {_number_format(payload) for payload in _parameter_sets(units, extradata)}
    except DamagedPacketError:
        return None
    form = found.pop() if len(found) == 1 else None
    return None if form is None else FrameNumbers(units, form[0], may_be_fields=form[1])


def _parameter_sets(units: UnitFormat, extradata: bytes) -> list[bytes]:
    if not units.length_bytes:
        ends = [*units.units(extradata)]
        return [extradata[place:] for place in ends if extradata[place] & 0x1F == _SEQUENCE_PARAMETERS]
    sets, position = [], 6
    for _ in range(extradata[5] & 0x1F if len(extradata) > 5 else 0):
        length = int.from_bytes(extradata[position : position + 2], "big")
        sets.append(extradata[position + 2 : position + 2 + length])
        position += 2 + length
    return sets


def _number_format(payload: bytes) -> tuple[int, bool] | None:
    """Read the length of ``frame_num`` in bits, and whether pictures may be fields.

    ``None`` if gaps are allowed or colour planes are coded separately.
    """
    bits = _Bits(payload[1:256])
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
    _pass_order(bits)
    bits.unsigned()  # max_num_ref_frames
    allows_gaps = bits.take(1)
    bits.unsigned()  # pic_width_in_mbs_minus1
    bits.unsigned()  # pic_height_in_map_units_minus1
    has_frames_only = bits.take(1)
    return None if allows_gaps or number_bits > 16 else (number_bits, not has_frames_only)


def _pass_scaling(bits: _Bits, lists: int) -> None:
    for number in range(lists):
        if bits.take(1):
            last = scale = 8
            for _ in range(16 if number < 6 else 64):
                if scale:
                    scale = (last + bits.signed()) % 256
                last = scale or last


def _pass_order(bits: _Bits) -> None:
    kind = bits.unsigned()
    if kind == 0:
        bits.unsigned()
    elif kind == 1:
        bits.take(1)
        bits.signed()
        bits.signed()
        for _ in range(min(bits.unsigned(), 255)):
            bits.signed()
