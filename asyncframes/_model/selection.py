"""Which frames a request selects: checked, and resolved to frame indices."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from fractions import Fraction
from operator import index as as_integer
from typing import TypeVar, Unpack, cast, get_args

import numpy as np

from asyncframes._model.entries import (
    MOST_ENTRIES,
    Entries,
    Unread,
    as_seconds,
    as_tolerance,
    read_indices,
    read_times,
)
from asyncframes._model.options import SelectionOptions, option
from asyncframes._model.quoting import quoted_option
from asyncframes._model.shown import Clock
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._model.timing import as_float
from asyncframes._types import TimeRange, WhenShort
from asyncframes.errors import FrameIndexError

T = TypeVar("T")

FEW = 1000
"""As many indices as this take less time than handing them to a thread."""

_FLOAT_DENOMINATOR = 1_000_000


@dataclass(frozen=True, slots=True)
class Sampling:
    """How many frames to take from bounds; see `SelectionOptions`."""

    num_frames: int | None = None
    max_frames: int | None = None
    min_frames: int | None = None
    short: WhenShort = "repeat"

    def spread(self, first: int, last: int, number: int) -> Int64Array:
        """Return frames spread evenly over bounds, which hold at least one."""
        if self.short == "fewer" and number > last - first + 1:
            return np.arange(first, last + 1, dtype=np.int64)
        return np.linspace(first, last, number).round().astype(np.int64)

    def resampled(self, clock: Clock, first: int, last: int, fps: Fraction) -> Int64Array:
        """Return the frames at each tick of a rate, or as many as the limits allow, spread evenly."""
        ticks = clock.ticks_of_rate(first, last, fps)
        if self.max_frames is not None and ticks > self.max_frames:
            return self.spread(first, last, self.max_frames)
        if self.min_frames is not None and ticks < self.min_frames:
            return self.spread(first, last, self.min_frames)
        return clock.resampled(first, last, fps)


def finish(steps: Generator[None, None, T]) -> T:
    """Run a generator to its end without a pause, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast("T", end.value)


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """A request for frames; at most one of `indices`, `times`, `fps`, `num_frames` and `keyframes` is set.

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
    sampling
        How many frames to take from the bounds.
    keyframes
        Only keyframes of the bounds.
    tolerance_seconds
        By how much times may be early.
    """

    start: int | None = None
    end: int | None = None
    step: int = 1
    indices: Entries | Unread | None = None
    times: Entries | Unread | None = None
    time_range: tuple[Fraction | None, Fraction | None] | None = None
    fps: Fraction | None = None
    sampling: Sampling = Sampling()
    keyframes: bool = False
    tolerance_seconds: Fraction = Fraction(0)

    def read(self) -> Generator[None, None, Selection]:
        """Read the iterables, which may take long, and return the selection of what they name.

        Yields
        ------
        None
            Every few milliseconds, so that an event loop may go on.

        Raises
        ------
        TypeError, ValueError, FrameIndexError
            An entry cannot name a frame, or there are too many.
        """
        indices, times = self.indices, self.times
        if not isinstance(indices, Unread) and not isinstance(times, Unread):
            return self
        if isinstance(indices, Unread):
            indices = yield from indices.read()
        if isinstance(times, Unread):
            times = yield from times.read()
        return replace(self, indices=indices, times=times)

    def read_at_once(self) -> Selection:
        """Read the iterables without a pause; see `read`."""
        return finish(self.read())

    def is_quick_in(self, length: int) -> bool:
        """Whether it resolves at once in a video of `length` frames."""
        if self.indices is not None:
            return not isinstance(self.indices, Unread) and len(self.indices) <= FEW
        if self.sampling.num_frames is not None:
            length = self.sampling.num_frames
        return not (self.is_by_time or self.keyframes) and length <= FEW

    @property
    def is_by_time(self) -> bool:
        """Whether it names frames by time."""
        return not (self.times is None and self.time_range is None and self.fps is None)

    @property
    def most_frames(self) -> int | None:
        """How many frames it can have in any video, ``None`` if that depends on the video."""
        for named in (self.indices, self.times):
            if named is not None:
                return None if isinstance(named, Unread) else len(named)
        if self.sampling.num_frames is not None:
            return self.sampling.num_frames
        if self.fps is not None:
            return self.sampling.max_frames
        start = self.start or 0
        # An index from the end and one from the start have no fixed distance.
        if self.end is None or (start < 0) != (self.end < 0):
            return None
        return len(range(start, self.end + 1, self.step))

    @property
    def is_range(self) -> bool:
        """Whether it names frames by bounds and step alone."""
        by_name = (self.indices, self.times, self.time_range, self.fps, self.sampling.num_frames)
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
    start: int | None, end: int | None, step: int, **options: Unpack[SelectionOptions]
) -> Selection:
    """Check what can be checked before anything is read; for a long iterable that is its type.

    Raises
    ------
    TypeError
        An index is not an integer.
    ValueError
        The bounds are empty, `step`, `fps` or a number of frames is not positive, or two
        ways of naming frames are mixed.
    """
    indices, times, fps = options.get("indices"), options.get("times"), options.get("fps")
    time_range, keyframes = options.get("time_range"), options.get("keyframes", False)
    ways = {
        "indices": indices is not None,
        "times": times is not None,
        "fps": fps is not None,
        "num_frames": options.get("num_frames") is not None,
        "keyframes": keyframes,
    }
    chosen = [name for name, given in ways.items() if given]
    _refuse_mixture(chosen, (start, end), step, has_time_range=time_range is not None)
    start, end, step = _optional("start", start), _optional("end", end), _integer("step", step)
    if step < 1:
        raise ValueError(f"step={quoted_option(step)}: expected 1 or more")
    if start is not None and end is not None and (start < 0) == (end < 0) and end < start:
        raise ValueError(
            f"end={quoted_option(end)} is before start={quoted_option(start)}; both are inclusive"
        )
    selection = Selection(
        start=start,
        end=end,
        step=step,
        indices=None if indices is None else read_indices(indices),
        times=None if times is None else read_times(times),
        time_range=None if time_range is None else _time_range(time_range),
        fps=None if fps is None else _rate(fps),
        sampling=_sampling(options, chosen),
        keyframes=keyframes,
        tolerance_seconds=as_tolerance(options.get("tolerance_seconds", 0)),
    )
    if selection.tolerance_seconds and not selection.is_by_time:
        raise ValueError("tolerance_seconds goes with times, time_range and fps: none of them is given")
    return selection


def _refuse_mixture(
    chosen: list[str], bounds: tuple[int | None, int | None], step: int, *, has_time_range: bool
) -> None:
    if len(chosen) > 1:
        raise ValueError(f"{' and '.join(chosen)} name frames in different ways: give one of them")
    if chosen and step != 1:
        raise ValueError(f"step={quoted_option(step)} goes with start and end, not with {chosen[0]}")
    if chosen and chosen[0] in {"indices", "times"} and bounds != (None, None):
        raise ValueError(f"start and end bound a range; {chosen[0]} already names each frame")
    if has_time_range and bounds != (None, None):
        raise ValueError("start and end bound a range by index, time_range by seconds: give one of them")
    if has_time_range and chosen and chosen[0] in {"indices", "times"}:
        raise ValueError(f"time_range bounds a range; {chosen[0]} already names each frame")


def _sampling(options: SelectionOptions, chosen: list[str]) -> Sampling:
    sampling = Sampling(
        num_frames=_number("num_frames", options.get("num_frames")),
        max_frames=_number("max_frames", options.get("max_frames")),
        min_frames=_number("min_frames", options.get("min_frames")),
        short=option(options, "short"),
    )
    least, most = sampling.min_frames, sampling.max_frames
    if (least or most) and chosen != ["fps"]:
        name = "max_frames" if most else "min_frames"
        instead = f", not with {chosen[0]}" if chosen else "; for a number of frames alone, pass num_frames"
        raise ValueError(f"{name} goes with fps{instead}")
    if least and most and least > most:
        raise ValueError(f"min_frames={least} is more than max_frames={most}")
    _check_short(sampling)
    return sampling


def _check_short(sampling: Sampling) -> None:
    known = get_args(WhenShort)
    if sampling.short not in known:
        raise ValueError(f"short={quoted_option(sampling.short)}: expected one of {', '.join(known)}")
    if sampling.short != "repeat" and not (sampling.num_frames or sampling.min_frames or sampling.max_frames):
        numbers = "num_frames, min_frames and max_frames"
        raise ValueError(f'short="{sampling.short}" goes with {numbers}: none of them is given')


def _number(name: str, value: int | None) -> int | None:
    number = _optional(name, value)
    if number is not None and not 1 <= number <= MOST_ENTRIES:
        raise ValueError(f"{name}={quoted_option(number)}: expected 1 to {MOST_ENTRIES:,}")
    return number


def _optional(name: str, value: int | None) -> int | None:
    return None if value is None else _integer(name, value, "an integer or None")


def _integer(name: str, value: int, expected: str = "an integer") -> int:
    try:
        return as_integer(value)
    except TypeError:
        raise TypeError(f"{name}={quoted_option(value)}: expected {expected}") from None


def _rate(fps: float | Fraction) -> Fraction:
    try:
        rate = as_seconds(fps)
    except ValueError:
        rate = Fraction(0)
    if rate <= 0:
        text = f"{as_float(fps):g}" if isinstance(fps, Fraction) else quoted_option(fps)
        raise ValueError(f"fps={text}: expected a finite number above 0")
    # A float such as 29.97 means what it is written as, not the nearest sum of powers of two.
    return rate if isinstance(fps, Fraction) else rate.limit_denominator(_FLOAT_DENOMINATOR) or rate


def _time_range(bounds: TimeRange) -> tuple[Fraction | None, Fraction | None]:
    try:
        first, end = bounds
    except (TypeError, ValueError) as exc:
        message = f"time_range={quoted_option(bounds)}: expected (from, to) in seconds, None for an open end"
        raise type(exc)(message) from None
    begin, stop = (None if seconds is None else as_seconds(seconds) for seconds in (first, end))
    if begin is not None and stop is not None and stop <= begin:
        raise ValueError(
            f"time_range ends at {as_float(stop):g} s and begins at {as_float(begin):g} s: "
            "expected a later end"
        )
    return begin, stop


def resolve(selection: Selection, table: FrameTable) -> Int64Array:
    """Turn a selection whose iterables are read into the indices of frames that exist.

    Takes a time that grows with the number of frames: call it in a thread
    unless `Selection.is_quick_in` its video.

    Raises
    ------
    FrameIndexError
        An index, `start` or a time is outside the video.
    ValueError
        The bounds are empty once negative ones are counted from the end, `fps`
        names too many frames, or the video has no times.
    """
    if isinstance(selection.indices, Unread) or isinstance(selection.times, Unread):
        raise RuntimeError("the selection is unread: read its iterables before resolving it")
    if selection.indices is not None:
        return checked_indices(selection.indices, len(table))
    if selection.times is not None:
        return table.rows_at(selection.times, selection.tolerance_seconds)
    clock = table.clock(selection.tolerance_seconds) if selection.is_by_time and len(table) else None
    if clock is None or selection.time_range is None:
        first, last = _bounds(selection, len(table))
    else:
        first, last = clock.bounds(*selection.time_range)
    if selection.keyframes:
        rows = np.flatnonzero(table.is_keyframe)
        return rows[(rows >= first) & (rows <= last)]
    if first > last:
        return np.empty(0, np.int64)
    if selection.sampling.num_frames is not None:
        return selection.sampling.spread(first, last, selection.sampling.num_frames)
    if selection.fps is not None and clock is not None:
        return selection.sampling.resampled(clock, first, last, selection.fps)
    return np.arange(first, last + 1, min(selection.step, len(table) + 1), dtype=np.int64)


def checked_indices(indices: Int64Array, length: int) -> Int64Array:
    """Count negative indices from the end and refuse those outside ``0 <= index < length``."""
    places = np.where(indices < 0, indices + length, indices)
    outside = (places < 0) | (places >= length)
    if np.any(outside):
        checked_index(int(indices[np.flatnonzero(outside)[0]]), length)
    return places


def checked_index(index: int, length: int) -> int:
    """Count a negative index from the end and refuse one outside ``0 <= index < length``."""
    place = index + length if index < 0 else index
    if not 0 <= place < length:
        message = f"frame {quoted_option(index)} is out of range: the video has {length} frames"
        raise FrameIndexError(message, index=index, length=length)
    return place


def _bounds(selection: Selection, length: int) -> tuple[int, int]:
    if length == 0 and (selection.start is None or selection.time_range is not None):
        return 0, -1
    start = checked_index(selection.start or 0, length)
    end = length - 1 if selection.end is None else selection.end
    end = end + length if end < 0 else min(end, length - 1)
    if end < start:
        raise ValueError(
            f"end={quoted_option(selection.end)} is before start={selection.start or 0} "
            f"in a video of {length} frames; both are inclusive"
        )
    return start, end
