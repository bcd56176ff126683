"""Where the media of an MP4/MOV file lies, found from its box headers alone.

ISO/IEC 14496-12, 4.2: a box begins with a 32-bit size and a four-letter type;
size 1 means that a 64-bit size follows, 0 that the box reaches to the end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from asyncframes._media._files import MediaFile

_LONGEST_HEADER = 16
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


def media_ranges(file: MediaFile) -> list[tuple[int, int]] | None:
    """List the byte ranges of the payloads of top-level ``mdat`` boxes.

    Returns
    -------
    list of (start, stop) or None
        ``None`` where the file is not made of such boxes, or its size is unknown.
    """
    ranges = []
    first = True
    for kind, start, stop in _boxes(file):
        if first and kind not in _FIRST_BOXES:
            return None
        first = False
        if kind == b"mdat":
            ranges.append((start, stop))
    return None if first else ranges


def _boxes(file: MediaFile) -> Iterator[tuple[bytes, int, int]]:
    """Yield type and payload range of each top-level box, up to the first that makes no sense."""
    size = file.size
    position = 0
    while size is not None and position + 8 <= size:
        header = _read_at(file, position, min(_LONGEST_HEADER, size - position))
        length, kind = struct.unpack_from(">I4s", header)
        header_length = 8
        if length == 1 and len(header) == _LONGEST_HEADER:
            (length,) = struct.unpack_from(">Q", header, 8)
            header_length = 16
        elif length == 0:
            length = size - position
        if length < header_length:
            return
        yield kind, position + header_length, min(position + length, size)
        position += length


def _read_at(file: MediaFile, position: int, count: int) -> bytes:
    file.seek(position)
    data = b""
    while len(data) < count and (part := file.read(count - len(data))):
        data += part
    file.raise_error()
    return data.ljust(8, b"\0")


class SparseFile(MediaFile):
    """A file whose media reads as zeros, so that its header can be demuxed without fetching them."""

    def __init__(self, file: MediaFile, media: list[tuple[int, int]]) -> None:
        super().__init__(file.size, file.source_name)
        self._file = file
        self._media = media

    def _read_at(self, position: int, count: int) -> bytes:
        if self.size is None or position >= self.size:
            return b""
        for start, stop in self._media:
            if start <= position < stop:
                return bytes(min(count, stop - position))
            if position < start:
                count = min(count, start - position)
                break
        self._file.seek(position)
        return self._file.read(count)

    def abort(self) -> None:
        self._file.abort()
