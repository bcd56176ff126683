"""A read is exact or fails."""

from __future__ import annotations

from asyncframes.errors import ShortReadError


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
