"""A read is exact or fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from asyncframes.errors import ShortReadError, SourceTimeoutError

T = TypeVar("T")


class Arrivals:
    """Bytes of a range on their way to whoever takes them.

    Attributes
    ----------
    position
        Of the byte that comes next.
    """

    def __init__(self, start: int, arrived: Callable[[bytes], object]) -> None:
        self.position = start
        self._arrived = arrived

    def add(self, part: bytes) -> None:
        """Hand over what came."""
        self.position += len(part)
        self._arrived(part)


def exactly(data: bytes, start: int, stop: int, *, name: str) -> bytes:
    """Pass on what was read if it is the whole range.

    Raises
    ------
    ShortReadError
        It is shorter.
    """
    if len(data) < stop - start:
        raise short_read(start, stop, received=len(data), name=name)
    return data


def check_end(start: int, stop: int, *, size: int | None, name: str) -> None:
    """Refuse a range that reaches past a known end.

    Raises
    ------
    ShortReadError
        `stop` is larger than `size`.
    """
    if size is not None and stop > size:
        raise short_read(start, stop, received=max(0, size - start), name=name)


def short_read(start: int, stop: int, *, received: int, name: str) -> ShortReadError:
    """Say which bytes were asked for and how many came."""
    return ShortReadError(
        f"bytes {start}-{stop} were asked for and only {received} came",
        source=name,
        start=start,
        stop=stop,
        received=received,
    )


async def within(seconds: float, exchange: Awaitable[T], *, name: str) -> T:
    """Wait for an exchange, but no longer than that.

    Raises
    ------
    SourceTimeoutError
        It takes longer.
    """
    try:
        async with asyncio.timeout(seconds) as deadline:
            return await exchange
    except TimeoutError as exc:
        if not deadline.expired():
            raise
        raise SourceTimeoutError(f"not everything came within {seconds:g} s", source=name) from exc
