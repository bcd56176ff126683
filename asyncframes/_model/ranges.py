"""Arithmetic on byte ranges, and checks that reads are exact.

A range is half-open: ``start <= i < stop``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from asyncframes.errors import ShortReadError

ByteRange: TypeAlias = tuple[int, int]
"""Half-open ``(start, stop)``."""

_CONTENT_RANGE = re.compile(r"\s*bytes\s+(?:(\d+)\s*-\s*(\d+)|\*)\s*/\s*(?:(\d+)|\*)\s*", re.I | re.A)

# The largest position in a file, and its number of digits.
_MOST_BYTES = 2**63 - 1
_MOST_DIGITS = 19


@dataclass(frozen=True, slots=True)
class ContentRange:
    """The content of a `Content-Range` header.

    Attributes
    ----------
    start, stop
        Half-open range of the body; both ``None`` if the header names none
        (``bytes */1234``, the answer to a range outside the resource).
    size
        Length of the whole resource, ``None`` for ``*``.
    """

    start: int | None
    stop: int | None
    size: int | None


def check_range(start: int, stop: int) -> None:
    """Refuse an invalid byte range.

    Raises
    ------
    ValueError
        Unless ``0 <= start <= stop``.
    """
    if not 0 <= start <= stop:
        raise ValueError(f"byte range {start}-{stop} is invalid: expected 0 <= start <= stop")


def block_span(start: int, stop: int, *, block_size: int) -> range:
    """Return the numbers of the blocks that contain the bytes ``start <= i < stop``."""
    if start >= stop:
        return range(start // block_size, start // block_size)
    return range(start // block_size, -(-stop // block_size))


def merge_ranges(ranges: Iterable[ByteRange], *, max_gap: int, max_span: int) -> list[ByteRange]:
    """Merge ranges into fewer requests.

    Parameters
    ----------
    ranges
        In any order. They may overlap. Empty ranges are left out.
    max_gap
        How many unwanted bytes a request may contain between two ranges.
    max_span
        Length of the longest request. Longer ranges are split.

    Returns
    -------
    list of ByteRange
        Ascending and disjoint, each at most `max_span` long.
    """
    merged: list[ByteRange] = []
    for start, stop in _united(ranges):
        if merged and start - merged[-1][1] <= max_gap and stop - merged[-1][0] <= max_span:
            merged[-1] = merged[-1][0], stop
        else:
            merged.extend(split_range(start, stop, max_span=max_span))
    return merged


def near_ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64], *, max_gap: int) -> list[ByteRange]:
    """Merge many ranges as `merge_ranges` does, without a limit on their length.

    Parameters
    ----------
    starts, lengths
        In any order. The ranges may overlap. Empty ranges are left out.
    max_gap
        How many unwanted bytes may be between two ranges that are merged.
    """
    starts, lengths = starts[lengths > 0], lengths[lengths > 0]
    order = np.argsort(starts, kind="stable")
    starts, stops = starts[order], np.maximum.accumulate((starts + lengths)[order])
    is_far = starts[1:] - stops[:-1] > max_gap
    firsts, lasts = np.append(True, is_far), np.append(is_far, True)
    return list(zip(starts[firsts].tolist(), stops[lasts].tolist(), strict=True)) if len(starts) else []


def split_range(start: int, stop: int, *, max_span: int) -> list[ByteRange]:
    """Split a range into ranges of at most `max_span` bytes."""
    if max_span < 1:
        raise ValueError(f"max_span={max_span}: expected 1 or more")
    return [(position, min(position + max_span, stop)) for position in range(start, stop, max_span)]


def parse_content_range(value: str) -> ContentRange:
    """Parse a `Content-Range` header.

    Raises
    ------
    ValueError
        The header is malformed, or contradicts itself.
    """
    match = _CONTENT_RANGE.fullmatch(value)
    if match is None:
        raise ValueError(f"malformed Content-Range {value[:80]!r}")
    first, last, size = map(_offset, match.groups())
    if first is None or last is None:
        return ContentRange(None, None, size)
    if last < first or (size is not None and last >= size):
        raise ValueError(f"impossible Content-Range {value[:80]!r}")
    return ContentRange(first, last + 1, size)


def _offset(digits: str | None) -> int | None:
    if digits is None:
        return None
    # Python refuses to parse numbers of several thousand digits, with an error of its own.
    if len(digits) > _MOST_DIGITS or (offset := int(digits)) > _MOST_BYTES:
        raise ValueError(f"a Content-Range of {digits[:_MOST_DIGITS]}… bytes is larger than any file")
    return offset


def _united(ranges: Iterable[ByteRange]) -> list[ByteRange]:
    united: list[ByteRange] = []
    for start, stop in sorted((start, stop) for start, stop in ranges if start < stop):
        if united and start <= united[-1][1]:
            united[-1] = united[-1][0], max(stop, united[-1][1])
        else:
            united.append((start, stop))
    return united


class Arrivals:
    """Counts the bytes of a range as they arrive.

    Attributes
    ----------
    position
        Position of the next byte.
    """

    def __init__(self, start: int, arrived: Callable[[bytes], object]) -> None:
        self.position = start
        self._arrived = arrived

    def add(self, part: bytes) -> None:
        """Count bytes that arrived, and pass them on."""
        self.position += len(part)
        self._arrived(part)


def exactly(data: bytes, start: int, stop: int, *, name: str) -> bytes:
    """Return the bytes that were read, if they are the whole range.

    Raises
    ------
    ShortReadError
        They are fewer.
    """
    if len(data) < stop - start:
        raise short_read(start, stop, received=len(data), name=name)
    return data


def check_end(start: int, stop: int, *, size: int | None, name: str) -> None:
    """Refuse a range that ends after the source's known end.

    Raises
    ------
    ShortReadError
        `stop` is larger than `size`.
    """
    if size is not None and stop > size:
        raise short_read(start, stop, received=max(0, size - start), name=name)


def short_read(start: int, stop: int, *, received: int, name: str) -> ShortReadError:
    """Return an error that says which bytes were requested and how many arrived."""
    return ShortReadError(
        f"bytes {start}-{stop} were requested, but only {received} arrived",
        source=name,
        start=start,
        stop=stop,
        received=received,
    )
