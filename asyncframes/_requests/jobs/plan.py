"""Plans requests for frames in any order, with repeats: what to hold and what to read."""

from __future__ import annotations

from collections.abc import Container, Iterator
from heapq import heappop, heappush

import numpy as np
from numpy.typing import NDArray

from asyncframes._frames.frame import Frame
from asyncframes._model.packets import distinct
from asyncframes._model.ranges import ByteRange
from asyncframes._model.table import FrameTable, Int64Array

# Decoding up to this many packets costs less than a seek.
_SEEK_WORTH = 8

# Numbers are converted to Python integers this many at a time: a full list takes several times the memory.
_AT_ONCE = 4096


def each(numbers: NDArray[np.integer]) -> Iterator[int]:
    """Yield the integers of an array without building a list of all of them."""
    for start in range(0, len(numbers), _AT_ONCE):
        yield from numbers[start : start + _AT_ONCE].tolist()


class Numbers(Container[int]):
    """A set of integers that takes one byte for each number from the least to the greatest."""

    def __init__(self, numbers: Int64Array) -> None:
        self._first = int(numbers.min()) if len(numbers) else 0
        flags = np.zeros(int(numbers.max()) + 1 - self._first if len(numbers) else 0, np.uint8)
        flags[numbers - self._first] = 1
        # Looking up one byte of a `bytearray` is several times faster than one element of an array.
        self._flags = bytearray(flags)

    def __contains__(self, number: object) -> bool:
        place = number - self._first if isinstance(number, int) else -1
        return 0 <= place < len(self._flags) and self._flags[place] == 1

    def discard(self, number: int) -> None:
        """Remove a number if it is present."""
        place = number - self._first
        if 0 <= place < len(self._flags):
            self._flags[place] = 0


class Wanted:
    """Tracks a request: the frames still to come, and those decoded ahead of their turn.

    Parameters
    ----------
    order
        The frames asked for.
    held_bytes
        How many bytes of frames may wait for their turn.
    """

    def __init__(self, order: Int64Array, held_bytes: int) -> None:
        self._to_come = Numbers(order)
        # Turns are positions in the request. Grouped by frame, they give a frame's turns by binary search.
        self._turns = np.arange(len(order))
        self._sorted = order
        # Most requests ascend already, and sorting millions of frames takes a while.
        if np.any(order[1:] < order[:-1]):
            # Stable, so that the turns of a repeated frame ascend.
            self._turns = np.argsort(order, kind="stable")
            self._sorted = order[self._turns]
        # Marks the turns after which a frame is not needed again, so that it can be dropped.
        is_last = np.ones(len(order), np.uint8)
        is_last[self._turns[:-1][self._sorted[1:] == self._sorted[:-1]]] = 0
        self._is_last = bytes(is_last)
        self._turn = 0
        self._held: dict[int, Frame] = {}
        # A heap of held frames, latest turn first. Most requests stay within the limit and never need it.
        self._latest: list[tuple[int, int]] | None = None
        self._room = held_bytes

    def __contains__(self, index: int) -> bool:
        return index in self._to_come

    def is_missing(self, index: int) -> bool:
        """Whether a frame is still to be decoded."""
        return index in self._to_come and index not in self._held

    def has_room(self, image_bytes: int) -> bool:
        """Whether another frame can be held without dropping one."""
        return self._room >= image_bytes

    def hold(self, frame: Frame) -> None:
        """Hold a frame until its turn. If held frames exceed the limit, drop those needed last."""
        self._held[frame.index] = frame
        self._room -= frame.image.nbytes
        self._note(frame.index)
        # A dropped frame counts as missing again, so it is decoded a second time when its turn comes. One
        # frame is always held, however large, or the request could not continue.
        while self._room < 0 and len(self._held) > 1:
            latest = self._needed_last()
            self._room += self._held.pop(latest).image.nbytes

    def take(self, index: int) -> Frame | None:
        """Start the next turn and return its frame, or ``None`` if the frame is not held."""
        frame = self._held.get(index)
        is_last = self._is_last[self._turn] == 1
        self._turn += 1
        if is_last:
            self.give_up(index)
        elif frame is not None:
            self._note(index)
        return frame

    def give_up(self, index: int) -> None:
        """Drop a frame from the request: it was delivered for the last time, or is damaged."""
        self._to_come.discard(index)
        frame = self._held.pop(index, None)
        if frame is not None:
            self._room += frame.image.nbytes

    def _due(self, index: int) -> int:
        """Return the next turn of a frame."""
        first, stop = np.searchsorted(self._sorted, [index, index + 1])
        turns = self._turns[first:stop]
        place = int(np.searchsorted(turns, self._turn))
        return int(turns[place]) if place < len(turns) else self._turn

    def _note(self, index: int) -> None:
        """Record when a held frame is due, once the limit has been exceeded."""
        if self._latest is not None:
            heappush(self._latest, (-self._due(index), index))

    def _needed_last(self) -> int:
        if self._latest is None:
            self._latest = []
            for index in self._held:
                self._note(index)
        while self._latest:
            due, index = heappop(self._latest)
            # Removing an entry from the middle of a heap is slow. Entries of dropped frames and of past turns
            # stay in it and are skipped here.
            if index in self._held and -due == self._due(index):
                return index
        return next(iter(self._held))


class Runs:
    """Runs of packets to decode for a set of frames, each starting at a keyframe.

    Runs are joined when decoding the gap between them is cheaper than a seek.

    Parameters
    ----------
    table
        Lists the packets.
    order
        The frames asked for.
    reach
        How many frames before and after each one must be decoded with it.
    """

    def __init__(self, table: FrameTable, order: Int64Array, *, reach: int = 0) -> None:
        self._table = table
        self._reach = reach
        self._asked = rows = distinct(order)
        # An image may depend on neighbours in another GOP. So decoding begins at the earliest start among
        # them, and ends at the last packet.
        around = self._neighbours(rows)
        starts: Int64Array = np.minimum.reduce([table.starts_for(near) for near in around])
        lasts: Int64Array = np.maximum.reduce([table.last_packets_for(near) for near in around])
        self._start_of, self._last_of = starts, lasts
        # By start, then by last packet: the frames of one start come in the order in which they are decoded.
        by_start = np.lexsort((lasts, starts))
        self._rows = rows[by_start]
        self._starts, self._firsts = np.unique(starts[by_start], return_index=True)
        self._lasts = self._chained(lasts[by_start])

    def _neighbours(self, rows: Int64Array) -> list[Int64Array]:
        """Return frames shifted by each distance within reach."""
        end = len(self._table) - 1
        return [np.clip(rows + by, 0, end) for by in range(-self._reach, self._reach + 1)]

    def _chained(self, lasts: Int64Array) -> Int64Array:
        """Return, for each start, the last packet that its chain of joined runs needs."""
        if not len(self._starts):
            return lasts
        own = np.maximum.reduceat(lasts, self._firsts)
        is_near = self._starts[1:] <= own[:-1] + _SEEK_WORTH
        # A running maximum from the back gives the last packet of each chain. Adding more to each earlier
        # chain keeps it above the chains after it, so that their maximum does not carry over.
        chain = np.append(0, np.cumsum(~is_near[::-1])) * (int(own.max()) + 1)
        greatest: Int64Array = np.maximum.accumulate(own[::-1] + chain) - chain
        return greatest[::-1]

    def _around(self, index: int) -> range:
        return range(max(0, index - self._reach), min(len(self._table), index + self._reach + 1))

    def _place_of(self, index: int) -> int | None:
        place = int(np.searchsorted(self._asked, index))
        return place if place < len(self._asked) and self._asked[place] == index else None

    def start_for(self, index: int) -> int:
        """Return the packet to start at for a frame and the neighbours within reach."""
        place = self._place_of(index)
        # The arrays list only requested frames. Others come up one at a time, when they pass on the way.
        if place is None:
            return min(map(self._table.start_for, self._around(index)))
        return int(self._start_of[place])

    def last_packet_for(self, index: int) -> int:
        """Return the last packet to decode for a frame and the neighbours within reach."""
        place = self._place_of(index)
        if place is None:
            return max(map(self._table.last_packet_for, self._around(index)))
        return int(self._last_of[place])

    def rows_from(self, start: int) -> Iterator[int]:
        """Yield the requested frames that are decoded from `start`, in decode order."""
        place = int(np.searchsorted(self._starts, start))
        if place < len(self._starts) and self._starts[place] == start:
            firsts = np.append(self._firsts, len(self._rows))
            yield from each(self._rows[firsts[place] : firsts[place + 1]])

    def packets_of(self, order: Int64Array) -> Container[int]:
        """Return the packets of frames and of the neighbours within reach."""
        return Numbers(self._table.packet_of[np.concatenate(self._neighbours(order))])

    def last_packet(self, start: int) -> int:
        """Return the last packet to read when decoding begins at `start`."""
        return int(self._lasts[np.searchsorted(self._starts, start)])

    def is_near(self, number: int, start: int) -> bool:
        """Whether decoding on from packet `number` gets to `start` sooner than a seek."""
        return start <= number + _SEEK_WORTH

    def byte_ranges(self, start: int) -> list[ByteRange]:
        """Return the known byte ranges that decoding from `start` will read."""
        return self._table.byte_ranges(start, self.last_packet(start))
