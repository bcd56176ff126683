"""Frames asked for, in any order and with repeats: what to keep, and what to read."""

from __future__ import annotations

from collections import defaultdict, deque

from asyncframes._ranges import ByteRange
from asyncframes._table import FrameTable, Int64Array
from asyncframes._types import Frame

# Decoding this many packets on costs less than a seek.
_SEEK_WORTH = 8


class Wanted:
    """Bookkeeping of a request: which frames are still to come, and those decoded ahead of their turn."""

    def __init__(self, order: Int64Array, held_bytes: int) -> None:
        self._turns: dict[int, deque[int]] = defaultdict(deque)
        for turn, index in enumerate(order.tolist()):
            self._turns[index].append(turn)
        self._held: dict[int, Frame] = {}
        self._room = held_bytes

    def __contains__(self, index: int) -> bool:
        return index in self._turns

    def is_missing(self, index: int) -> bool:
        """Whether a frame is still to be decoded."""
        return index in self._turns and index not in self._held

    def has_room(self, image_bytes: int) -> bool:
        """Whether another frame can be held without dropping one."""
        return self._room >= image_bytes

    def hold(self, frame: Frame) -> None:
        """Keep a frame until its turn; drop the ones needed last while there are too many."""
        self._held[frame.index] = frame
        self._room -= frame.image.nbytes
        while self._room < 0 and len(self._held) > 1:
            latest = max(self._held, key=lambda index: self._turns[index][0])
            self._room += self._held.pop(latest).image.nbytes

    def take(self, index: int) -> Frame | None:
        """Return a held frame for its turn, ``None`` if it is not held."""
        frame = self._held.get(index)
        if frame is None:
            return None
        turns = self._turns[index]
        if len(turns) > 1:
            turns.popleft()
            return frame
        self.give_up(index)
        return frame

    def give_up(self, index: int) -> None:
        """Forget a frame."""
        self._turns.pop(index, None)
        frame = self._held.pop(index, None)
        if frame is not None:
            self._room += frame.image.nbytes


class Runs:
    """Stretches of packets to decode for a set of frames, each begun at a keyframe.

    Stretches that lie so near to each other that decoding on is cheaper than a
    seek are one.

    Parameters
    ----------
    table
        Names the packets.
    order
        The frames asked for.
    reach
        How many frames before and after each one have to be decoded with it.
    """

    def __init__(self, table: FrameTable, order: Int64Array, *, reach: int = 0) -> None:
        self._table = table
        self._reach = reach
        self._last: dict[int, int] = {}
        self.rows_from: dict[int, list[int]] = defaultdict(list)
        for index in sorted(set(order.tolist()), key=self.last_packet_for):
            self.rows_from[self.start_for(index)].append(index)
        self._chain()

    def _around(self, index: int) -> range:
        return range(max(0, index - self._reach), min(len(self._table), index + self._reach + 1))

    def start_for(self, index: int) -> int:
        """Return the packet to start at for a frame and those it reaches for."""
        return min(map(self._table.start_for, self._around(index)))

    def last_packet_for(self, index: int) -> int:
        """Return the last packet that a frame and those it reaches for need."""
        return max(self._table.last_packet_for(row) for row in self._around(index))

    def packets_of(self, order: Int64Array) -> frozenset[int]:
        """Return the packets of frames and of those they reach for."""
        rows = {row for index in order.tolist() for row in self._around(index)}
        return frozenset(self._table.packet_of[sorted(rows)].tolist())

    def _chain(self) -> None:
        """Find for each start the packet at which decoding may stop."""
        next_start, next_last = None, -1
        for start in sorted(self.rows_from, reverse=True):
            last = self.last_packet_for(self.rows_from[start][-1])
            if next_start is not None and next_start <= last + _SEEK_WORTH:
                last = max(last, next_last)
            self._last[start] = last
            next_start, next_last = start, last

    def last_packet(self, start: int) -> int:
        """Return the last packet to read when decoding begins at `start`."""
        return self._last[start]

    def is_near(self, number: int, start: int) -> bool:
        """Whether decoding on from packet `number` passes `start` sooner than a seek would."""
        return start <= number + _SEEK_WORTH

    def byte_ranges(self, start: int) -> list[ByteRange]:
        """Return what will be read when decoding begins at `start`, as far as it is known."""
        return self._table.byte_ranges(start, self._last[start])
