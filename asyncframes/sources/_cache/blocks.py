"""A bounded cache of blocks that a loop fills and threads read."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence

from asyncframes._model.ranges import block_span


class BlockCache:
    """Blocks of one source; the least recently used make room.

    Every method may be called from any thread and returns at once.

    Parameters
    ----------
    capacity
        Most bytes held, never exceeded.
    block_size
        Length of a block; only the last one of a source is shorter.
    """

    def __init__(self, *, capacity: int, block_size: int) -> None:
        self.capacity = capacity
        self.block_size = block_size
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._held: Counter[int] = Counter()
        self._nbytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes held now."""
        return self._nbytes

    def __contains__(self, block: int) -> bool:
        return block in self._blocks

    def run(self, start: int, stop: int) -> bytes:
        """Read the longest held run that begins at `start` and ends by `stop`."""
        with self._lock:
            pieces = []
            for block in block_span(start, stop, block_size=self.block_size):
                data = self._blocks.get(block)
                if data is None:
                    break
                self._blocks.move_to_end(block)
                offset = block * self.block_size
                pieces.append(data[max(0, start - offset) : stop - offset])
                if len(data) < self.block_size:
                    break
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def put(self, block: int, data: bytes) -> None:
        """Hold a block, unless everything in its way is held for somebody."""
        with self._lock:
            self._nbytes -= len(self._blocks.pop(block, b""))
            if self._make_room(len(data), even_held=block in self._held):
                self._blocks[block] = data
                self._nbytes += len(data)

    def hold(self, block: int) -> None:
        """Spare a block, present or still to come, until `release`."""
        with self._lock:
            self._held[block] += 1

    def release(self, block: int) -> None:
        """Undo one `hold`."""
        with self._lock:
            self._held[block] -= 1
            if not self._held[block]:
                del self._held[block]

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._blocks.clear()
            self._nbytes = 0

    def _make_room(self, length: int, *, even_held: bool) -> bool:
        while self._nbytes + length > self.capacity:
            victim = next((block for block in self._blocks if block not in self._held), None)
            if victim is None and even_held:
                victim = next(iter(self._blocks), None)
            if victim is None:
                return False
            self._nbytes -= len(self._blocks.pop(victim))
        return True


class LoadedRanges:
    """Disjoint ranges by the byte where they begin; any thread may read while one adds."""

    def __init__(self) -> None:
        self._pieces: tuple[list[int], list[bytes]] = [], []

    def __bool__(self) -> bool:
        return bool(self._pieces[0])

    def add(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Hold more; a range that begins where one is held takes its place."""
        held = dict(zip(*self._pieces, strict=True)) | dict(pieces)
        starts = sorted(held)
        self._pieces = starts, [held[start] for start in starts]

    def run(self, start: int, stop: int) -> bytes:
        """Read the longest held run that begins at `start` and ends by `stop`."""
        starts, pieces = self._pieces
        found = []
        place = bisect_right(starts, start) - 1
        while 0 <= place < len(starts) and starts[place] <= start < min(
            stop, starts[place] + len(pieces[place])
        ):
            found.append(pieces[place][start - starts[place] : stop - starts[place]])
            start += len(found[-1])
            place += 1
        return found[0] if len(found) == 1 else b"".join(found)

    def items(self) -> Sequence[tuple[int, bytes]]:
        """Return what is held, each range with the byte where it begins."""
        return list(zip(*self._pieces, strict=True))
