"""Where the media of an MP4/MOV file lies, found from its box headers alone.

ISO/IEC 14496-12, 4.2: a box begins with a 32-bit size and a four-letter type;
size 1 means that a 64-bit size follows, 0 that the box reaches to the end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from asyncframes._media.checked import Fields, TooManyBoxesError
from asyncframes._media.files.media_files import MediaFile
from asyncframes._model.ranges import ByteRange

LONGEST_HEADER = 16

LONGEST_MOOV = 64 * 1024 * 1024
"""Bytes of a ``moov`` that are read into memory: the tables of some millions of samples."""

# More boxes side by side are no video but keep a reader busy: fragments come by the hundred thousand
# in a day of video, and with them no more than one or two others each.
_MOST_BOXES = 1 << 19
_MOST_OTHERS = 1 << 16
_MEDIA = {b"moof", b"mdat"}

# Bytes that are looked at together, where boxes are short.
_WINDOW = 4096

_FIRST_BOXES = {
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


@dataclass(frozen=True, slots=True)
class Box:
    """Type and place of a box: it begins at `begin`, its payload at `body`, and it ends before `end`."""

    kind: bytes
    begin: int
    body: int
    end: int


def parse_box(header: bytes | memoryview, begin: int, limit: int) -> Box | None:
    """Read the header of a box; ``None`` where there is none.

    A box that claims to reach beyond what holds it ends there.

    Parameters
    ----------
    header
        Its first `LONGEST_HEADER` bytes, or those that there are.
    begin
        Where it begins.
    limit
        Where what holds it ends.
    """
    if len(header) < 8:
        return None
    fields = Fields(header)
    (length,), kind = fields.take(">I"), bytes(header[4:8])
    body = begin + 8
    if length == 1 and len(header) >= LONGEST_HEADER:
        (length,) = fields.take(">4xQ")
        body = begin + 16
    elif length == 0:
        length = limit - begin
    end = min(begin + length, limit)
    return Box(kind, begin, body, end) if body <= end else None


def counted(boxes: Iterator[Box]) -> Iterator[Box]:
    """Pass boxes on, up to as many as a video may have side by side.

    Raises
    ------
    TooManyBoxesError
        There are more.
    """
    others = 0
    for number, box in enumerate(boxes):
        others += box.kind not in _MEDIA
        if number >= _MOST_BOXES or others > _MOST_OTHERS:
            raise TooManyBoxesError(f"more than {number} boxes lie side by side")
        yield box


def boxes_in(data: bytes | memoryview) -> Iterator[Box]:
    """Yield the boxes that lie one after another in some bytes, up to the first that is none.

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


def boxes_of(file: MediaFile, begin: int = 0) -> Iterator[Box]:
    """Yield the top-level boxes of a file from one of them on, up to the first that is none.

    Nothing where the file does not begin as an MP4/MOV file does, or its size
    is unknown.

    Raises
    ------
    TooManyBoxesError
        There are more than any video has.
    """
    return counted(_boxes_of(file, begin))


def _boxes_of(file: MediaFile, begin: int) -> Iterator[Box]:
    size, position, window, seen = file.size, begin, begin, b""
    while size is not None and position + 8 <= size:
        header = seen[position - window :][:LONGEST_HEADER]
        if len(header) < min(LONGEST_HEADER, size - position):
            # The boxes before were short, and those that follow may be too.
            count = _WINDOW if seen and position < window + 2 * _WINDOW else LONGEST_HEADER
            window, seen = position, file.read_at(position, min(count, size - position))
            header = seen[:LONGEST_HEADER]
        box = parse_box(header, position, size)
        if box is None or (position == 0 and box.kind not in _FIRST_BOXES):
            return
        yield box
        position = box.end


class SparseFile(MediaFile):
    """A file whose media reads as zeros, so that its header can be demuxed without fetching them.

    Parameters
    ----------
    file
        The file itself.
    media
        Where its media lies, in ascending order.
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
