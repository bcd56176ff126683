"""A bounded cache of blocks that the event loop fills and threads read."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence

from asyncframes._model.ranges import block_span


class BlockCache:
    """Blocks of one source. The least recently used ones make room for new ones.

    Every method may be called from any thread and returns at once.

    Parameters
    ----------
    capacity
        Most bytes in the cache, never exceeded.
    block_size
        Length of a block in bytes; only the last block of a source is shorter.
    """

    def __init__(self, *, capacity: int, block_size: int) -> None:
        self.capacity = capacity
        self.block_size = block_size
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._pinned: Counter[int] = Counter()
        self._nbytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Number of bytes in the cache."""
        return self._nbytes

    def __contains__(self, block: int) -> bool:
        return block in self._blocks

    def run(self, start: int, stop: int) -> bytes:
        """Read the cached bytes from `start` to `stop`, up to the first missing one."""
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
        """Add a block, unless only pinned blocks could make room for it."""
        with self._lock:
            self._nbytes -= len(self._blocks.pop(block, b""))
            if self._make_room(len(data), even_pinned=block in self._pinned):
                self._blocks[block] = data
                self._nbytes += len(data)

    def pin(self, block: int) -> None:
        """Exempt a block from removal until `unpin`, even if it is not in the cache yet."""
        with self._lock:
            self._pinned[block] += 1

    def unpin(self, block: int) -> None:
        """Undo one `pin`."""
        with self._lock:
            self._pinned[block] -= 1
            if not self._pinned[block]:
                del self._pinned[block]

    def clear(self) -> None:
        """Remove all blocks."""
        with self._lock:
            self._blocks.clear()
            self._nbytes = 0

    def _make_room(self, length: int, *, even_pinned: bool) -> bool:
        while self._nbytes + length > self.capacity:
            victim = next((block for block in self._blocks if block not in self._pinned), None)
            if victim is None and even_pinned:
                victim = next(iter(self._blocks), None)
            if victim is None:
                return False
            self._nbytes -= len(self._blocks.pop(victim))
        return True


class LoadedRanges:
    """Disjoint ranges of loaded bytes. One thread may add some while others read."""

    def __init__(self) -> None:
        self._pieces: tuple[list[int], list[bytes]] = [], []

    def __bool__(self) -> bool:
        return bool(self._pieces[0])

    def add(self, pieces: Iterable[tuple[int, bytes]]) -> None:
        """Add ranges, each with its first byte's position. One that starts where another does replaces it."""
        loaded = dict(zip(*self._pieces, strict=True)) | dict(pieces)
        starts = sorted(loaded)
        self._pieces = starts, [loaded[start] for start in starts]

    def run(self, start: int, stop: int) -> bytes:
        """Read the loaded bytes from `start` to `stop`, up to the first missing one."""
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
        """Return the ranges, each with its first byte's position."""
        return list(zip(*self._pieces, strict=True))
