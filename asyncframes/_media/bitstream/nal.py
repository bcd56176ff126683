"""NAL units of H.264 and HEVC: whether a packet holds a picture, and whether it is a reference.

ITU-T H.264, 7.3.1 and annex B; ITU-T H.265, 7.3.1 and annex B; ISO/IEC 14496-15, 5.3.3 and 8.3.3 for units
with a length before each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_START_CODE = b"\0\0\1"
_H264_SLICES = {1, 2, 5}

# Units that belong to no picture: messages, parameter sets, delimiters, ends and filler data.
_H264_OTHERS = frozenset(range(6, 13))
_HEVC_OTHERS = frozenset(range(32, 41))

# FFmpeg does not decode slices in partitions.
_H264_DECODED = frozenset({1, 5})
_HEVC_SLICES = frozenset({*range(10), *range(16, 22)})

# Messages, delimiters and filler data.
_H264_MESSAGES = frozenset({6, 9, 12})
_HEVC_MESSAGES = frozenset({35, 38, 39, 40})

_MAY_BE_PICTURES = {
    False: np.array([header & 0x1F not in _H264_OTHERS for header in range(256)]),
    True: np.array([header >> 1 & 0x3F not in _HEVC_OTHERS for header in range(256)]),
}

_ARE_MESSAGES = {
    False: np.array([header & 0x1F in _H264_MESSAGES for header in range(256)]),
    True: np.array([header >> 1 & 0x3F in _HEVC_MESSAGES for header in range(256)]),
}

# By the first byte. In HEVC, the second one counts too.
_ARE_SLICES = {
    False: np.array([not header & 0x80 and header & 0x1F in _H264_DECODED for header in range(256)]),
    True: np.array([not header & 0x81 and header >> 1 in _HEVC_SLICES for header in range(256)]),
}

# Looking up one element of a list is faster than one of an array.
_MAY_BE_PICTURES_AS_LIST: dict[bool, list[bool]] = {
    is_hevc: kinds.tolist() for is_hevc, kinds in _MAY_BE_PICTURES.items()
}
_ARE_MESSAGES_AS_LIST: dict[bool, list[bool]] = {
    is_hevc: kinds.tolist() for is_hevc, kinds in _ARE_MESSAGES.items()
}
_ARE_SLICES_AS_LIST: dict[bool, list[bool]] = {
    is_hevc: kinds.tolist() for is_hevc, kinds in _ARE_SLICES.items()
}

_DELIMITER = b"\x09\xf0"

# Most units of a packet that are looked at.
_MOST_UNITS = 4096


class DamagedPacketError(Exception):
    """The first bytes of a packet, or the lengths of its parts, are invalid."""


@dataclass(frozen=True, slots=True)
class UnitFormat:
    """How packets of a stream store their units.

    Attributes
    ----------
    is_hevc
        Whether the codec is HEVC; otherwise it is H.264.
    length_bytes
        Size of the length before each unit in bytes; 0 if start codes separate the units.
    """

    is_hevc: bool
    length_bytes: int

    def delimiter(self) -> bytes:
        """Return a packet that holds only an H.264 access unit delimiter (ISO/IEC 14496-10, 7.3.2.4)."""
        return self.packet_of([_DELIMITER])

    def has_picture(self, packet: bytes) -> bool:
        """Return whether a packet holds a unit that may belong to a picture.

        Raises
        ------
        DamagedPacketError
            The units do not fill the packet, so its content is unknown.
        """
        return any(self._may_be_picture(packet[place]) for place in self.units(packet))

    def is_reference(self, packet: bytes) -> bool:
        """Tell by ``nal_ref_idc`` whether an H.264 picture may be a reference; true for damaged units."""
        try:
            for place in self.units(packet):
                header = packet[place]
                if header & 0x60 and header & 0x1F in _H264_SLICES:
                    return True
        except DamagedPacketError:
            return True
        return False

    def heads(self, packet: bytes, length: int) -> list[bytes]:
        """Return the units of a packet that a decoder needs, of slices only the first bytes.

        Parameters
        ----------
        length
            Bytes to return of each slice.

        Raises
        ------
        DamagedPacketError
            The units do not fill the packet, or none of those that may be pictures is a slice.
        """
        # Most packets hold one slice, so they need no loop.
        if self.is_one_slice(packet):
            return [packet[self.length_bytes : self.length_bytes + length]]
        found: list[bytes] = []
        has_slice = has_other = False
        starts = [*self.units(packet)]
        ends = [*(start - self._gap for start in starts[1:]), len(packet)]
        # A packet of empty units has no starts, but one end.
        for start, end in zip(starts, ends, strict=False):
            header = packet[start]
            if self._may_be_picture(header):
                is_slice = self._is_slice(packet[start : start + 2])
                has_slice, has_other = has_slice or is_slice, has_other or not is_slice
                found.append(packet[start : min(end, start + length)])
            elif not self._is_message(header):
                found.append(packet[start:end])
        if has_other and not has_slice:
            raise DamagedPacketError
        return found

    def is_picture(self, units: Iterable[bytes]) -> bool:
        """Whether one of some units may belong to a picture."""
        return any(self._may_be_picture(unit[0]) for unit in units)

    def is_one_slice(self, packet: bytes) -> bool:
        """Whether a packet is one slice with its length before it."""
        first = self.length_bytes
        is_one = 0 < int.from_bytes(packet[:first], "big") == len(packet) - first
        return is_one and self._is_slice(packet[first : first + 2])

    @property
    def _gap(self) -> int:
        """Length of what separates two units at least."""
        return self.length_bytes or len(_START_CODE)

    def _is_message(self, header: int) -> bool:
        """Whether a unit is a message or filler, which decoders may ignore."""
        return _ARE_MESSAGES_AS_LIST[self.is_hevc][header]

    def packet_of(self, units: Iterable[bytes]) -> bytes:
        """Join units to a packet."""
        if not self.length_bytes:
            return b"".join(b"\0" + _START_CODE + unit for unit in units)
        width = self.length_bytes
        # A list is joined faster than what a generator yields.
        return b"".join([len(unit).to_bytes(width, "big") + unit for unit in units])

    def _is_slice(self, header: bytes) -> bool:
        """Whether a decoder takes a unit for a slice of the base layer, by its first two bytes."""
        is_slice = _ARE_SLICES_AS_LIST[self.is_hevc][header[0]]
        if not self.is_hevc:
            return is_slice
        return is_slice and len(header) > 1 and not header[1] >> 3 and bool(header[1] & 7)

    def _may_be_picture(self, header: int) -> bool:
        return _MAY_BE_PICTURES_AS_LIST[self.is_hevc][header]

    def may_be_pictures(self, headers: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Tell for many units, by their first bytes, whether they may belong to a picture."""
        return _MAY_BE_PICTURES[self.is_hevc][headers]

    def are_messages(self, headers: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Tell for many units, by their first bytes, whether they are messages or filler."""
        return _ARE_MESSAGES[self.is_hevc][headers]

    def are_slices(self, headers: NDArray[np.uint8], seconds: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Tell for many units, by their first two bytes, whether a decoder takes them for slices."""
        are = _ARE_SLICES[self.is_hevc][headers]
        return are & (seconds >> 3 == 0) & (seconds & 7 > 0) if self.is_hevc else are

    def units(self, packet: bytes) -> Iterator[int]:
        """Yield the positions of the units of a packet."""
        return _by_length(packet, self.length_bytes) if self.length_bytes else _by_start_code(packet)


def unit_format(codec: str | None, extradata: bytes | None) -> UnitFormat | None:
    """Return how a stream stores its units, ``None`` for codecs without them."""
    if codec not in {"h264", "hevc"}:
        return None
    is_hevc = codec == "hevc"
    place = 21 if is_hevc else 4
    if not extradata or extradata[0] != 1 or len(extradata) <= place:
        return UnitFormat(is_hevc, 0)
    return UnitFormat(is_hevc, (extradata[place] & 3) + 1)


def _by_length(packet: bytes, length_bytes: int) -> Iterator[int]:
    position = 0
    for _ in range(_MOST_UNITS):
        begin = position + length_bytes
        position = begin + int.from_bytes(packet[position:begin], "big")
        if position > len(packet) or begin > len(packet):
            raise DamagedPacketError
        if position > begin:
            yield begin
        if position == len(packet):
            return


def _by_start_code(packet: bytes) -> Iterator[int]:
    position = packet.find(_START_CODE)
    if position < 0:
        raise DamagedPacketError
    for _ in range(_MOST_UNITS):
        if position < 0 or position + 3 >= len(packet):
            return
        yield position + 3
        position = packet.find(_START_CODE, position + 3)
