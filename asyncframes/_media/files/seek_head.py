"""The places that the seek head of a Matroska file lists.

RFC 9559, 5.1.1: a ``SeekHead`` near the start of the ``Segment`` lists other elements by type and position,
counted from the first byte of the ``Segment``'s payload. RFC 8794, 4: numbers of variable length.
"""

from __future__ import annotations

import re

EBML_ID = b"\x1a\x45\xdf\xa3"
"""How Matroska and WebM begin."""

_SEGMENT_ID, _SEEK_HEAD_ID = b"\x18\x53\x80\x67", b"\x11\x4d\x9b\x74"
_SEEK_POSITION = re.compile(rb"\x53\xac([\x81-\x88])(.{1,8})", re.DOTALL)


def places_in_seek_head(head: bytes) -> frozenset[int]:
    """Find the positions that a seek head in the first bytes of a file lists; nothing in other files.

    The list is searched for, not parsed: a wrong place only makes a seek fail that nothing depends on.
    """
    segment, listed = head.find(_SEGMENT_ID), head.find(_SEEK_HEAD_ID)
    if not head.startswith(EBML_ID) or not 0 <= segment < listed:
        return frozenset()
    # The length of the length is told by the leading zero bits of its first byte.
    length_at = segment + len(_SEGMENT_ID)
    body = length_at + 9 - head[length_at].bit_length()
    found = ((count[0] & 0xF, place) for count, place in _SEEK_POSITION.findall(head, listed))
    return frozenset(
        body + int.from_bytes(place[:count], "big") for count, place in found if len(place) >= count
    )
