"""Follows the fragments of an MP4 while FFmpeg reads them, and notices what FFmpeg makes of damage.

ISO/IEC 14496-12, 8.8: ``trun`` lists the sizes of samples, ``tfhd`` and ``trex`` the size of those that
have none. If FFmpeg reads one fragment at a time, it ends a packet with the ``mdat`` behind its ``moof``,
whatever size is listed. If it has read all headers, it does not, so that a damaged size gives another
packet. For each sample that a ``trun`` counts, FFmpeg allocates 35 bytes, even if nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

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
    """

    def __init__(self, most_samples: int, source_name: str, *, finds_cut: bool) -> None:
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
        self._listed: list[tuple[Int64Array, Int64Array]] = []
        self._cut: dict[int, None] = {}

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

    def cuts(self, position: int) -> bool:
        """Whether the packet at this position is cut short."""
        return position in self._cut

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
            self._listed.clear()

    def _learn(self, box: Box) -> None:
        payload = memoryview(bytes(self._held))[box.body - box.begin : box.end - box.begin]
        if box.kind == b"moov":
            self._default_sizes = dict(_default_sizes(payload))
        elif box.kind == b"moof":
            self._listed = []
            if len(payload) <= _LONGEST_LOOKED_INTO:
                self._listed = list(_samples(payload, box.begin, self._default_sizes))
        elif box.kind == b"mdat":
            for starts, sizes in self._listed:
                self._cut.update(dict.fromkeys(starts[starts + sizes > box.end].tolist()))
            self._listed.clear()
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


def _samples(
    moof: memoryview, begin: int, default_sizes: dict[int, int]
) -> Iterator[tuple[Int64Array, Int64Array]]:
    """Yield the positions and sizes of the samples of each run."""
    implicit, room = begin, _MOST_SAMPLES
    for box in boxes_in(moof):
        if box.kind != b"traf":
            continue
        track, base, default = moof[box.body : box.end], implicit, 0
        for child in boxes_in(track):
            fields = Fields(track[child.body : child.end])
            if child.kind == b"tfhd":
                base, default = _defaults(fields, begin, implicit, default_sizes)
            elif child.kind == b"trun":
                starts, sizes = _run(fields, base, default, room)
                yield starts, sizes
                room -= len(starts)
                implicit = int(starts[-1] + sizes[-1]) if len(starts) else implicit


def _defaults(fields: Fields, begin: int, implicit: int, default_sizes: dict[int, int]) -> tuple[int, int]:
    """Return the position that runs of a track count from, and the size of samples without one."""
    flags, track = fields.take(">II")
    base, size = begin if flags & _BASE_IS_MOOF else implicit, default_sizes.get(track, 0)
    if flags & _HAS_BASE:
        (base,) = fields.take(">Q")
    for flag in (_HAS_DESCRIPTION, _HAS_DURATION):
        if flags & flag:
            fields.take(">4x")
    if flags & _HAS_SIZE:
        (size,) = fields.take(">I")
    return base, size


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
