"""The packets of a stream without their bytes, and the identity of the source that contains them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Int64Array = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NO_TIMESTAMP = np.iinfo(np.int64).min
"""Stands for a missing pts or dts in the arrays, as ``AV_NOPTS_VALUE`` does."""

UNKNOWN_SIZE = -1
"""Stands for the size of a packet that is left out of a part of a table."""

# H.264 and HEVC reorder by at most 16 pictures, and each of them may be stored as two fields.
_FARTHEST_FROM_PLACE = 32

Scalar = TypeVar("Scalar", bound=np.generic)


def read_only(array: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return a read-only view of an array."""
    view = array.view()
    view.setflags(write=False)
    return view


def distinct(numbers: Int64Array) -> Int64Array:
    """Return each integer of an array once, in ascending order.

    Twice as fast as `np.unique`, which also imports ``numpy.ma`` on its first call: 20 ms.
    """
    ascending = np.sort(numbers)
    return ascending[np.append(True, ascending[1:] != ascending[:-1])] if len(ascending) else ascending


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Packets:
    """The packets of one stream in decode order, without their bytes; all arrays are read-only.

    Attributes
    ----------
    pts, dts
        Ticks of the stream's time base; `NO_TIMESTAMP` if missing.
    position, size
        Byte range in the source; position -1 if unknown, and so is the size of a packet outside a part
        of a table.
    duration
        Ticks; 0 if unknown.
    is_keyframe, is_discard
        The demuxer's flags.
    """

    pts: NDArray[np.int64]
    dts: NDArray[np.int64]
    position: NDArray[np.int64]
    size: NDArray[np.int64]
    duration: NDArray[np.int64]
    is_keyframe: NDArray[np.bool_]
    is_discard: NDArray[np.bool_]

    def __post_init__(self) -> None:
        for column in fields(self):
            object.__setattr__(self, column.name, read_only(getattr(self, column.name)))

    def __reduce__(self) -> tuple[Any, ...]:
        # Unpickled arrays are writable. `__post_init__` makes them read-only again.
        return type(self), tuple(getattr(self, column.name) for column in fields(self))

    def __repr__(self) -> str:
        return f"Packets({len(self):,} packets)"

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def are_timed(self) -> bool:
        """Whether every packet that may become a frame has a pts of its own."""
        pts = np.sort(self.pts[~self.is_discard])
        return not len(pts) or (pts[0] != NO_TIMESTAMP and not np.any(pts[1:] == pts[:-1]))

    @property
    def keep_order(self) -> bool:
        """Whether packets are shown in the order in which they are decoded, according to their pts."""
        return bool(np.all(self.pts[1:] > self.pts[:-1]))

    @property
    def are_near_their_order(self) -> bool:
        """Whether decoders can show them in the order of their pts.

        A codec reorders by few pictures. If packets are farther from their place, the clock was set
        back or has wrapped, and a decoder shows what is before that first.
        """
        pts = self.pts[~self.is_discard]
        latest_so_far = np.maximum.accumulate(pts)[: -_FARTHEST_FROM_PLACE - 1]
        earliest_from_here = np.minimum.accumulate(pts[::-1])[::-1][_FARTHEST_FROM_PLACE + 1 :]
        return bool(np.all(latest_so_far < earliest_from_here))

    @property
    def begin_whole(self) -> bool:
        """Whether the stream begins with a keyframe, and nothing is shown before it."""
        if not len(self):
            return True
        return bool(self.is_keyframe[0]) and not np.any((self.pts < self.pts[0]) & ~self.is_discard)

    def in_presentation_order(self) -> Int64Array:
        """Return the numbers of the packets that may become frames, ordered by pts."""
        kept = np.flatnonzero(~self.is_discard)
        return kept[np.argsort(self.pts[kept], kind="stable")]

    def begin_with(self, first: Packets) -> bool:
        """Whether the first of these packets are the same as `first`."""
        return all(
            np.array_equal(getattr(self, column.name)[: len(first)], getattr(first, column.name))
            for column in fields(self)
        )

    def find(self, *, position: int, size: int, dts: int) -> int | None:
        """Return the number of the packet with these properties; ``None`` unless exactly one has them."""
        matches = self.size == size
        if position >= 0:
            matches &= self.position == position
        numbers = np.flatnonzero(matches)
        if len(numbers) > 1:
            numbers = numbers[self.dts[numbers] == dts]
        return int(numbers[0]) if len(numbers) == 1 else None


def presentation_ranks(packets: Packets, row_of: Int64Array) -> Int64Array:
    """Return the place of every packet in presentation order, including packets without a frame.

    Parameters
    ----------
    row_of
        The frame of each packet. It is the result if a pts is missing.
    """
    if np.any(packets.pts == NO_TIMESTAMP):
        return row_of
    rank = np.empty(len(packets), np.int64)
    rank[np.argsort(packets.pts, kind="stable")] = np.arange(len(packets))
    return rank


class SoundPackets(Packets):
    """Packets whose headers were all read and are valid, which is not saved or pickled."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return Packets, super().__reduce__()[1]

    @classmethod
    def of(cls, packets: Packets) -> SoundPackets:
        """Mark packets as sound."""
        return cls(*(getattr(packets, column.name) for column in fields(packets)))


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """Identifies the bytes and the stream that a frame table describes.

    Attributes
    ----------
    size
        Length of the source in bytes; ``None`` if unknown.
    validator
        `StreamSource.validator`; ``None`` if the source has none.
    stream_index
        Index of the stream in the container.
    """

    size: int | None
    validator: str | None
    stream_index: int

    def may_be(self, other: SourceIdentity) -> bool:
        """Whether both may identify the same bytes: they agree in everything that both know."""
        pairs = ((self.size, other.size), (self.validator, other.validator))
        return self.stream_index == other.stream_index and all(
            mine == theirs or mine is None or theirs is None for mine, theirs in pairs
        )
