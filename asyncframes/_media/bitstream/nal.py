"""NAL units of H.264 and HEVC: whether a packet holds a picture, and whether it is a reference.

ITU-T H.264, 7.3.1 and annex B; ITU-T H.265, 7.3.1 and annex B; ISO/IEC 14496-15, 5.3.3 and 8.3.3 for units
with a length before each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_START_CODE = b"\0\0\1"
_H264_SLICES = {1, 2, 5}

# Units that belong to no picture: messages, parameter sets, delimiters, ends and filler data.
_H264_OTHERS = frozenset(range(6, 13))
_HEVC_OTHERS = frozenset(range(32, 41))

_MAY_BE_PICTURES = {
    False: np.array([header & 0x1F not in _H264_OTHERS for header in range(256)]),
    True: np.array([header >> 1 & 0x3F not in _HEVC_OTHERS for header in range(256)]),
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
        size = (
            len(_DELIMITER).to_bytes(self.length_bytes, "big") if self.length_bytes else b"\0" + _START_CODE
        )
        return size + _DELIMITER

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
        headers = (packet[place] for place in self.units(packet))
        try:
            slices = [header for header in headers if header & 0x1F in _H264_SLICES]
        except DamagedPacketError:
            return True
        return any(header >> 5 & 3 for header in slices)

    def _may_be_picture(self, header: int) -> bool:
        return bool(_MAY_BE_PICTURES[self.is_hevc][header])

    def may_be_pictures(self, headers: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Tell for many units, by their first bytes, whether they may belong to a picture."""
        return _MAY_BE_PICTURES[self.is_hevc][headers]

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
