"""Finds lost reference pictures of an H.264 stream: their numbers (``frame_num``) increase by one.

ITU-T H.264: 7.3.3 (slice header), 7.4.3 (``frame_num``).
"""

from __future__ import annotations

from collections.abc import Iterable

from asyncframes._media.bitstream.bits import Bits
from asyncframes._media.bitstream.nal import DamagedPacketError, UnitFormat
from asyncframes._media.bitstream.parameter_sets import H264_SEQUENCE, h264_format, units_of_extradata

_IDR = 5
_SLICES = {1, 5}

_MOST_BITS = 16

# The fields up to `frame_num` fit into this many bytes of a slice.
_HEADER_BYTES = 24


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
        self.may_be_fields = may_be_fields
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
            places = [*self._units.units(packet)]
        except DamagedPacketError:
            return False
        return self.take_units(packet[place : place + _HEADER_BYTES] for place in places)

    def take_units(self, units: Iterable[bytes]) -> bool:
        """Check the next packet by the first bytes of its units, as `take` does."""
        try:
            found = self._read(units)
        except DamagedPacketError:
            return False
        return found is None or self.take_picture(*found)

    def take_picture(self, number: int, is_reference: bool, is_idr: bool) -> bool:
        """Check the next picture, as `take` does."""
        last, self._last = self._last, (number, is_reference)
        if is_idr:
            return number == 0
        if last is None:
            return True
        before, was_reference = last
        if number == before:
            return self.may_be_fields or not was_reference
        return was_reference and number == (before + 1) % (1 << self._bits)

    def _read(self, units: Iterable[bytes]) -> tuple[int, bool, bool] | None:
        """Return a picture's number, whether it is a reference, and whether it is an IDR picture."""
        for unit in units:
            kind = unit[0] & 0x1F
            if kind in _SLICES:
                bits = Bits(unit[1:_HEADER_BYTES])
                bits.unsigned()  # first_mb_in_slice
                bits.unsigned()  # slice_type
                bits.unsigned()  # pic_parameter_set_id
                return bits.take(self._bits), bool(unit[0] >> 5 & 3), kind == _IDR
        return None


def frame_numbers(units: UnitFormat | None, extradata: bytes | None) -> FrameNumbers | None:
    """Return the check for a stream, ``None`` if its numbers may have gaps or cannot be read."""
    if units is None or units.is_hevc or not extradata:
        return None
    try:
        sets = [unit for unit in units_of_extradata(units, extradata) if unit[0] & 0x1F == H264_SEQUENCE]
        found = {_number_format(unit) for unit in sets}
    except DamagedPacketError:
        return None
    form = found.pop() if len(found) == 1 else None
    return None if form is None else FrameNumbers(units, form[0], may_be_fields=form[1])


def _number_format(unit: bytes) -> tuple[int, bool] | None:
    form = h264_format(unit)
    if form is None or form.allows_gaps or form.number_bits > _MOST_BITS:
        return None
    return form.number_bits, form.may_be_fields
