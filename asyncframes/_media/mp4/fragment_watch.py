"""Follows the fragments of an MP4 while FFmpeg reads them, and notices what FFmpeg makes of damage.

ISO/IEC 14496-12, 8.8: ``trun`` lists the sizes of samples, ``tfhd`` and ``trex`` the size of those that
have none. If FFmpeg reads one fragment at a time, it ends a packet with the ``mdat`` behind its ``moof``,
whatever size is listed. If it has read all headers, it does not, so that a damaged size gives another
packet. For each sample that a ``trun`` counts, FFmpeg allocates 35 bytes, even if nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asyncframes._media.checked import Fields, MalformedError
from asyncframes._media.mp4.boxes import FIRST_BOXES, LONGEST_HEADER, LONGEST_MOOV, Box, boxes_in, parse_box
from asyncframes._model.table import Int64Array
from asyncframes.errors import UnsupportedMediaError

# Samples are not looked for in a longer header, and not in one that lists more of them.
_LONGEST_LOOKED_INTO = 1 << 20
_MOST_SAMPLES = 1 << 17

_MOST_REMEMBERED = 1 << 14

_ENDLESS = 1 << 62

_HAS_BASE, _HAS_DESCRIPTION, _HAS_DURATION, _HAS_SIZE, _BASE_IS_MOOF = 0x1, 0x2, 0x8, 0x10, 0x20000
_RUN_HAS_OFFSET, _RUN_HAS_FIRST_FLAGS, _RUN_HAS_SIZES = 0x1, 0x4, 0x200
_RUN_COLUMNS = (0x100, _RUN_HAS_SIZES, 0x400, 0x800)
_RUN_HAS_COLUMNS = 0xF00


@dataclass(frozen=True, slots=True)
class _Run:
    """Samples of a track that a ``trun`` lists: where they start, and where they stop."""

    track: int
    starts: Int64Array
    stops: Int64Array

    def chosen(self, which: NDArray[np.bool_]) -> _Run:
        return _Run(self.track, self.starts[which], self.stops[which])


class FragmentWatch:
    """Follows the top-level boxes of a file that FFmpeg reads from its start, one after the other.

    Parameters
    ----------
    most_samples
        Refuse a file whose fragments count more samples of which they say nothing.
    source_name
        Name of the source, for errors.
    finds_cut
        Whether FFmpeg reads one fragment at a time, and may cut packets short.

    Attributes
    ----------
    media_end
        Where the media of the ``moov`` end by their header, ``None`` while none of them were read, and if
        fragments came first.
    has_fragments
        Whether there was a ``moof``.
    has_sidx
        Whether there was a ``sidx``. If its end is that of the file, FFmpeg cuts a file's packets short, too.
    """

    def __init__(self, most_samples: int, source_name: str, *, finds_cut: bool) -> None:
        self.media_end: int | None = None
        self.has_fragments = False
        self.has_sidx = False
        self._finds_cut = finds_cut
        self._room = most_samples
        self._most_samples = most_samples
        self._source_name = source_name
        self._next = 0
        self._held = bytearray()
        self._wanted = LONGEST_HEADER
        self._box: Box | None = None
        """One of which more is wanted than its header."""
        self._default_sizes: dict[int, int] = {}
        self._listed: list[_Run] = []
        """Samples of the last ``moof`` that are in no media yet."""
        self._cut: dict[int, int] = {}
        self._astray: dict[int, int] = {}
        self._behind_media = False

    def see(self, position: int, data: bytes) -> None:
        """Record a read. Reads of media between two boxes may be left out, those of headers not.

        Raises
        ------
        UnsupportedMediaError
            The fragments count too many samples.
        """
        while position <= (start := self._next + len(self._held)) < position + len(data):
            self._held += data[start - position : self._next + self._wanted - position]
            if len(self._held) < self._wanted:
                return
            self._step()

    def stop_of_cut(self, position: int) -> int | None:
        """Return where the packet at this position would stop if it were not cut short, else ``None``."""
        return self._cut.get(position)

    def first_astray(self, track: int | None, limit: int | None) -> int | None:
        """Return where the first sample of a track, or of any, starts that is not in its fragment's media.

        Only a sample that starts before `limit` counts, because behind the end of a file there is none.
        FFmpeg drops it if it starts where the media ends. It returns to a later one, if it can.
        """
        found = [start for known, start in self._astray.items() if track in {None, known}]
        found += [start for known, start in self._pending() if track in {None, known}]
        first = min(found, default=None)
        return None if first is None or (limit is not None and first >= limit) else first

    def _pending(self) -> Iterator[tuple[int, int]]:
        """Yield the tracks and the first samples that were not in the media so far. More media may follow."""
        if self._behind_media:
            yield from ((run.track, int(run.starts.min())) for run in self._listed if len(run.starts))

    def _step(self) -> None:
        box = self._box or parse_box(bytes(self._held[:LONGEST_HEADER]), self._next, _ENDLESS)
        if box is None or (self._next == 0 and box.kind not in FIRST_BOXES):
            self._next = _ENDLESS
            return
        if self._box is None and len(self._held) < (wanted := _wanted_of(box)):
            self._box, self._wanted = box, wanted
            return
        if box.kind == b"moof":
            self._count()
        if self._finds_cut:
            self._look_into(box)
        del self._held[: box.end - box.begin]
        self._box, self._next, self._wanted = None, box.end, LONGEST_HEADER

    def _look_into(self, box: Box) -> None:
        try:
            self._learn(box)
        except MalformedError:
            self._listed = []

    def _learn(self, box: Box) -> None:
        payload = memoryview(bytes(self._held))[box.body - box.begin : box.end - box.begin]
        if box.kind == b"moov":
            self._default_sizes = dict(_default_sizes(payload))
        elif box.kind == b"sidx":
            self.has_sidx = True
        elif box.kind == b"moof":
            self.has_fragments = True
            for track, first in self._pending():
                self._astray[track] = min(first, self._astray.get(track, first))
            self._listed, self._behind_media = [], False
            if len(payload) <= _LONGEST_LOOKED_INTO:
                self._listed = list(_samples(payload, box.begin, self._default_sizes))
        elif box.kind == b"mdat":
            self._place(box)

    def _place(self, media: Box) -> None:
        """Note the listed samples that start in some media and stop behind it, and keep those behind it."""
        if self.media_end is None and not self.has_fragments and media.body < media.end:
            self.media_end = media.end
        for run in self._listed:
            cut = (run.starts < media.end) & (run.stops > media.end)
            self._cut.update(zip(run.starts[cut].tolist(), run.stops[cut].tolist(), strict=True))
        behind = (run.chosen((run.starts >= media.end) & (run.stops > run.starts)) for run in self._listed)
        self._listed, self._behind_media = [run for run in behind if len(run.starts)], True
        while len(self._cut) > _MOST_REMEMBERED:
            del self._cut[next(iter(self._cut))]

    def _count(self) -> None:
        moof, place = self._held, -1
        while (place := moof.find(b"trun", place + 1)) >= 0:
            flags, count = moof[place + 5 : place + 8], moof[place + 8 : place + 12]
            # A run with columns takes bytes for each of its samples.
            if not int.from_bytes(flags, "big") & _RUN_HAS_COLUMNS:
                self._room -= int.from_bytes(count, "big")
        if self._room < 0:
            message = f"the fragments count more than {self._most_samples} samples of which they say nothing"
            raise UnsupportedMediaError(message, source=self._source_name)


def _wanted_of(box: Box) -> int:
    """Return how many bytes of a box are looked into."""
    length = box.end - box.begin
    if box.kind == b"moof":
        return min(length, LONGEST_MOOV)
    return length if box.kind == b"moov" and length <= _LONGEST_LOOKED_INTO else 0


def _default_sizes(moov: memoryview) -> Iterator[tuple[int, int]]:
    """Yield the number and the default sample size of each track."""
    for box in boxes_in(moov):
        if box.kind == b"mvex":
            inner = moov[box.body : box.end]
            for child in boxes_in(inner):
                if child.kind == b"trex":
                    track, size = Fields(inner[child.body : child.end]).take(">4xI8xI")
                    yield track, size


def _samples(moof: memoryview, begin: int, default_sizes: dict[int, int]) -> Iterator[_Run]:
    """Yield the samples of each run."""
    implicit, room = begin, _MOST_SAMPLES
    for box in boxes_in(moof):
        if box.kind != b"traf":
            continue
        traf, track, base, default = moof[box.body : box.end], 0, implicit, 0
        for child in boxes_in(traf):
            fields = Fields(traf[child.body : child.end])
            if child.kind == b"tfhd":
                track, base, default = _defaults(fields, begin, implicit, default_sizes)
            elif child.kind == b"trun":
                starts, sizes = _run(fields, base, default, room)
                yield _Run(track, starts, starts + sizes)
                room -= len(starts)
                implicit = int(starts[-1] + sizes[-1]) if len(starts) else implicit


def _defaults(
    fields: Fields, begin: int, implicit: int, default_sizes: dict[int, int]
) -> tuple[int, int, int]:
    """Return the track, the position that its runs count from, and the size of samples without one."""
    flags, track = fields.take(">II")
    base, size = begin if flags & _BASE_IS_MOOF else implicit, default_sizes.get(track, 0)
    if flags & _HAS_BASE:
        (base,) = fields.take(">Q")
    for flag in (_HAS_DESCRIPTION, _HAS_DURATION):
        if flags & flag:
            fields.take(">4x")
    if flags & _HAS_SIZE:
        (size,) = fields.take(">I")
    return track, base, size


def _run(fields: Fields, base: int, default_size: int, room: int) -> tuple[Int64Array, Int64Array]:
    flags, count = fields.take(">II")
    if flags & _RUN_HAS_OFFSET:
        base += fields.take(">i")[0]
    if flags & _RUN_HAS_FIRST_FLAGS:
        fields.take(">4x")
    if count > room or not 0 <= base < _ENDLESS:
        raise MalformedError(f"a run of {count} samples from {base}")
    sizes = np.full(count, default_size, np.int64)
    if flags & _RUN_HAS_SIZES:
        kinds = [">u4" if flag == _RUN_HAS_SIZES else "V4" for flag in _RUN_COLUMNS if flags & flag]
        [sizes] = fields.rows(count, *kinds)
    return base + np.cumsum(sizes) - sizes, sizes
