"""Limits on bodies that arrive slowly or in many small parts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from asyncframes.errors import RangeNotSupportedError, SourceTimeoutError

_FEW_BYTES = 4096
_MOST_SMALL_PARTS = 16


class Pace:
    """Measures the rate at which a body arrives.

    Only time spent waiting for the server counts, not what the receiver does with the
    bytes.

    Parameters
    ----------
    min_bytes_per_second
        Lowest rate to accept over each window; 0 for any.
    window_seconds
        Length of a window, in seconds of waiting.
    name
        Name of the source, for errors.
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
            The rate over a window is too low.
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
                f"{self._received} bytes arrived in {self._waited:.1f} s, fewer than "
                f"min_bytes_per_second={self._least:g}",
                source=self._name,
            )
        self._received, self._waited = 0, 0.0


class Parts:
    """Counts the replies that one range takes.

    A server may answer a range with its first bytes only. If each answer had only a few,
    one block would take tens of thousands of requests.
    """

    def __init__(self, *, name: str) -> None:
        self._name = name
        self._small = 0

    def add(self, received: int) -> None:
        """Count a reply that is shorter than the range requested.

        Raises
        ------
        RangeNotSupportedError
            Too many replies had only a few bytes.
        """
        if received >= _FEW_BYTES:
            return
        self._small += 1
        if self._small > _MOST_SMALL_PARTS:
            raise RangeNotSupportedError(
                f"the server sends ranges in parts of a few bytes: more than {_MOST_SMALL_PARTS} replies had "
                f"fewer than {_FEW_BYTES} bytes each",
                source=self._name,
            )
