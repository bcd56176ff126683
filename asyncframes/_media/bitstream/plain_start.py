"""Whether the first picture of an H.264 stream can only look as its header says.

ITU-T H.264: 7.3.1 (units), 7.3.2.3.1 and annex D (messages), 7.4.1.2.4 (IDR pictures).
"""

from __future__ import annotations

from collections.abc import Iterator

from asyncframes._media.bitstream.frame_numbers import frame_numbers
from asyncframes._media.bitstream.nal import DamagedPacketError, UnitFormat

_IDR, _MESSAGES, _DELIMITER = 5, 6, 9

# Buffering periods, registered and unregistered data, recovery points. Other messages may mark a picture as a
# field, or turn it.
_HARMLESS = {0, 4, 5, 6}


def has_plain_header(units: UnitFormat | None, extradata: bytes | None) -> bool:
    """Whether a header has one set of parameters, which is for frames rather than fields."""
    if units is None or units.is_hevc or not units.length_bytes or not extradata or len(extradata) < 6:
        return False
    numbers = frame_numbers(units, extradata)
    return numbers is not None and not numbers.may_be_fields and extradata[5] & 0x1F == 1


def is_plain_start(packet: bytes, units: UnitFormat) -> bool:
    """Whether a packet is an IDR picture, with nothing in it that changes what the header says.

    No picture that is decoded later is shown before an IDR picture.
    """
    kinds = set()
    try:
        for place in units.units(packet):
            kind = packet[place] & 0x1F
            kinds.add(kind)
            length = int.from_bytes(packet[place - units.length_bytes : place], "big")
            if kind == _MESSAGES and not _HARMLESS.issuperset(_messages(packet[place + 1 : place + length])):
                return False
    except DamagedPacketError:
        return False
    return _IDR in kinds and kinds <= {_IDR, _MESSAGES, _DELIMITER}


def _messages(unit: bytes) -> Iterator[int]:
    """Yield the types of the messages in a unit."""
    plain, position = unit.replace(b"\0\0\3", b"\0\0"), 0
    # After the last message, one bit ends the unit.
    while position + 1 < len(plain):
        kind, position = _number(plain, position)
        length, position = _number(plain, position)
        yield kind
        position += length


def _number(data: bytes, position: int) -> tuple[int, int]:
    """Read a number whose bytes add up, the last of which is less than 255."""
    total = 0
    while position < len(data):
        total += data[position]
        position += 1
        if data[position - 1] < 255:
            return total, position
    raise DamagedPacketError
