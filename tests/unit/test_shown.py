"""Which frame is shown when, against slow references in exact arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asyncframes._model.entries import MOST_ENTRIES
from asyncframes._model.selection import make_selection, resolve
from asyncframes._model.table import NO_TIMESTAMP, FrameTable
from asyncframes.errors import FrameIndexError
from tests.support.marks import examples
from tests.unit.test_table import packets

HALF, EIGHTH = Fraction(1, 2), Fraction(1, 8)

# Frames up to six ticks apart, some at the same tick, some that go back.
STEPS = st.lists(st.sampled_from([1, 1, 2, 2, 3, 4, 6, 0, -3]), max_size=14)
ORIGINS = st.sampled_from([0, 0, 1, -7, 126_000, 2**40 + 1, 2**60, -(2**60)])
EIGHTHS = st.integers(-8, 50 * 8).map(lambda eighths: eighths * EIGHTH)
TIME_BASES = st.sampled_from([Fraction(1, 16), Fraction(1, 1000), Fraction(1001, 30000), Fraction(3)])
TOLERANCES = st.integers(0, 20).map(lambda eighths: eighths * EIGHTH)


def timed(pts: Sequence[int], time_base: Fraction, *, last: int = 2) -> FrameTable:
    """Make a table of frames with these pts, in this order; the last one's duration is told."""
    rows = replace(packets(pts), duration=np.full(len(pts), last))
    return FrameTable(rows, time_base, np.arange(len(pts)), is_verified=True)


def pts_of(steps: list[int], origin: int) -> list[int]:
    return [origin + int(tick) for tick in np.cumsum([0, *steps])]


class Reference:
    """The rule, frame by frame: all in ticks from the first frame on."""

    def __init__(self, pts: Sequence[int], tolerance: Fraction, last: int = 2) -> None:
        self.ticks = [max(pts[: place + 1]) - pts[0] for place in range(len(pts))]
        self.shown = sorted(set(self.ticks))
        self.stop = self.ticks[-1] + last
        self.tolerance = tolerance

    def row_of(self, tick: int) -> int:
        return self.ticks.index(tick)

    def counts_early(self, early: Fraction, lasts: int, slack: Fraction) -> bool:
        """Whether a time may be early by so much, for a frame after one that lasts so long."""
        return early <= (slack if lasts > 1 else 0) + self.tolerance and 2 * early < lasts

    def at(self, time: Fraction, slack: Fraction = HALF) -> int | None:
        """Return the frame that a time names, before the video ``None``."""
        past = [tick for tick in self.shown if tick <= time]
        coming = [tick for tick in self.shown if tick > time]
        if coming:
            first = self.shown[1] - self.shown[0] if len(self.shown) > 1 else 10**9
            lasts = coming[0] - past[-1] if past else first
            if self.counts_early(coming[0] - time, lasts, slack):
                return self.row_of(coming[0])
        return self.row_of(past[-1]) if past else None

    def first_after(self, stop: Fraction) -> int:
        """Return the first frame that is not shown before the end of a range."""
        past = [tick for tick in self.shown if tick <= stop]
        if not past:
            return 0
        following = [*[tick for tick in self.shown if tick > stop], self.stop][0]
        if past[-1] == stop or self.counts_early(stop - past[-1], following - past[-1], HALF):
            return self.row_of(past[-1])
        return len([tick for tick in self.ticks if tick <= stop])

    def resampled(self, first: int, last: int, interval: Fraction) -> list[int]:
        end = self.stop if last == len(self.ticks) - 1 else self.ticks[last + 1]
        lasts = end - self.ticks[last]
        spare = min(Fraction(3, 2), Fraction(lasts, 2), interval / 2) if lasts > 1 else 0
        rows: list[int] = []
        time = Fraction(self.ticks[first])
        while not rows or time < end - spare:
            row = self.at(time, slack=Fraction(1))
            rows.append(min(max(first, -1 if row is None else row), last))
            time += interval
        return rows


@given(
    steps=STEPS,
    origin=ORIGINS,
    time_base=TIME_BASES,
    times=st.lists(EIGHTHS, min_size=1, max_size=12),
    tolerance=TOLERANCES,
)
@example(steps=[0], origin=5, time_base=Fraction(1, 16), times=[-EIGHTH], tolerance=Fraction(0))
def test_times_name_frames_as_the_rule_says(
    steps: list[int], origin: int, time_base: Fraction, times: list[Fraction], tolerance: Fraction
) -> None:
    """Floats, fractions and arrays alike, wherever the clock begins; outside, each is an index error."""
    pts = pts_of(steps, origin)
    table, rule = timed(pts, time_base), Reference(pts, tolerance)
    exact = [(origin + time) * time_base for time in times]
    expected = [rule.at(time) for time in times]
    inside = [
        row is not None and time < rule.stop + tolerance for row, time in zip(expected, times, strict=True)
    ]
    ways: list[Any] = [exact]
    if abs(origin) < 2**30:
        ways += [[float(time) for time in exact], np.array([float(time) for time in exact])]
    for way in ways:
        selection = make_selection(None, None, 1, times=way, tolerance_seconds=tolerance * time_base)
        if all(inside):
            assert resolve(selection, table).tolist() == expected
        else:
            with pytest.raises(FrameIndexError, match="is shown from"):
                resolve(selection, table)


@given(
    steps=STEPS,
    origin=ORIGINS,
    time_base=TIME_BASES,
    bounds=st.tuples(EIGHTHS, EIGHTHS).filter(lambda both: both[0] < both[1]),
    tolerance=TOLERANCES,
)
def test_a_time_range_holds_what_the_rule_says(
    steps: list[int],
    origin: int,
    time_base: Fraction,
    bounds: tuple[Fraction, Fraction],
    tolerance: Fraction,
) -> None:
    """From the frame that the first time names, up to the one that the second time names or begins before."""
    pts = pts_of(steps, origin)
    table, rule = timed(pts, time_base), Reference(pts, tolerance)
    begin, stop = bounds
    first = len(pts) if begin >= rule.stop else rule.at(begin) or 0
    expected = list(range(first, rule.first_after(stop)))
    seconds = (origin + begin) * time_base, (origin + stop) * time_base
    selection = make_selection(None, None, 1, time_range=seconds, tolerance_seconds=tolerance * time_base)
    assert resolve(selection, table).tolist() == expected
    for open_end, rows in (
        ((None, seconds[1]), range(rule.first_after(stop))),
        ((seconds[0], None), range(first, len(pts))),
    ):
        selection = make_selection(
            None, None, 1, time_range=open_end, tolerance_seconds=tolerance * time_base
        )
        assert resolve(selection, table).tolist() == list(rows)


@given(
    steps=STEPS,
    origin=ORIGINS,
    time_base=TIME_BASES,
    interval=st.integers(1, 100).map(lambda eighths: eighths * EIGHTH),
    ends=st.tuples(st.integers(0, 14), st.integers(0, 14)),
)
def test_a_rate_names_the_frame_at_each_of_its_ticks(
    steps: list[int], origin: int, time_base: Fraction, interval: Fraction, ends: tuple[int, int]
) -> None:
    """Output by output, in all of the video and in a part."""
    pts = pts_of(steps, origin)
    table, rule = timed(pts, time_base), Reference(pts, Fraction(0))
    fps = 1 / (interval * time_base)
    assert resolve(make_selection(None, None, 1, fps=fps), table).tolist() == rule.resampled(
        0, len(pts) - 1, interval
    )
    first, last = (min(end, len(pts) - 1) for end in sorted(ends))
    part = resolve(make_selection(first, last, 1, fps=fps), table)
    assert part.tolist() == rule.resampled(first, last, interval)


@settings(max_examples=examples(60))
@given(
    rate=st.fractions(1, 240, max_denominator=1001),
    ticks_a_second=st.sampled_from([1000, 12800, 90000, 1_000_000]),
    first=st.integers(0, 10_000),
    rounding=st.sampled_from(["nearest", "down", "up"]),
)
def test_a_constant_rate_is_left_as_it_is(
    rate: Fraction, ticks_a_second: int, first: int, rounding: str
) -> None:
    """However a container rounds, and wherever it begins: 300 frames, each once."""
    extra = {"nearest": HALF, "down": Fraction(0), "up": Fraction(999_999, 1_000_000)}[rounding]
    pts = [int(index / rate * ticks_a_second + extra) for index in range(first, first + 300)]
    lasts = int(ticks_a_second / rate + HALF)
    table = timed(pts, Fraction(1, ticks_a_second), last=lasts)
    for fps in (rate, float(rate)):
        assert resolve(make_selection(None, None, 1, fps=fps), table).tolist() == list(range(300))
    times = np.array([float(index / rate) for index in range(first, first + 300)])
    slack = 0 if rounding == "nearest" else Fraction(1, ticks_a_second)
    found = resolve(make_selection(None, None, 1, times=times, tolerance_seconds=slack), table)
    assert found.tolist() == list(range(300))


def test_a_rate_is_bounded_before_anything_is_made() -> None:
    """A frame that claims to last 68 years, a rate beyond all ticks: a ValueError that says the bound."""
    long = timed([0], Fraction(1), last=2**31)
    assert resolve(make_selection(None, None, 1, fps=Fraction(1, 2**20)), long).tolist() == [0] * 2**11
    for fps in (1, 0.01, 1e300, Fraction(10**400)):
        with pytest.raises(ValueError, match="10,000,000 frames"):
            resolve(make_selection(None, None, 1, fps=fps), long)
    bound = timed([0, 1], Fraction(1), last=MOST_ENTRIES)
    with pytest.raises(ValueError, match="10,000,000 frames"):
        resolve(make_selection(None, None, 1, fps=1), bound)
    assert len(resolve(make_selection(None, None, 1, fps=0.01), bound)) == MOST_ENTRIES // 100
    for fps in (1e-300, Fraction(1, 10**400)):
        assert resolve(make_selection(None, None, 1, fps=fps), long).tolist() == [0]


EXTREMES = [-(2**63) + 1, -(2**62), -1, 0, 1, 2**31, 2**62, 2**63 - 1]


@given(
    pts=st.lists(st.sampled_from(EXTREMES), min_size=1, max_size=4),
    duration=st.sampled_from([0, -1, 2**31, 2**63 - 1, -(2**63)]),
    time_base=st.sampled_from([Fraction(1, 2**31 - 1), Fraction(2**31 - 1), Fraction(1, 90000)]),
    time=st.sampled_from([0, -1e308, 1e308, 2**64, Fraction(10**400), 0.1]),
)
def test_times_beyond_all_bounds_are_named_errors(
    pts: list[int], duration: int, time_base: Fraction, time: float | Fraction
) -> None:
    """Timestamps and durations at the ends of 64 bits end in indices, a ValueError or a FrameIndexError."""
    table = timed(pts, time_base, last=duration)
    for ask in (
        {"times": [time]},
        {"time_range": (time, None)},
        {"time_range": (None, time)},
        {"fps": 25},
        {"fps": 1e-9},
        {"times": [0], "tolerance_seconds": 1e308},
    ):
        try:
            rows = resolve(make_selection(None, None, 1, **ask), table)
        except (ValueError, FrameIndexError) as exc:
            said = str(exc)
        else:
            said = ""
            assert len(rows) == 0 or 0 <= rows.min() <= rows.max() < len(pts)
        assert len(said) < 300
    assert resolve(make_selection(None, None, 1, indices=[-1]), table).tolist() == [len(pts) - 1]
    lasting = [table.duration_seconds_of(index) for index in range(len(table))]
    np.testing.assert_array_equal(np.array(lasting, float), table.duration_seconds)


def test_a_table_needs_a_time_base_above_zero() -> None:
    """A time base that is no time is a ValueError, not a division by zero later."""
    for time_base in (Fraction(0), Fraction(-1, 25)):
        with pytest.raises(ValueError, match="time_base"):
            FrameTable(packets([0]), time_base, np.arange(1))


def test_a_rate_of_zero_is_no_rate() -> None:
    """Frames without times cannot be found by them."""
    bare = FrameTable(packets([NO_TIMESTAMP] * 3), Fraction(1), np.arange(3), average_rate=Fraction(0))
    with pytest.raises(ValueError, match="by index"):
        bare.ticks()
    with pytest.raises(ValueError, match="by index"):
        resolve(make_selection(None, None, 1, fps=2), bare)
