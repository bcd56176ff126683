"""Tells Motion JPEG, which is one JPEG picture right behind another, from a single picture.

ITU-T T.81 (JPEG), annex B: a picture is a row of segments between two markers, and after the header of a scan
comes coded data, in which every byte 0xFF is followed by a zero or by a restart marker.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from asyncframes._media.checked import Fields, MalformedError

if TYPE_CHECKING:
    from asyncframes._media.files.media_files import MediaFile

_START = b"\xff\xd8\xff"
_START_OF_IMAGE, _END_OF_IMAGE, _APP2 = 0xD8, 0xD9, 0xE2
# All but those of a Huffman table (C4), an extension (C8) and arithmetic coding (CC).
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NEXT_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")

# CIPA DC-007: a photograph with others behind it, such as a preview or a gain map, lists them in a segment.
_LISTS_OTHERS = b"MPF\0"

# The next picture is looked for in so many bytes, each time in more. That of a photograph costs no more.
_LOOKS = (64 * 1024, 512 * 1024, 4 * 1024 * 1024)
_MOST_SEGMENTS = 4096


class _Picture(NamedTuple):
    """One JPEG picture: its height and width, where it ends, and whether it lists others behind it."""

    shape: tuple[int, int]
    end: int
    lists_others: bool


def is_motion_jpeg(file: MediaFile) -> bool:
    """Whether a file begins with two JPEG pictures of one size, and the first does not list the second.

    FFmpeg takes most files of pictures with a JFIF header for a single picture.
    """
    if file.read_at(0, len(_START)) != _START:
        return False
    for count in _LOOKS:
        data = file.read_at(0, count)
        try:
            return begins_with_two(data)
        except MalformedError:
            if len(data) < count:
                return False
    return False


def begins_with_two(data: bytes) -> bool:
    """Whether bytes begin with two pictures of one size. The second need not be whole.

    Raises
    ------
    MalformedError
        They end too early to tell, or are not JPEG.
    """
    first = _picture(data, 2, whole=True)
    found = _NEXT_MARKER.search(data, first.end)
    if found is None:
        raise MalformedError("no picture begins behind the first")
    is_next = found[1][0] == _START_OF_IMAGE and not data[first.end : found.start()].strip(b"\0\xff")
    if first.lists_others or not is_next:
        return False
    return _picture(data, found.end(), whole=False).shape == first.shape


def _picture(data: bytes, position: int, *, whole: bool) -> _Picture:
    """Read a picture behind its first marker; if not `whole`, only up to its size."""
    shape, lists_others = None, False
    for _ in range(_MOST_SEGMENTS):
        found = _NEXT_MARKER.search(data, position)
        if found is None:
            break
        marker, position = found[1][0], found.end()
        if marker == _END_OF_IMAGE and shape is not None:
            return _Picture(shape, position, lists_others)
        fields = Fields(data, position)
        (length,) = fields.take(">H")
        if marker in _FRAME_HEADERS:
            height, width = fields.take(">xHH")
            shape = height, width
            if not whole:
                return _Picture(shape, position, lists_others)
        lists_others |= marker == _APP2 and data.startswith(_LISTS_OTHERS, position + 2)
        position += length
    raise MalformedError("the first picture does not end")
