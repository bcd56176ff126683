"""Bytes that are in memory already."""

from __future__ import annotations

import io
from typing import BinaryIO

from asyncframes._model.ranges import check_end, check_range
from asyncframes.abc import StreamSource
from asyncframes.errors import ClosedError


class MemorySource(StreamSource):
    """Bytes in memory.

    Parameters
    ----------
    data
        `bytes` are kept as they are; anything else is copied once.

    Raises
    ------
    TypeError
        They are no bytes.
    """

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"bytes were expected, not a {type(data).__name__}")
        self._data = bytes(data)
        self._size = len(self._data)
        self._closed = False

    def __repr__(self) -> str:
        return f"MemorySource({self.name})"

    @property
    def name(self) -> str:
        return f"{self._size} bytes in memory"

    @property
    def size(self) -> int:
        return self._size

    async def open(self) -> None:
        self._check_open()

    async def read_range(self, start: int, stop: int) -> bytes:
        check_range(start, stop)
        self._check_open()
        check_end(start, stop, size=self._size, name=self.name)
        return self._data[start:stop]

    def local_file(self) -> BinaryIO | None:
        self._check_open()
        return io.BytesIO(self._data)

    async def aclose(self) -> None:
        self._closed = True
        self._data = b""

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError(f"{self!r} is closed")
