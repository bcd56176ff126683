"""Bodies that come too slowly to be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from asyncframes.errors import RangeNotSupportedError, SourceTimeoutError

_FEW_BYTES = 4096
_MOST_SMALL_PARTS = 16


class Pace:
    """Measures a body while it comes.

    Only the time that is spent waiting for the server counts, not what its
    receiver does with the bytes.

    Parameters
    ----------
    min_bytes_per_second
        Least rate over each window; 0 for any.
    window_seconds
        How much waiting is looked at together.
    name
        What to call the source in errors.
    """

    def __init__(self, *, min_bytes_per_second: float, window_seconds: float, name: str) -> None:
        self._least = min_bytes_per_second
        self._window_seconds = window_seconds
        self._name = name
        self._received = 0
        self._waited = 0.0

    async def next(self, part: Awaitable[bytes]) -> bytes:
        """Wait for a part of the body.

        Raises
        ------
        SourceTimeoutError
            Less than the least rate came over a window.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        data = await part
        self._waited += clock() - began
        self._received += len(data)
        if self._waited >= self._window_seconds:
            self._check()
        return data

    def _check(self) -> None:
        if self._received < self._least * self._waited:
            raise SourceTimeoutError(
                f"{self._received} bytes came in {self._waited:.1f} s, less than "
                f"min_bytes_per_second={self._least:g}",
                source=self._name,
            )
        self._received, self._waited = 0, 0.0


class Parts:
    """Counts the replies that a range takes.

    A server may answer a range with its first bytes alone. One that always
    sends a few would be asked tens of thousands of times for a block.
    """

    def __init__(self, *, name: str) -> None:
        self._name = name
        self._small = 0

    def add(self, received: int) -> None:
        """Note a reply that brought less than was asked for.

        Raises
        ------
        RangeNotSupportedError
            There were many of a few bytes.
        """
        if received >= _FEW_BYTES:
            return
        self._small += 1
        if self._small > _MOST_SMALL_PARTS:
            raise RangeNotSupportedError(
                f"the server sends ranges in parts of a few bytes: {_MOST_SMALL_PARTS} replies brought less "
                f"than {_FEW_BYTES} bytes each",
                source=self._name,
            )
