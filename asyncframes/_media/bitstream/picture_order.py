"""Tells by slice headers whether a decoder shows the pictures of H.264 and HEVC in the order of their times.

ITU-T H.264, 7.3.3 and 8.2.1; ITU-T H.265, 7.3.6.1, 7.4.2.2 and 8.3.1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Sequence
from operator import lt
from typing import TypeAlias

from asyncframes._media.bitstream.bits import Bits
from asyncframes._media.bitstream.nal import DamagedPacketError, UnitFormat
from asyncframes._media.bitstream.parameter_sets import (
    H264_SEQUENCE,
    HEVC_PICTURE,
    HEVC_SEQUENCE,
    H264Format,
    HevcPictureSet,
    h264_format,
    hevc_order_bits,
    hevc_picture_set,
    units_of_extradata,
)
from asyncframes._media.bitstream.slice_fields import SliceFields, slice_fields
from asyncframes._media.stepwise import mapped

# The fields up to the order fit into this many bytes of a slice.
_HEADER_BYTES = 32

_H264_IDR, _H264_SLICES, _H264_ENDS = 5, {1, 5}, {10, 11}

_HEVC_SLICES = frozenset({*range(10), *range(16, 22)})
_HEVC_LEADING, _HEVC_RASL = range(6, 10), {8, 9}
_HEVC_IRAP, _HEVC_IDR, _HEVC_CRA = range(16, 24), {19, 20}, 21
_HEVC_ENDS = {36, 37}


class UnknownOrderError(Exception):
    """The order cannot be told from slice headers."""


Place: TypeAlias = "tuple[int, int]"
"""The number of a picture's coded video sequence, and its picture order count: its place in output order."""


class PictureOrder(ABC):
    """Follows the order of pictures from packet to packet.

    Parameters
    ----------
    units
        How packets store their units.
    extradata
        Holds parameter sets.
    """

    def __init__(self, units: UnitFormat, extradata: bytes) -> None:
        self._units = units
        self._sequence = 0
        self._high = self._low = 0
        for unit in units_of_extradata(units, extradata):
            self._learn(unit)

    def agrees_with(
        self, packets: Iterable[Iterable[bytes]], pts: Iterable[int]
    ) -> Generator[None, None, bool]:
        """Return whether the pictures of packets come out in the order of the packets' times, in steps.

        Parameters
        ----------
        packets
            The first bytes of the units of each packet, in decode order. Parameter sets are whole.
        pts
            The pts of each packet.

        Returns
        -------
        bool
            ``True`` too if the order cannot be told.
        """
        try:
            places = yield from mapped(self._place, packets)
        except UnknownOrderError:
            return True
        except DamagedPacketError:
            return False
        return _are_in_order(places, pts)

    def _place(self, units: Iterable[bytes]) -> Place | None:
        for unit in units:
            if (place := self._take(unit)) is not None:
                return place
        return None

    @abstractmethod
    def _take(self, unit: bytes) -> Place | None:
        """Return the place of the picture to which a unit belongs, ``None`` if it is no slice."""

    @abstractmethod
    def _learn(self, unit: bytes) -> None:
        """Take a unit that may be a parameter set."""

    def _count(self, low: int, bits: int) -> int:
        """Derive the picture order count from its lowest bits (ITU-T H.264, 8.2.1.1)."""
        range_ = 1 << bits
        high = self._high
        if low < self._low and self._low - low >= range_ // 2:
            high += range_
        elif low > self._low and low - self._low > range_ // 2:
            high -= range_
        return high + low

    def _refer_to(self, count: int, bits: int) -> None:
        """Derive later counts from this one."""
        self._low = count % (1 << bits)
        self._high = count - self._low


class H264Order(PictureOrder):
    """The order of H.264 pictures that are frames."""

    _form: H264Format | None = None

    def slices_of(self, packets: Sequence[Sequence[bytes]]) -> list[SliceFields] | None:
        """Read the fields of all packets at once, ``None`` if they must be read one by one."""
        return None if self._form is None else slice_fields(packets, self._form)

    def slices_agree(self, slices: Iterable[SliceFields], pts: Iterable[int]) -> bool:
        """Whether pictures come out in the order of their times, as `agrees_with` tells, by their fields."""
        return _are_in_order([self._of_fields(fields) for fields in slices], pts)

    def _learn(self, unit: bytes) -> None:
        if unit[0] & 0x1F != H264_SEQUENCE:
            return
        form = h264_format(unit)
        if form is None or form.may_be_fields or form.order_kind == 1 or self._form not in {None, form}:
            raise UnknownOrderError
        self._form = form

    def _take(self, unit: bytes) -> Place | None:
        kind = unit[0] & 0x1F
        if kind in _H264_SLICES:
            return self._of_slice(unit[:_HEADER_BYTES])
        if kind in _H264_ENDS:
            raise UnknownOrderError
        self._learn(unit)
        return None

    def _of_slice(self, unit: bytes) -> Place:
        form = self._form
        if form is None:
            raise UnknownOrderError
        is_idr, is_reference = unit[0] & 0x1F == _H264_IDR, bool(unit[0] >> 5 & 3)
        bits = Bits(unit[1:])
        bits.unsigned()  # first_mb_in_slice
        bits.unsigned()  # slice_type
        bits.unsigned()  # pic_parameter_set_id
        number = bits.take(form.number_bits)
        if is_idr:
            bits.unsigned()  # idr_pic_id
        return self._of_fields(SliceFields(is_idr, is_reference, number, bits.take(form.order_bits)))

    def _of_fields(self, fields: SliceFields) -> Place:
        form = self._form
        if form is None:
            raise UnknownOrderError
        is_idr, is_reference, _, order = fields
        if is_idr:
            self._sequence += 1
            self._high = self._low = 0
        if form.order_kind:
            # Pictures are shown in the order in which they are decoded.
            self._high += 1
            return self._sequence, self._high
        count = self._count(order, form.order_bits)
        if is_reference:
            self._refer_to(count, form.order_bits)
        return self._sequence, count


class HevcOrder(PictureOrder):
    """The order of HEVC pictures. Those that may not be shown raise `DamagedPacketError`."""

    _order_bits: int | None = None

    def __init__(self, units: UnitFormat, extradata: bytes) -> None:
        self._sets: dict[int, HevcPictureSet] = {}
        self._has_begun = self._drops_leading = False
        super().__init__(units, extradata)

    def _learn(self, unit: bytes) -> None:
        kind = unit[0] >> 1 & 0x3F
        if kind == HEVC_PICTURE:
            found = hevc_picture_set(unit)
            self._sets[found.number] = found
        elif kind == HEVC_SEQUENCE:
            order_bits = hevc_order_bits(unit)
            if order_bits is None or self._order_bits not in {None, order_bits}:
                raise UnknownOrderError
            self._order_bits = order_bits

    def _take(self, unit: bytes) -> Place | None:
        kind = unit[0] >> 1 & 0x3F
        if len(unit) < 2 or unit[0] & 1 or unit[1] >> 3:
            # Another layer, which the decoder ignores.
            return None
        if kind in _HEVC_SLICES:
            return self._of_slice(kind, unit[:_HEADER_BYTES])
        if kind in _HEVC_ENDS:
            raise UnknownOrderError
        self._learn(unit)
        return None

    def _of_slice(self, kind: int, unit: bytes) -> Place:
        if self._order_bits is None:
            raise UnknownOrderError
        bits = Bits(unit[2:])
        bits.take(1)  # first_slice_segment_in_pic_flag
        begins = kind in _HEVC_IRAP and (kind != _HEVC_CRA or not self._has_begun)
        self._note_start(kind, begins, drops_prior=kind in _HEVC_IRAP and bool(bits.take(1)))
        picture_set = self._sets.get(bits.unsigned())
        if picture_set is None:
            raise DamagedPacketError
        bits.take(picture_set.extra_bits)
        bits.unsigned()  # slice_type
        if picture_set.has_output_flag and not bits.take(1):
            raise DamagedPacketError
        if kind in _HEVC_IDR:
            return self._sequence, 0
        count = self._count(bits.take(self._order_bits), self._order_bits)
        if unit[1] & 7 == 1 and kind not in _HEVC_LEADING and (kind > 15 or kind & 1):
            self._refer_to(count, self._order_bits)
        return self._sequence, count

    def _note_start(self, kind: int, begins: bool, *, drops_prior: bool) -> None:
        """Follow the sequences, and refuse pictures that a decoder drops at their starts."""
        if begins:
            if drops_prior and self._has_begun:
                raise DamagedPacketError
            self._sequence += 1
            self._high = self._low = 0
        if kind in _HEVC_IRAP:
            # A stream may be cut from a longer one. What it drops then is found by decoding its head.
            self._drops_leading = begins and (self._has_begun or kind in _HEVC_IDR)
        if kind in _HEVC_RASL and self._drops_leading:
            raise DamagedPacketError
        self._has_begun = True


def _are_in_order(places: Iterable[Place | None], pts: Iterable[int]) -> bool:
    shown = sorted((time, place) for time, place in zip(pts, places, strict=True) if place is not None)
    ordered = [place for _, place in shown]
    return all(map(lt, ordered, ordered[1:]))


def picture_order(units: UnitFormat | None, extradata: bytes | None) -> PictureOrder | None:
    """Return the check for a stream, ``None`` if its order cannot be told from slice headers."""
    if units is None:
        return None
    order = HevcOrder if units.is_hevc else H264Order
    try:
        return order(units, extradata or b"")
    except (UnknownOrderError, DamagedPacketError):
        return None
