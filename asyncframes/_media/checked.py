"""Reads hostile bytes. Every parser takes its fields from here and fails with one error only."""

from __future__ import annotations

import struct
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


class MalformedError(Exception):
    """The bytes do not have the expected format. The caller falls back to another method."""


class TooManyBoxesError(MalformedError):
    """There are more sibling boxes than in any video."""


class Fields:
    """Reads fields from some bytes, one after another."""

    def __init__(self, data: bytes | memoryview, position: int = 0) -> None:
        self._data = memoryview(data)
        self._position = position

    @property
    def left(self) -> int:
        """Number of bytes not read yet."""
        return max(len(self._data) - self._position, 0)

    def take(self, layout: str) -> tuple[int, ...]:
        """Read the fields of a `struct` layout.

        Raises
        ------
        MalformedError
            The bytes end before the fields do.
        """
        size = struct.calcsize(layout)
        if size > self.left:
            raise MalformedError(f"{self.left} bytes are left: expected {size}")
        fields = struct.unpack_from(layout, self._data, self._position)
        self._position += size
        return fields

    def rows(self, count: int, *kinds: str) -> list[NDArray[np.int64]]:
        """Read a table of this many rows, one array per column. Missing bytes fail before any allocation.

        Raises
        ------
        MalformedError
            The bytes end before the table does.
        """
        row = _row_of(kinds)
        size = count * row.itemsize
        if not 0 <= size <= self.left:
            raise MalformedError(f"{self.left} bytes are left: expected {count} rows of {row.itemsize}")
        table = np.frombuffer(self._data, row, count, self._position)
        self._position += size
        return [
            table[name].astype(np.int64)
            for name, kind in zip(row.names or (), kinds, strict=True)
            if "V" not in kind
        ]


@lru_cache(maxsize=32)
def _row_of(kinds: tuple[str, ...]) -> np.dtype[np.void]:
    return np.dtype([(str(place), kind) for place, kind in enumerate(kinds)])
