"""What the indexes of a fragmented MP4 say: ``sidx`` and ``mfra``, and the length that its ``moov`` claims.

ISO/IEC 14496-12: 8.16.3 (``sidx``), 8.8.10 and 8.8.11 (``tfra``, ``mfro``), 8.8.2 (``mehd``).
None of it is trusted: places that are wrong are never read as what they are not.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction

from asyncframes._media._boxes import boxes_in, boxes_of
from asyncframes._media._files import CachedFile, MediaFile

_MFRO_BYTES = 16
_LONGEST_MFRA = 16 * 1024 * 1024
_LONGEST_MOOV = 64 * 1024


@dataclass(frozen=True, slots=True)
class SegmentIndex:
    """A ``sidx``: where segments begin, where the last one ends, and how long they last together."""

    places: list[int]
    end: int
    seconds: Fraction


def read_sidx(data: bytes, begin: int) -> SegmentIndex:
    """Read a ``sidx`` box that begins at a place of the file; what is cut off is left out."""
    fields = _Fields(data)
    version = fields.take(">8xB3x4xI")
    if version is None:
        return SegmentIndex([], begin, Fraction(0))
    wide, timescale = version
    offsets = fields.take(">8xQ" if wide else ">4xI")
    count = fields.take(">2xH")
    position = begin + len(data) + (offsets[0] if offsets else 0)
    places, ticks = [], 0
    for _ in range(count[0] if count else 0):
        reference = fields.take(">II4x")
        if reference is None:
            break
        places.append(position)
        position += reference[0] & 0x7FFFFFFF
        ticks += reference[1]
    return SegmentIndex(places, position, Fraction(ticks, timescale or 1))


def read_mfra(file: CachedFile) -> tuple[int, bytes] | None:
    """Fetch the ``mfra`` at the end of a file, with the byte where it begins; ``None`` without one."""
    size = file.size or 0
    if size < _MFRO_BYTES:
        return None
    [tail] = file.read_ranges([(size - _MFRO_BYTES, size)])
    kind, length = struct.unpack(">4x4s4xI", tail)
    if kind != b"mfro" or not _MFRO_BYTES < length <= min(size, _LONGEST_MFRA):
        return None
    [data] = file.read_ranges([(size - length, size)])
    return size - length, data


def places_in_mfra(data: bytes) -> set[int]:
    """Read from an ``mfra`` box where fragments begin."""
    places: set[int] = set()
    for box in boxes_in(data):
        if box.kind == b"mfra":
            children = data[box.body : box.end]
            places.update(
                *(
                    _in_tfra(children[child.body : child.end])
                    for child in boxes_in(children)
                    if child.kind == b"tfra"
                )
            )
    return places


def _in_tfra(data: bytes) -> list[int]:
    fields = _Fields(data)
    head = fields.take(">B3x4xII")
    if head is None:
        return []
    wide, widths, count = head
    numbers = sum((widths >> shift & 3) + 1 for shift in (0, 2, 4))
    entry = f">8xQ{numbers}x" if wide else f">4xI{numbers}x"
    places = []
    for _ in range(count):
        if (place := fields.take(entry)) is None:
            break
        places.append(place[0])
    return places


def claimed_seconds(file: MediaFile) -> Fraction | None:
    """Return how long a fragmented MP4 says it is before its first fragment, ``None`` if it does not."""
    claim = None
    for box in boxes_of(file):
        if box.kind == b"sidx" and file.size is not None:
            index = read_sidx(file.read_at(box.begin, box.end - box.begin), box.begin)
            if len(index.places) > 1:
                return index.seconds
        if box.kind == b"moov" and box.end - box.begin <= _LONGEST_MOOV:
            claim = _seconds_in_moov(file.read_at(box.body, box.end - box.body))
        if box.kind == b"moof" or box.end > _LONGEST_MOOV:
            return claim
    return claim


def _seconds_in_moov(moov: bytes) -> Fraction | None:
    found = {box.kind: moov[box.body : box.end] for box in boxes_in(moov)}
    mvex = found.get(b"mvex", b"")
    mehd = next((mvex[box.body : box.end] for box in boxes_in(mvex) if box.kind == b"mehd"), b"")
    header = found.get(b"mvhd", b"")
    scale = _Fields(header).take(">20xI" if header[:1] == b"\1" else ">12xI")
    ticks = _Fields(mehd).take(">4xQ" if mehd[:1] == b"\1" else ">4xI")
    return Fraction(ticks[0], scale[0]) if scale and ticks and scale[0] else None


class _Fields:
    """Fields of a box, taken one after another."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def take(self, layout: str) -> tuple[int, ...] | None:
        """Read the next fields; ``None`` where the box ends before them."""
        size = struct.calcsize(layout)
        if self._position + size > len(self._data):
            return None
        fields = struct.unpack_from(layout, self._data, self._position)
        self._position += size
        return fields
