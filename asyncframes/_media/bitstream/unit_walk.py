"""Walks the NAL units of all packets of a file together, which is much faster than one packet at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asyncframes._media.bitstream.nal import DamagedPacketError, UnitFormat
from asyncframes._model.table import BoolArray, Int64Array

# A packet with more units counts as holding a picture.
_MOST_UNITS = 64


class UnitWalk:
    """The units of many packets, each with its length before it.

    Parameters
    ----------
    data
        Bytes that hold the packets.
    starts, sizes
        Where each packet begins in `data`, and its size in bytes.
    units
        How packets store their units, with lengths.

    Attributes
    ----------
    has_picture
        For each packet, whether it may hold a picture, as `UnitFormat.has_picture` tells.
    is_broken
        For each packet, whether its units do not fill it exactly.
    unsure
        The packets that hold no picture, or too many units to tell.
    """

    def __init__(self, data: bytes, starts: Int64Array, sizes: Int64Array, units: UnitFormat) -> None:
        self._data = data
        self._bytes = np.frombuffer(data, np.uint8)
        self._starts = starts
        self._ends = np.minimum(starts + sizes, len(data))
        self._units = units
        self.has_picture: BoolArray = np.zeros(len(starts), np.bool_)
        self.is_broken: BoolArray = self._ends < starts + sizes
        self._walk()

    def _walk(self) -> None:
        width, ends = self._units.length_bytes, self._ends
        places, left = self._starts.copy(), np.flatnonzero(~self.is_broken)
        found: list[tuple[NDArray[np.intp], Int64Array, Int64Array]] = []
        for _ in range(_MOST_UNITS):
            left = self._without_broken(left, places[left] + width > ends[left])
            begins = places[left] + width
            lengths: Int64Array = np.zeros(len(left), np.int64)
            for byte in range(width):
                lengths = lengths << 8 | self._bytes[places[left] + byte]
            is_cut = begins + lengths > ends[left]
            left, begins, lengths = self._without_broken(left, is_cut), begins[~is_cut], lengths[~is_cut]
            full = lengths > 0
            found.append((left[full], begins[full], lengths[full]))
            places[left] = begins + lengths
            left = left[places[left] < ends[left]]
            if not len(left):
                break
        self._unfinished = left
        numbers, begins, lengths = (np.concatenate(column) for column in zip(*found, strict=True))
        by_packet = np.argsort(numbers, kind="stable")
        self._numbers, self._begins, self._lengths = numbers[by_packet], begins[by_packet], lengths[by_packet]
        self.has_picture[numbers[self._units.may_be_pictures(self._bytes[begins])]] = True
        is_unsure = ~self.has_picture
        is_unsure[left] = True
        self.unsure: list[int] = np.flatnonzero(is_unsure).tolist()
        self.has_picture[left] = True

    def _without_broken(self, packets: NDArray[np.intp], is_cut: BoolArray) -> NDArray[np.intp]:
        self.is_broken[packets[is_cut]] = True
        return packets[~is_cut]

    def __getitem__(self, number: int, /) -> bytes:
        """Return the bytes of a packet."""
        return self._data[self._starts[number] : self._ends[number]]

    def heads(self, length: int) -> list[list[bytes] | None]:
        """Return what `UnitFormat.heads` returns for each packet, ``None`` for those that are damaged."""
        begins, lengths = self._begins, self._lengths
        headers = self._bytes[begins]
        # A second byte beyond the packet reads as zero, which no slice has there.
        is_inside = begins + 1 < self._ends[self._numbers]
        seconds = np.where(is_inside, self._bytes[np.where(is_inside, begins + 1, 0)], 0)
        may_be, is_slice = self._units.may_be_pictures(headers), self._units.are_slices(headers, seconds)
        ends = begins + np.where(may_be, np.minimum(lengths, length), lengths)
        kept = may_be | ~self._units.are_messages(headers)
        heads: list[list[bytes] | None] = [[] for _ in self._starts]
        rows = zip(*(column[kept].tolist() for column in (self._numbers, begins, ends)), strict=True)
        for number, begin, end in rows:
            units = heads[number]
            if units is not None:
                units.append(self._data[begin:end])
        others, slices = (
            np.bincount(self._numbers[where], minlength=len(heads)) > 0
            for where in (may_be & ~is_slice, is_slice)
        )
        for number in np.flatnonzero(self.is_broken | others & ~slices).tolist():
            heads[number] = None
        for number in self._unfinished.tolist():
            heads[number] = self._alone(number, length)
        return heads

    def _alone(self, number: int, length: int) -> list[bytes] | None:
        try:
            return self._units.heads(self[number], length)
        except DamagedPacketError:
            return None
