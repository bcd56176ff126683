"""Finds the media of an MP4/MOV file from its box headers alone.

ISO/IEC 14496-12, 4.2: a box begins with a 32-bit size and a four-letter type;
size 1 means that a 64-bit size follows, 0 that the box extends to the end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from asyncframes._media.checked import Fields, TooManyBoxesError
from asyncframes._media.files.media_files import MediaFile
from asyncframes._model.ranges import ByteRange

LONGEST_HEADER = 16

_LENGTH_AND_KIND = Struct(">I4s")

LONGEST_MOOV = 64 * 1024 * 1024
"""Longest ``moov`` that is read into memory. It has room for the tables of several million samples."""

MOST_NESTED = 10
"""FFmpeg refuses boxes that are nested deeper."""

# A day of video has some hundred thousand fragments, each with one or two other boxes. More siblings than
# this are no video, and would only keep a reader busy.
_MOST_BOXES = 1 << 19
_MOST_OTHERS = 1 << 16
_MEDIA = {b"moof", b"mdat"}

# Bytes that are read at a time if boxes are short.
_WINDOW = 4096

# Stands for the end of a file whose size is unknown.
_UNKNOWN_SIZE = 1 << 62

FIRST_BOXES = {
    b"ftyp",
    b"styp",
    b"moov",
    b"mdat",
    b"free",
    b"skip",
    b"wide",
    b"pnot",
    b"sidx",
    b"moof",
    b"uuid",
}


class Box(NamedTuple):
    """Type and position of a box. The payload begins at `body`; the box ends before `end`."""

    kind: bytes
    begin: int
    body: int
    end: int


def parse_box(header: bytes | memoryview, begin: int, limit: int) -> Box | None:
    """Read the header of a box; ``None`` if there is no valid one.

    A box that claims to be longer than its parent ends with it.

    Parameters
    ----------
    header
        The first `LONGEST_HEADER` bytes of the box, or fewer at the end.
    begin
        Position of the box.
    limit
        End of the parent.
    """
    if len(header) < 8:
        return None
    length, kind = _LENGTH_AND_KIND.unpack_from(header)
    body = begin + 8
    if length == 1 and len(header) >= LONGEST_HEADER:
        (length,) = Fields(header).take(">8xQ")
        body = begin + 16
    elif length == 0:
        length = limit - begin
    end = min(begin + length, limit)
    return Box(kind, begin, body, end) if body <= end else None


def counted(boxes: Iterator[Box]) -> Iterator[Box]:
    """Yield `boxes`, and count them.

    Raises
    ------
    TooManyBoxesError
        There are more siblings than any video has.
    """
    others = 0
    for number, box in enumerate(boxes):
        others += box.kind not in _MEDIA
        if number >= _MOST_BOXES or others > _MOST_OTHERS:
            raise TooManyBoxesError(f"a box or the file has more than {number} boxes")
        yield box


def boxes_in(data: bytes | memoryview) -> Iterator[Box]:
    """Yield the boxes in some bytes, up to the first invalid one.

    Raises
    ------
    TooManyBoxesError
        There are more than any video has.
    """
    return counted(_boxes_in(data))


def _boxes_in(data: bytes | memoryview) -> Iterator[Box]:
    position = 0
    while box := parse_box(data[position : position + LONGEST_HEADER], position, len(data)):
        yield box
        position = box.end


def boxes_of(file: MediaFile, begin: int = 0, *, of_any_size: bool = False) -> Iterator[Box]:
    """Yield the top-level boxes of a file, from the one at `begin` up to the first invalid one.

    Yields nothing if the file does not start like an MP4/MOV file.

    Parameters
    ----------
    of_any_size
        Whether to read a file whose size is unknown, too. Each box then waits until those
        before it have arrived, and may end behind the file. By default such a file yields
        nothing.

    Raises
    ------
    TooManyBoxesError
        There are more than any video has.
    """
    size = _UNKNOWN_SIZE if file.size is None and of_any_size else file.size
    return counted(_boxes_of(file, begin, size or 0))


def _boxes_of(file: MediaFile, begin: int, size: int) -> Iterator[Box]:
    position, window, seen = begin, begin, b""
    while position + 8 <= size:
        header = seen[position - window :][:LONGEST_HEADER]
        if len(header) < min(LONGEST_HEADER, size - position):
            # If the last boxes were short, the next ones may be too: one read covers several. It would have
            # to wait for a source that sends no more than a header.
            is_dense = seen and position < window + 2 * _WINDOW and size < _UNKNOWN_SIZE
            count = _WINDOW if is_dense else LONGEST_HEADER
            window, seen = position, file.read_at(position, min(count, size - position))
            header = seen[:LONGEST_HEADER]
        box = parse_box(header, position, size)
        if box is None or (position == 0 and box.kind not in FIRST_BOXES):
            return
        yield box
        position = box.end


class SparseFile(MediaFile):
    """A file whose media reads as zeros, so that the header can be demuxed without fetching the media.

    Parameters
    ----------
    file
        The real file.
    media
        Byte ranges of its media, in ascending order.
    """

    def __init__(self, file: MediaFile, media: list[ByteRange]) -> None:
        super().__init__(file.size, file.source_name)
        self.holds_media = False
        self._file = file
        self._media = media

    def _read_at(self, position: int, count: int) -> bytes:
        if self.size is None or position >= self.size:
            return b""
        place = bisect_right(self._media, (position, self.size))
        if place > 0 and position < self._media[place - 1][1]:
            return bytes(min(count, self._media[place - 1][1] - position))
        if place < len(self._media):
            count = min(count, self._media[place][0] - position)
        self._file.seek(position)
        return self._file.read(count)

    def abort(self) -> None:
        self._file.abort()
