"""Byte ranges of a source that are held for good, whole and as they were fetched."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence


class KeptRanges:
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
