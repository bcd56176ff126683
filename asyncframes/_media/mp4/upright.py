"""Whether an MP4/MOV track is shown as it is stored: ISO/IEC 14496-12, 8.2.2 (``mvhd``), 8.3.2 (``tkhd``)."""

from __future__ import annotations

from struct import pack

from asyncframes._media.checked import MalformedError
from asyncframes._media.files.media_files import MediaFile
from asyncframes._media.mp4.boxes import LONGEST_MOOV, boxes_in, boxes_of

_UNCHANGED = pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def is_upright(file: MediaFile, track: int) -> bool:
    """Whether neither the movie nor a track moves, turns or mirrors pictures."""
    try:
        moov = next((box for box in boxes_of(file) if box.kind == b"moov"), None)
        if moov is None or moov.end - moov.body > LONGEST_MOOV:
            return False
        return _is_upright(file.read_at(moov.body, moov.end - moov.body), track)
    except MalformedError:
        return False


def _is_upright(moov: bytes, track: int) -> bool:
    movies, tracks = [], []
    for box in boxes_in(moov):
        if box.kind == b"mvhd":
            movies.append(_matrix(moov[box.body : box.end], 36, 48))
        elif box.kind == b"trak":
            header = _track_header(moov[box.body : box.end])
            if _track_number(header) == track:
                tracks.append(_matrix(header, 40, 52))
    return movies == [_UNCHANGED] and tracks == [_UNCHANGED]


def _track_header(track: bytes) -> bytes:
    return next((track[box.body : box.end] for box in boxes_in(track) if box.kind == b"tkhd"), b"")


def _track_number(header: bytes) -> int:
    place = 20 if header[:1] == b"\1" else 12
    return int.from_bytes(header[place : place + 4], "big", signed=True)


def _matrix(header: bytes, place: int, place_if_long: int) -> bytes:
    """Return the matrix of a header, whose version 1 has longer times before it."""
    start = place_if_long if header[:1] == b"\1" else place
    return header[start : start + len(_UNCHANGED)]
