"""A number of frames, and a rate with limits: the frames that their formulas give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import asyncframes as af
from asyncframes._model.entries import MOST_ENTRIES
from asyncframes._model.selection import make_selection, resolve
from asyncframes._model.table import FrameTable
from tests.support.streams.clips import clip_bytes
from tests.unit.test_table import table

LENGTH = 40


@st.composite
def bounds(draw: st.DrawFn) -> tuple[int, int]:
    """Both ends of a range of frames, inclusive."""
    first = draw(st.integers(0, LENGTH - 1))
    return first, draw(st.integers(first, LENGTH - 1))


@st.composite
def tables(draw: st.DrawFn) -> FrameTable:
    """Tables of a varying frame rate."""
    steps = draw(st.lists(st.integers(1, 9), min_size=LENGTH - 1, max_size=LENGTH - 1))
    return table([0, *np.cumsum(steps).tolist()], [0])


def chosen(frames: FrameTable, ends: tuple[int | None, int | None] = (None, None), **ways: Any) -> list[int]:
    found: list[int] = resolve(make_selection(*ends, 1, **ways), frames).tolist()
    return found


def spread(ends: tuple[int, int], number: int) -> list[int]:
    found: list[int] = np.linspace(*ends, number).round().astype(int).tolist()
    return found


@given(frames=tables(), ends=bounds(), number=st.integers(1, 3 * LENGTH))
def test_a_number_of_frames_is_numpys_linspace(
    frames: FrameTable, ends: tuple[int, int], number: int
) -> None:
    """Both ends are included; where the range is shorter, frames repeat, or each comes once."""
    expected = spread(ends, number)
    assert chosen(frames, ends, num_frames=number) == expected
    assert len(expected) == number
    whole = list(range(ends[0], ends[1] + 1))
    fewer = chosen(frames, ends, num_frames=number, short="fewer")
    assert fewer == (whole if number > len(whole) else expected)
    assert len(set(fewer)) == len(fewer)


@given(frames=tables(), number=st.integers(1, 2 * LENGTH), data=st.data())
def test_a_number_of_frames_of_a_time_range(frames: FrameTable, number: int, data: st.DataObject) -> None:
    """The bounds are the frames that are shown in it; there may be none."""
    end = float(frames.pts_seconds[-1]) + 1
    begin = data.draw(st.floats(0, end))
    within = (begin, begin + data.draw(st.floats(0.01, end)))
    rows = chosen(frames, time_range=within)
    expected = spread((rows[0], rows[-1]), number) if rows else []
    assert chosen(frames, time_range=within, num_frames=number) == expected


@given(
    frames=tables(),
    ends=bounds(),
    fps=st.fractions(min_value="1/20", max_value=50, max_denominator=20),
    least=st.none() | st.integers(1, LENGTH),
    most=st.none() | st.integers(1, LENGTH),
    short=st.sampled_from(["repeat", "fewer"]),
)
def test_a_rate_with_limits_is_the_rate_or_spread_evenly(
    frames: FrameTable, ends: tuple[int, int], fps: Any, least: int | None, most: int | None, short: str
) -> None:
    """The rate alone decides unless it gives more or fewer frames than are allowed."""
    limits: dict[str, Any] = {"min_frames": least, "max_frames": most}
    if least is not None and most is not None and least > most:
        with pytest.raises(ValueError, match=f"min_frames={least} is more than max_frames={most}"):
            chosen(frames, ends, fps=fps, **limits)
        return
    if least is most is None:
        short = "repeat"
    found = chosen(frames, ends, fps=fps, short=short, **limits)
    by_rate = chosen(frames, ends, fps=fps)
    number = min(max(len(by_rate), least or 1), most or MOST_ENTRIES)
    if number == len(by_rate):
        assert found == by_rate
    else:
        assert found == chosen(frames, ends, num_frames=number, short=short)
        assert short == "fewer" or found == spread(ends, number)


@pytest.mark.parametrize(
    ("fps", "limits", "expected"),
    [
        (2, {"max_frames": 64}, [0, 5, 10, 15]),
        (2, {"max_frames": 3}, [0, 10, 19]),
        (2, {"min_frames": 6}, [0, 4, 8, 11, 15, 19]),
        (2, {"min_frames": 2, "max_frames": 4}, [0, 5, 10, 15]),
        (10**9, {"max_frames": 2}, [0, 19]),
        (1e-6, {"min_frames": 3}, [0, 10, 19]),
    ],
)
def test_limits_of_a_rate_by_hand(fps: float, limits: dict[str, Any], expected: list[int]) -> None:
    """Two seconds at ten frames a second; a rate beyond the bound of a request is fine if it is limited."""
    assert chosen(table(range(20), [0]), fps=fps, **limits) == expected


def test_numbers_of_frames_by_hand() -> None:
    """Halves round to even, one frame is the first, and a video without frames gives none."""
    frames = table(range(10), [0])
    assert chosen(frames, num_frames=3) == [0, 4, 9]
    assert chosen(frames, num_frames=np.int64(1)) == [0]
    assert chosen(frames, (-4, None), num_frames=2) == [6, 9]
    assert chosen(frames, (3, 3), num_frames=3) == [3, 3, 3]
    assert chosen(table([], []), num_frames=3) == []
    assert chosen(frames, time_range=(50, 60), num_frames=3) == []
    assert chosen(frames, time_range=(50, 60), fps=2, min_frames=3) == []


@pytest.mark.parametrize(
    ("ways", "message"),
    [
        ({"num_frames": 4, "fps": 2}, "fps and num_frames"),
        ({"num_frames": 4, "indices": [0]}, "indices and num_frames"),
        ({"num_frames": 4, "times": [0]}, "times and num_frames"),
        ({"num_frames": 4, "keyframes": True}, "num_frames and keyframes"),
        ({"num_frames": 4, "step": 2}, "step=2 .* not with num_frames"),
        ({"num_frames": 4, "max_frames": 8}, "max_frames goes with fps, not with num_frames"),
        ({"num_frames": 4, "min_frames": 8}, "min_frames goes with fps, not with num_frames"),
        ({"indices": [0], "max_frames": 8}, "max_frames goes with fps, not with indices"),
        ({"max_frames": 8}, "max_frames goes with fps; .* pass num_frames"),
        ({"fps": 2, "max_frames": 4, "min_frames": 5}, "min_frames=5 is more than max_frames=4"),
        ({"short": "fewer"}, 'short="fewer" goes with num_frames'),
        ({"fps": 2, "short": "fewer"}, 'short="fewer" goes with num_frames'),
        ({"num_frames": 4, "short": "never" * 99}, "short='never.*….*expected one of repeat, fewer"),
        ({"num_frames": 0}, "num_frames=0: expected 1 to 10,000,000"),
        ({"num_frames": MOST_ENTRIES + 1}, "num_frames=10000001"),
        ({"fps": 2, "max_frames": -1}, "max_frames=-1"),
        ({"fps": 2, "min_frames": 0}, "min_frames=0"),
    ],
)
def test_what_conflicts_is_named(ways: dict[str, Any], message: str) -> None:
    """Both options are in the text, and nothing has been read."""
    with pytest.raises(ValueError, match=message):
        make_selection(None, None, ways.pop("step", 1), **ways)


@pytest.mark.parametrize("number", [4.0, "4", [4]])
def test_a_number_of_frames_is_an_integer(number: Any) -> None:
    """Anything else is a TypeError that says so."""
    for ways in ({"num_frames": number}, {"fps": 2, "max_frames": number}, {"fps": 2, "min_frames": number}):
        with pytest.raises(TypeError, match=r"_frames=.*: expected an integer or None"):
            make_selection(None, None, 1, **ways)


@pytest.mark.anyio
@pytest.mark.parametrize("seek_mode", ["exact", "approximate"])
@pytest.mark.parametrize(
    "ways",
    [
        {"num_frames": 5},
        {"num_frames": 30},
        {"num_frames": 30, "short": "fewer"},
        {"start": 3, "end": 12, "num_frames": 4},
        {"time_range": (0.2, None), "num_frames": 3},
        {"fps": 10, "max_frames": 4},
        {"fps": 1, "min_frames": 6},
    ],
)
async def test_indices_are_those_of_the_frames(ways: dict[str, Any], seek_mode: Any) -> None:
    """What `indices` says is what `frames` decodes, in either mode."""
    async with af.open_video(clip_bytes(frames=24), seek_mode=seek_mode) as video:
        expected = (await video.indices(**ways)).tolist()
        frames = [frame.index async for frame in video.frames(**ways)]
    assert frames == expected
    assert len(frames) == ways.get("num_frames", len(frames)) or "short" in ways
