"""Reads the indexes of a fragmented MP4 (``sidx``, ``mfra``) and the duration that its ``moov`` claims.

ISO/IEC 14496-12: 8.16.3 (``sidx``), 8.8.10 and 8.8.11 (``tfra``, ``mfro``), 8.8.2 (``mehd``).
None of it is trusted: the positions only tell what to fetch in advance.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from asyncframes._media.checked import Fields, MalformedError
from asyncframes._media.files.media_files import CachedFile, MediaFile
from asyncframes._media.mp4.boxes import boxes_in, boxes_of

_MFRO_BYTES = 16
_LONGEST_MFRA = 16 * 1024 * 1024
_LONGEST_MOOV = 64 * 1024
_REFERENCE_BYTES = 12

LONGEST_SIDX = 1024 * 1024
"""Length of a ``sidx`` with the most references that it can count."""


@dataclass(frozen=True, slots=True)
class SegmentIndex:
    """A ``sidx``: where its segments begin, where the last one ends, and their duration in seconds."""

    places: list[int]
    end: int
    seconds: Fraction


def read_sidx(data: bytes, begin: int) -> SegmentIndex:
    """Read a ``sidx`` box at position `begin` of the file. References that are cut off are left out."""
    fields = Fields(data)
    try:
        wide, timescale = fields.take(">8xB3x4xI")
        (offset,) = fields.take(">8xQ" if wide else ">4xI")
        (count,) = fields.take(">2xH")
        sizes, ticks = fields.rows(min(count, fields.left // _REFERENCE_BYTES), ">u4", ">u4", "V4")
    except MalformedError:
        return SegmentIndex([], begin, Fraction(0))
    ends = (np.cumsum(sizes & 0x7FFFFFFF)).tolist()
    first = begin + len(data) + offset
    places = [first + end for end in [0, *ends]]
    return SegmentIndex(places[:-1], places[-1], Fraction(int(ticks.sum()), timescale or 1))


def read_mfra(file: CachedFile) -> tuple[int, bytes] | None:
    """Fetch the ``mfra`` at the end of a file, with its position; ``None`` if there is none."""
    size = file.size or 0
    if size < _MFRO_BYTES:
        return None
    [tail] = file.read_ranges([(size - _MFRO_BYTES, size)])
    (length,) = Fields(tail).take(">12xI")
    if tail[4:8] != b"mfro" or not _MFRO_BYTES < length <= min(size, _LONGEST_MFRA):
        return None
    [data] = file.read_ranges([(size - length, size)])
    return size - length, data


def places_in_mfra(data: bytes) -> set[int]:
    """Read where fragments begin from an ``mfra`` box. Entries that are cut off are left out."""
    try:
        return set(_places_in(data))
    except MalformedError:
        return set()


def _places_in(data: bytes) -> Iterator[int]:
    for box in boxes_in(data):
        if box.kind == b"mfra":
            children = data[box.body : box.end]
            for child in boxes_in(children):
                if child.kind == b"tfra":
                    yield from _in_tfra(children[child.body : child.end])


def _in_tfra(data: bytes) -> list[int]:
    fields = Fields(data)
    try:
        wide, widths, count = fields.take(">B3x4xII")
    except MalformedError:
        return []
    numbers = sum((widths >> shift & 3) + 1 for shift in (0, 2, 4))
    entry = ("V8", ">u8", f"V{numbers}") if wide else ("V4", ">u4", f"V{numbers}")
    length = numbers + (16 if wide else 8)
    [places] = fields.rows(min(count, fields.left // length), *entry)
    return [place for place in places.tolist() if place >= 0]


def claimed_seconds(file: MediaFile) -> Fraction | None:
    """Return the duration that a fragmented MP4 claims before its first fragment, ``None`` if it has none."""
    try:
        return _claimed_seconds(file)
    except MalformedError:
        return None


def _claimed_seconds(file: MediaFile) -> Fraction | None:
    claim = None
    for box in boxes_of(file):
        if box.kind == b"sidx" and box.end - box.begin <= LONGEST_SIDX:
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
    try:
        (scale,) = Fields(header).take(">20xI" if header[:1] == b"\1" else ">12xI")
        (ticks,) = Fields(mehd).take(">4xQ" if mehd[:1] == b"\1" else ">4xI")
    except MalformedError:
        return None
    return Fraction(ticks, scale) if scale else None
