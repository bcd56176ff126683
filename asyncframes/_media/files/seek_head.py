"""Reads the positions that the seek head of a Matroska file lists.

RFC 9559, 5.1.1: a ``SeekHead`` near the start of the ``Segment`` lists other elements by type and position,
counted from the first byte of the ``Segment``'s payload. RFC 8794, 4: numbers of variable length.
"""

from __future__ import annotations

import re

EBML_ID = b"\x1a\x45\xdf\xa3"
"""First bytes of Matroska and WebM."""

_SEGMENT_ID, _SEEK_HEAD_ID = b"\x18\x53\x80\x67", b"\x11\x4d\x9b\x74"
_SEEK_POSITION = re.compile(rb"\x53\xac([\x81-\x88])(.{1,8})", re.DOTALL)


def places_in_seek_head(head: bytes) -> frozenset[int]:
    """Return the positions that a seek head in the first bytes of a file lists; empty for other files.

    The entries are searched for, not parsed. A wrong position only makes an unneeded seek fail.
    """
    segment, listed = head.find(_SEGMENT_ID), head.find(_SEEK_HEAD_ID)
    if not head.startswith(EBML_ID) or not 0 <= segment < listed:
        return frozenset()
    # The number of leading zero bits of the first byte gives the size of the length field.
    length_at = segment + len(_SEGMENT_ID)
    body = length_at + 9 - head[length_at].bit_length()
    found = ((count[0] & 0xF, place) for count, place in _SEEK_POSITION.findall(head, listed))
    return frozenset(
        body + int.from_bytes(place[:count], "big") for count, place in found if len(place) >= count
    )
