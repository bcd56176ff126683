"""What was asked for, checked, and turned into frame indices."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from operator import index as as_integer
from typing import Any

import numpy as np

from asyncframes._quoting import quoted
from asyncframes._table import FrameTable, Int64Array
from asyncframes._timing import seconds_to_tick_after, seconds_to_ticks
from asyncframes._types import TimeRange
from asyncframes.errors import FrameIndexError


@dataclass(frozen=True, slots=True)
class Selection:
    """A request for frames; at most one of `indices`, `times`, `fps` and `keyframes` is set.

    Attributes
    ----------
    start, end
        Inclusive bounds, negative from the end.
    step
        Every `step`-th frame of the bounds.
    indices, times
        Frames by index or by seconds, in the order wanted.
    time_range
        Bounds in seconds, half-open, in place of `start` and `end`.
    fps
        Frames per second to resample the bounds to.
    keyframes
        Only keyframes of the bounds.
    """

    start: int | None = None
    end: int | None = None
    step: int = 1
    indices: tuple[int, ...] | None = None
    times: tuple[Fraction, ...] | None = None
    time_range: tuple[Fraction | None, Fraction | None] | None = None
    fps: Fraction | None = None
    keyframes: bool = False

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that name this selection, checked and with iterables read."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def is_range(self) -> bool:
        """Whether it is named by bounds and step alone."""
        by_name = (self.indices, self.times, self.time_range, self.fps)
        return all(way is None for way in by_name) and not self.keyframes

    @property
    def is_forward(self) -> bool:
        """Whether a decode from the start can serve it without a frame table."""
        return self.is_range and (self.start or 0) >= 0 and (self.end is None or self.end >= 0)

    @property
    def forward_range(self) -> tuple[int, int | None, int]:
        """First index, last index or ``None``, and step of a forward selection."""
        return self.start or 0, self.end, self.step


def make_selection(
    start: int | None,
    end: int | None,
    step: int,
    *,
    indices: Iterable[int] | None = None,
    times: Iterable[float | Fraction] | None = None,
    time_range: TimeRange | None = None,
    fps: float | Fraction | None = None,
    keyframes: bool = False,
) -> Selection:
    """Check what can be checked before anything is read.

    Raises
    ------
    TypeError
        An index is no integer.
    ValueError
        The bounds are empty, `step` or `fps` is not positive, or two ways of
        naming frames are mixed.
    """
    ways = {
        "indices": indices is not None,
        "times": times is not None,
        "fps": fps is not None,
        "keyframes": keyframes,
    }
    chosen = [name for name, given in ways.items() if given]
    if len(chosen) > 1:
        raise ValueError(f"{' and '.join(chosen)} name frames in different ways: give one of them")
    if chosen and step != 1:
        raise ValueError(f"step={step} goes with start and end, not with {chosen[0]}")
    if chosen and chosen[0] in {"indices", "times"} and (start is not None or end is not None):
        raise ValueError(f"start and end bound a range; {chosen[0]} already names each frame")
    if time_range is not None and (start, end) != (None, None):
        raise ValueError("start and end bound a range by index, time_range by seconds: give one of them")
    if time_range is not None and chosen and chosen[0] in {"indices", "times"}:
        raise ValueError(f"time_range bounds a range; {chosen[0]} already names each frame")
    start, end, step = _integer("start", start), _integer("end", end), as_integer(step)
    if step < 1:
        raise ValueError(f"step={step}: expected 1 or more")
    if start is not None and end is not None and (start < 0) == (end < 0) and end < start:
        raise ValueError(f"end={end} lies before start={start}; both are inclusive")
    if fps is not None and not 0 < fps < float("inf"):
        raise ValueError(f"fps={fps}: expected more than 0")
    return Selection(
        start=start,
        end=end,
        step=step,
        indices=None if indices is None else tuple(as_integer(index) for index in indices),
        times=None if times is None else tuple(_seconds(seconds) for seconds in times),
        time_range=None if time_range is None else _time_range(time_range),
        fps=None if fps is None else Fraction(fps).limit_denominator(1_000_000),
        keyframes=keyframes,
    )


def _integer(name: str, value: int | None) -> int | None:
    try:
        return None if value is None else as_integer(value)
    except TypeError:
        raise TypeError(f"{name}={quoted(value)}: expected an integer or None") from None


def _time_range(bounds: TimeRange) -> tuple[Fraction | None, Fraction | None]:
    begin, stop = (None if seconds is None else _seconds(seconds) for seconds in bounds)
    if begin is not None and stop is not None and stop <= begin:
        raise ValueError(
            f"time_range ends at {float(stop):g} s, not after its beginning at {float(begin):g} s"
        )
    return begin, stop


def _seconds(value: float | Fraction) -> Fraction:
    try:
        return Fraction(value)
    except (OverflowError, ValueError, TypeError):
        raise ValueError(f"time {quoted(value)}: expected a finite number of seconds") from None


def resolve(selection: Selection, table: FrameTable) -> Int64Array:
    """Turn a selection into the indices of frames that exist.

    Raises
    ------
    FrameIndexError
        An index, `start` or a time lies outside the video.
    ValueError
        The bounds are empty once negative ones are counted from the end.
    """
    if selection.indices is not None:
        return np.array([checked_index(index, len(table)) for index in selection.indices], np.int64)
    if selection.times is not None:
        return _rows_at(table, [seconds_to_ticks(time, table.time_base) for time in selection.times])
    if selection.time_range is not None:
        first, last = _shown_between(table, *selection.time_range)
    else:
        first, last = _bounds(selection, len(table))
    if selection.keyframes:
        rows = np.flatnonzero(table.is_keyframe)
        return rows[(rows >= first) & (rows <= last)]
    if selection.fps is not None:
        return _resampled(table, first, last, selection.fps)
    return np.arange(first, last + 1, selection.step, dtype=np.int64)


def checked_index(index: int, length: int) -> int:
    """Count a negative index from the end and refuse one outside ``0 <= index < length``."""
    place = index + length if index < 0 else index
    if not 0 <= place < length:
        raise FrameIndexError(
            f"frame {index} asked for; the video has {length} frames", index=index, length=length
        )
    return place


def _bounds(selection: Selection, length: int) -> tuple[int, int]:
    if length == 0 and selection.start is None:
        return 0, -1
    start = checked_index(selection.start or 0, length)
    end = length - 1 if selection.end is None else selection.end
    end = end + length if end < 0 else min(end, length - 1)
    if end < start:
        raise ValueError(
            f"end={selection.end} lies before start={selection.start or 0} in a video of {length} frames; "
            "both are inclusive"
        )
    return start, end


def _shown_between(table: FrameTable, begin: Fraction | None, stop: Fraction | None) -> tuple[int, int]:
    """First and last frame shown in a half-open range of time; nothing where it lies outside the video."""
    pts = table.ticks()
    if begin is None or not len(pts):
        first = 0
    elif seconds_to_ticks(begin, table.time_base) >= _end_tick(table, pts):
        first = len(pts)
    else:
        first = max(int(np.searchsorted(pts, seconds_to_ticks(begin, table.time_base), side="right")) - 1, 0)
    if stop is None:
        return first, len(pts) - 1
    return first, int(np.searchsorted(pts, seconds_to_tick_after(stop, table.time_base), side="left")) - 1


def _rows_at(table: FrameTable, ticks: list[int]) -> Int64Array:
    """Frames shown at these ticks: the last one whose pts is not after the tick."""
    pts = table.ticks()
    rows = np.searchsorted(pts, ticks, side="right") - 1
    stop = _end_tick(table, pts)
    for tick, row in zip(ticks, rows, strict=True):
        if row < 0 or tick >= stop:
            first, last = (
                (float(int(edge) * table.time_base) for edge in (pts[0], stop)) if len(pts) else (0.0, 0.0)
            )
            raise FrameIndexError(
                f"{float(tick * table.time_base):.6g} s asked for; "
                f"the video is shown from {first:.6g} s to {last:.6g} s",
                length=len(table),
            )
    return rows.astype(np.int64)


def _end_tick(table: FrameTable, pts: Int64Array) -> int:
    """Tick at which the last frame stops being shown."""
    if not len(pts):
        return 0
    duration = int(table.packets.duration[table.packet_of[-1]])
    if duration <= 0 and len(pts) > 1:
        duration = int(pts[-1] - pts[-2])
    return int(pts[-1]) + max(duration, 1)


def _resampled(table: FrameTable, first: int, last: int, fps: Fraction) -> Int64Array:
    if last < first:
        return np.empty(0, np.int64)
    pts = table.ticks()[first : last + 1]
    stop = _end_tick(table, table.ticks()) if last == len(table) - 1 else int(table.ticks()[last + 1])
    ticks_per_output = 1 / (fps * table.time_base)
    count = max(1, -(-(stop - int(pts[0])) // ticks_per_output))
    ticks = [int(pts[0]) + seconds_to_ticks(output / fps, table.time_base) for output in range(int(count))]
    return np.clip(np.searchsorted(pts, ticks, side="right") - 1, 0, None).astype(np.int64) + first
