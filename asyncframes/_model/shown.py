"""Finds the frame that is shown at a time.

A container rounds times to its ticks, so a time selects a frame from half a tick before the frame's pts. If
frames are one tick apart, a tick is exactly the duration of a frame, and nothing was rounded.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
from numpy.typing import NDArray

from asyncframes._model.entries import MOST_ENTRIES, Entries
from asyncframes._model.packets import NO_TIMESTAMP
from asyncframes._model.timing import CLOSE, MOST_TICKS, Int64Array, as_float, even_ticks, seconds_to_ticks
from asyncframes.errors import FrameIndexError

# How many ticks early a time may be, because the pts of its frame was rounded.
_EARLY = 0.5

# The times of a new rate are counted from the pts of a frame, which was rounded too.
_EARLY_FROM_A_FRAME = 1.0

# The end of the last frame is the sum of a pts and a duration, which were both rounded.
_EARLY_TO_AN_END = Fraction(3, 2)


def ticks_of(pts: Int64Array, time_base: Fraction, average_rate: Fraction | None) -> Int64Array:
    """Return ascending times of frames, in ticks; see `FrameTable.ticks`."""
    if np.any(pts == NO_TIMESTAMP):
        if average_rate is None or average_rate <= 0:
            raise ValueError("this video has neither timestamps nor a frame rate: ask for frames by index")
        whole, part = even_ticks(len(pts), 1 / (average_rate * time_base))
        return whole + (part >= 0.5)
    ticks = np.maximum.accumulate(pts)
    if len(ticks) and int(ticks[-1]) - int(ticks[0]) >= MOST_TICKS:
        raise ValueError("the pts of this video are too far apart for times: ask for frames by index")
    return ticks


def ticks_shown(ticks: Int64Array, row: int, last_duration: int) -> int:
    """Return for how many ticks one frame is shown; see `Clock.durations`."""
    begin = int(ticks[row])
    if row and int(ticks[row - 1]) == begin:
        return 0
    later = row + 1
    if later < len(ticks) and int(ticks[later]) == begin:
        later = int(np.searchsorted(ticks, begin, side="right"))
    return (int(ticks[later]) if later < len(ticks) else _end_of(ticks, last_duration)) - begin


def _end_of(ticks: Int64Array, last_duration: int) -> int:
    """Return the tick at which the last frame ends."""
    if last_duration <= 0 and len(ticks) > 1:
        last_duration = int(ticks[-1] - ticks[-2])
    return min(int(ticks[-1]) + max(last_duration, 1), int(ticks[0]) + MOST_TICKS)


class Clock:
    """The times of frames, in ticks from the first frame on.

    If several frames share a time, the first one is shown.

    Parameters
    ----------
    ticks
        When each frame is shown, in presentation order: at least one, ascending, repeats allowed.
    time_base
        Seconds per tick.
    last_duration
        For how many ticks the last frame is shown. 0 if unknown; it is then shown as long as the
        frame before it.
    tolerance
        How many seconds early times may be, beyond what the container's rounding explains. It
        never exceeds half the time from one frame to the next.
    """

    def __init__(
        self, ticks: Int64Array, time_base: Fraction, *, last_duration: int, tolerance: Fraction
    ) -> None:
        self._time_base = time_base
        self._tolerance = as_float(tolerance / time_base)
        self._origin = int(ticks[0])
        self._ticks = ticks - self._origin
        self._length = len(ticks)
        later = int(np.searchsorted(self._ticks, 0, side="right"))
        self._first_lasts = int(self._ticks[later]) if later < self._length else MOST_TICKS
        self._stop = _end_of(self._ticks, last_duration)

    def durations(self) -> Int64Array:
        """Return for how many ticks each frame is shown; 0 for all but the first frame with the same time."""
        firsts = np.flatnonzero(np.append(True, self._ticks[1:] != self._ticks[:-1]))
        durations = np.zeros(self._length, np.int64)
        durations[firsts] = np.diff(self._ticks[firsts], append=self._stop)
        return durations

    def rows_at(self, times: Entries) -> Int64Array:
        """Return the frames shown at times in seconds.

        Raises
        ------
        FrameIndexError
            No frame is shown at one of the times.
        """
        ticks, parts = seconds_to_ticks(times, self._time_base, self._origin)
        rows = self._rows_at(ticks, parts, _EARLY)
        left = (self._stop - ticks) - parts
        outside = (rows < 0) | (left <= CLOSE - self._tolerance)
        if np.any(outside):
            raise self._outside(times[np.flatnonzero(outside)[0]])
        return rows

    def bounds(self, begin: Fraction | None, stop: Fraction | None) -> tuple[int, int]:
        """Return the first and last frame shown in a half-open range of time; last < first if none is."""
        first = 0 if begin is None else self._first_from(begin)
        return first, self._length - 1 if stop is None else self._last_before(stop)

    def _first_from(self, begin: Fraction) -> int:
        ticks, parts = self._ticks_of(begin)
        if float(self._stop - ticks[0]) - float(parts[0]) <= CLOSE:
            return self._length
        return max(int(self._rows_at(ticks, parts, _EARLY)[0]), 0)

    def _last_before(self, stop: Fraction) -> int:
        ticks, parts = self._ticks_of(stop)
        row = int(np.searchsorted(self._ticks, ticks[0], side="right")) - 1
        if row < 0:
            return -1
        end = int(self._ticks[row + 1]) if row + 1 < self._length else self._stop
        late, lasts = int(ticks[0] - self._ticks[row]) + float(parts[0]), end - int(self._ticks[row])
        if late <= CLOSE or (late <= self._slack(_EARLY, lasts) and 2 * late < lasts):
            # The range ends where this frame begins.
            return int(np.searchsorted(self._ticks, self._ticks[row], side="left")) - 1
        return row

    def ticks_of_rate(self, first: int, last: int, fps: Fraction) -> int:
        """Count the ticks of a rate from one frame to the end of another: at least one."""
        lasts = self._end_of(last) - int(self._ticks[last])
        interval = self._interval(fps)
        spare = min(_EARLY_TO_AN_END, Fraction(lasts, 2), interval / 2) if lasts > 1 else Fraction(0)
        return max(1, ceil((self._end_of(last) - int(self._ticks[first]) - spare) / interval))

    def resampled(self, first: int, last: int, fps: Fraction) -> Int64Array:
        """Return the frames shown at the times of a rate, from one frame to the end of another.

        Raises
        ------
        ValueError
            There are more than `MOST_ENTRIES` times.
        """
        begin, count = int(self._ticks[first]), self.ticks_of_rate(first, last, fps)
        if count > MOST_ENTRIES:
            seconds = float((self._end_of(last) - begin) * self._time_base)
            raise ValueError(
                f"fps={as_float(fps):g} over {seconds:.6g} s names more than "
                f"{MOST_ENTRIES:,} frames: ask for a lower rate or a shorter range"
            )
        ticks, parts = even_ticks(count, self._interval(fps))
        rows = self._rows_at(ticks + begin, parts, _EARLY_FROM_A_FRAME)
        return np.clip(rows, first, last)

    def _interval(self, fps: Fraction) -> Fraction:
        return 1 / (fps * self._time_base)

    def _end_of(self, row: int) -> int:
        return self._stop if row == self._length - 1 else int(self._ticks[row + 1])

    def _rows_at(self, ticks: Int64Array, parts: NDArray[np.float64], early: float) -> Int64Array:
        """Return the frames shown at times, the first if several share one; -1 before the first frame."""
        rows = np.searchsorted(self._ticks, ticks, side="right") - 1
        following = np.minimum(rows + 1, self._length - 1)
        until = (self._ticks[following] - ticks) - parts
        lasts = self._ticks[following] - self._ticks[np.maximum(rows, 0)]
        lasts[rows < 0] = self._first_lasts
        counts = (until <= CLOSE) | ((until <= self._slack(early, lasts)) & (2 * until < lasts))
        rows += counts & (rows + 1 < self._length)
        firsts = np.searchsorted(self._ticks, self._ticks[np.maximum(rows, 0)], side="left")
        return np.where(rows >= 0, firsts, -1)

    def _slack(self, early: float, lasts: Int64Array | int) -> NDArray[np.float64]:
        """Return how many ticks early a time may be, if the frame before it lasts `lasts` ticks."""
        return np.where(np.asarray(lasts) > 1, early, 0.0) + self._tolerance + CLOSE

    def _ticks_of(self, seconds: Fraction) -> tuple[Int64Array, NDArray[np.float64]]:
        return seconds_to_ticks(np.array([seconds], object), self._time_base, self._origin)

    def _outside(self, seconds: float | Fraction) -> FrameIndexError:
        first, last = (
            float((self._origin + edge) * self._time_base) for edge in (int(self._ticks[0]), self._stop)
        )
        return FrameIndexError(
            f"no frame is shown at {as_float(seconds):.6g} s: "
            f"the video is shown from {first:.6g} s to {last:.6g} s",
            length=self._length,
        )
