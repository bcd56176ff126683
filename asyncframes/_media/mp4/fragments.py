"""Reads the headers of a fragmented MP4 over a network, without the media between them.

The headers are found by walking from box to box. ``sidx`` and ``mfra`` only give the
positions of fragments in advance, so that several headers can be fetched at once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from asyncframes._media.checked import MalformedError
from asyncframes._media.files.media_files import BUFFER_BYTES, CachedFile, MediaFile
from asyncframes._media.mp4.boxes import LONGEST_HEADER, Box, boxes_of, counted, parse_box
from asyncframes._media.mp4.segments import LONGEST_SIDX, places_in_mfra, read_mfra, read_sidx
from asyncframes._model.ranges import ByteRange
from asyncframes.sources._cache.blocks import LoadedRanges

# Top-level boxes whose payload is never read.
_PASSED_OVER = {b"mdat", b"free", b"skip", b"wide", b"mfra"}

# A longer box is no fragment header. FFmpeg reads what it needs of it like media.
_LONGEST_BOX = 1024 * 1024

# Assumed bytes of headers between two media boxes, until the first such gap is measured.
_FIRST_GUESS = 1024

# Small boxes (styp, sidx, prft) may stand before the fragment that an index points to.
_LONGEST_LEAD = 4096

_AT_ONCE = 128

# For shorter fragments, one request each costs more than reading through several.
_SHORT_FRAGMENT = 16 * 1024
_SEVERAL_FRAGMENTS = 512 * 1024

# Bytes fetched of a header at the end of a file before its length is known: enough for half an hour.
_LIKELY_HEADER_BYTES = 1024 * 1024
_MOST_BOXES_BEFORE_HEADER = 8


@dataclass(frozen=True, slots=True)
class Beginning:
    """What the first bytes of a file reveal.

    Attributes
    ----------
    is_fragmented
        Whether it is an MP4 whose first media belongs to a fragment.
    header
        Byte range of an MP4's header, including any boxes before it that are not media;
        ``None`` for other files.
    """

    is_fragmented: bool = False
    header: ByteRange | None = None


def beginning_of(file: MediaFile) -> Beginning:
    """Find the header of a file from the boxes in its first bytes."""
    try:
        return _beginning_of(file)
    except MalformedError:
        return Beginning()


def _beginning_of(file: MediaFile) -> Beginning:
    header = None
    for box in boxes_of(file):
        if box.kind == b"moof":
            return Beginning(is_fragmented=True)
        if box.kind == b"moov":
            header = 0, box.end
        if box.kind == b"mdat":
            return Beginning(header=header or _header_behind(file, box.end))
        # Only the first buffer is fetched for this. The header of a later box would cost another request.
        if box.end + LONGEST_HEADER > BUFFER_BYTES:
            break
    return Beginning(header=header)


def _header_behind(file: MediaFile, begin: int) -> ByteRange | None:
    """Find the header of an MP4 behind its media; other boxes may precede it.

    FFmpeg reads such a header piece by piece, at a round trip each, so it is fetched in one go.
    """
    size = file.size or 0
    file.plan([(begin, min(begin + _LIKELY_HEADER_BYTES, size))])
    following = islice(boxes_of(file, begin), _MOST_BOXES_BEFORE_HEADER)
    header = next((box for box in following if box.kind == b"moov"), None)
    return None if header is None else (header.begin, min(header.end, size))


def media_ranges(file: MediaFile) -> Generator[None, None, list[ByteRange] | None]:
    """List the byte ranges of the payloads of top-level ``mdat`` boxes, in steps.

    Over a network, this fetches the headers of the fragments and keeps them.

    Returns
    -------
    list of (start, stop) or None
        ``None`` if the file has no such boxes, has too many, or is of unknown size.
    """
    try:
        return (yield from _media_ranges(file))
    except MalformedError:
        return None


def _media_ranges(file: MediaFile) -> Generator[None, None, list[ByteRange] | None]:
    # Over a network, one read for each box would take one round trip each.
    remote = file if isinstance(file, CachedFile) else None
    media: list[ByteRange] = []
    places: list[int] = []
    box = None
    for box in boxes_of(file):
        if remote and box.kind == b"moof":
            return media + (yield from _Walk(remote, box.begin, places).run())
        if box.kind == b"mdat":
            media.append((box.body, min(box.end, file.size or box.end)))
        elif remote and box.kind == b"sidx" and box.end - box.begin <= LONGEST_SIDX:
            places += read_sidx(file.read_at(box.begin, box.end - box.begin), box.begin).places
        yield
    return None if box is None else media


class _Walk:
    """Walks all fragments of a file, starting at the first."""

    def __init__(self, file: CachedFile, begin: int, places: Iterable[int]) -> None:
        self._file = file
        self._size = file.size or 0
        self._position = begin
        self._places = sorted(places)
        self._seen = LoadedRanges()
        self._headers: list[tuple[int, bytes]] = []
        self._media_end = begin
        self._guess = 0
        self._is_short = False

    def run(self) -> Generator[None, None, list[ByteRange]]:
        """Return the media's byte ranges; the file keeps the headers and stops reading ahead."""
        self._file.plan(())
        # Without a ``sidx``, the ``mfra`` at the end may list the fragments. It costs two requests.
        if len(self._places) < 2 and (mfra := read_mfra(self._file)) is not None:
            self._seen.add([mfra])
            self._places = sorted({*self._places, *places_in_mfra(mfra[1])})
        media = []
        for box in counted(iter(self._next_box, None)):
            if box.kind == b"mdat":
                media.append((box.body, min(box.end, self._size)))
                self._learn(box)
            elif box.kind == b"sidx":
                self._expect(read_sidx(self._headers[-1][1], box.begin).places)
            yield
        self._file.add_headers(_joined(self._headers))
        return media

    def _expect(self, places: list[int]) -> None:
        """Add the positions of fragments. Most come after the known ones."""
        last = self._places[-1] if self._places else -1
        if places and places[0] <= last:
            self._places = sorted({*self._places[bisect_left(self._places, self._position) :], *places})
        else:
            self._places += places

    def _next_box(self) -> Box | None:
        """Step over a box. Keep its header, or all of it if FFmpeg will read it."""
        box = parse_box(self._bytes(self._position, LONGEST_HEADER), self._position, self._size)
        if box is None:
            return None
        is_header = box.kind not in _PASSED_OVER and box.end - box.begin <= _LONGEST_BOX
        # Media that was fetched along with short fragments is kept too, since FFmpeg would fetch it again.
        stop = box.end if is_header or self._has_seen(box) else box.body
        self._headers.append((box.begin, self._bytes(box.begin, stop - box.begin)))
        self._position = box.end
        return box

    def _has_seen(self, box: Box) -> bool:
        return len(self._seen.run(box.begin, box.end)) == box.end - box.begin

    def _learn(self, media: Box) -> None:
        """Predict the size of the next headers from the fragment that this media belongs to."""
        # The guess shrinks slowly and grows at once: too short a guess costs another round trip.
        self._guess = max(self._guess * 7 // 8, (media.body - self._media_end) * 5 // 4)
        self._is_short = media.end - self._media_end < _SHORT_FRAGMENT
        self._media_end = media.end

    def _bytes(self, position: int, count: int) -> bytes:
        stop = min(position + count, self._size)
        data = self._seen.run(position, stop)
        # First try the headers that an index lists, many at a time, then read on from here.
        if len(data) < stop - position:
            self._fetch_headers(position)
            data = self._seen.run(position, stop)
        if len(data) < stop - position:
            ahead = _SEVERAL_FRAGMENTS if self._is_short else self._guess or _FIRST_GUESS
            self._fetch([(position + len(data), max(stop, position + ahead))])
            data = self._seen.run(position, stop)
        return data

    def _fetch_headers(self, position: int) -> None:
        """Fetch the headers of the next fragments, if their places are known."""
        coming = self._places[(place := bisect_left(self._places, position)) : place + _AT_ONCE]
        lead = coming[0] - position if coming else _LONGEST_LEAD
        # Each header is assumed to have as many bytes before its listed position as the next one has.
        is_next = position == self._media_end and lead < _LONGEST_LEAD
        if is_next and self._guess and not self._is_short:
            begins = [begin - lead for begin in coming]
            self._fetch([(begin, begin + self._guess) for begin in begins])
            self._fetch([missing for begin in begins for missing in self._missing(begin)])

    def _missing(self, position: int) -> Iterator[ByteRange]:
        """Yield the known missing range of the headers between here and the next media."""
        while box := parse_box(self._seen.run(position, position + LONGEST_HEADER), position, self._size):
            stop = min(box.end + LONGEST_HEADER, self._size)
            if box.kind in _PASSED_OVER or stop - position > _LONGEST_BOX:
                return
            # Headers longer than the guess are completed in a second round, all at once.
            if (present := len(self._seen.run(position, stop))) < stop - position:
                yield position + present, stop
                return
            position = box.end

    def _fetch(self, ranges: list[ByteRange]) -> None:
        """Fetch these ranges, and drop the bytes before the current position."""
        wanted = [(start, min(stop, self._size)) for start, stop in ranges if start < self._size]
        still = [(start, data) for start, data in self._seen.items() if start + len(data) > self._position]
        self._seen = LoadedRanges()
        self._seen.add(still)
        if wanted:
            starts = (start for start, _ in wanted)
            self._seen.add(zip(starts, self._file.read_ranges(wanted), strict=True))


def _joined(pieces: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Join ascending pieces of a file that touch."""
    joined: list[tuple[int, list[bytes]]] = []
    end = -1
    for begin, data in pieces:
        if begin == end:
            joined[-1][1].append(data)
        else:
            joined.append((begin, [data]))
        end = begin + len(data)
    return [(begin, b"".join(parts)) for begin, parts in joined]
