"""Bytes in memory."""

from __future__ import annotations

import io
from typing import BinaryIO

from asyncframes.abc import StreamSource


class MemorySource(StreamSource):
    """Bytes in memory.

    Parameters
    ----------
    data
        The bytes. Anything but `bytes` is copied once.

    Raises
    ------
    TypeError
        `data` is not a bytes-like object.
    """

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data is a {type(data).__name__}: expected bytes, bytearray or memoryview")
        self._data = bytes(data)
        self._size = len(self._data)

    def __repr__(self) -> str:
        return f"MemorySource({self.name})"

    @property
    def name(self) -> str:
        return f"{self._size} bytes in memory"

    @property
    def size(self) -> int:
        return self._size

    async def read_range(self, start: int, stop: int) -> bytes:
        self.check_open()
        self.check_range(start, stop)
        return self._data[start:stop]

    def local_file(self) -> BinaryIO | None:
        self.check_open()
        return io.BytesIO(self._data)

    async def aclose(self) -> None:
        await super().aclose()
        self._data = b""
