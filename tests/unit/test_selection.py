"""Selections: what was asked, checked and resolved."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._model.entries import MOST_ENTRIES
from asyncframes._model.selection import Selection, make_selection, resolve
from asyncframes._model.table import FrameTable
from asyncframes._requests.request import select
from asyncframes._runtime.generators import in_turns
from asyncframes.errors import FrameIndexError
from tests.unit.test_table import packets, table

LENGTH = 12


def chosen(start: int | None = None, end: int | None = None, step: int = 1, **ways: Any) -> list[int]:
    """Resolve against a table of LENGTH frames of a tenth of a second, keyframes every fourth."""
    found: list[int] = resolve(make_selection(start, end, step, **ways), twelve()).tolist()
    return found


def twelve() -> FrameTable:
    return table(range(LENGTH), [0, 4, 8])


@given(
    start=st.none() | st.integers(-LENGTH, LENGTH - 1),
    end=st.none() | st.integers(-LENGTH, 3 * LENGTH),
    step=st.integers(1, 20),
)
def test_bounds_are_a_slice_with_its_end_included(start: int | None, end: int | None, step: int) -> None:
    """start..end is Python's slice start:end+1, or an error where that is empty."""
    stop = None if end is None or end == -1 else end + 1
    expected = list(range(LENGTH))[start:stop:step]
    if expected:
        assert chosen(start, end, step) == expected
    else:
        with pytest.raises(ValueError, match="before"):
            chosen(start, end, step)


@given(indices=st.lists(st.integers(-LENGTH, LENGTH - 1)))
def test_indices_keep_their_order_and_repeats(indices: list[int]) -> None:
    """Each index comes out where it was asked, negative ones counted from the end."""
    assert chosen(indices=indices) == [index % LENGTH for index in indices]


@pytest.mark.parametrize("index", [LENGTH, -LENGTH - 1, 10**12])
def test_an_index_outside_names_both_numbers(index: int) -> None:
    """The error says what was asked and how many frames there are."""
    for ask in ({"indices": [0, index]}, {"start": index}):
        with pytest.raises(FrameIndexError, match=f"{index}.*{LENGTH}") as caught:
            chosen(**ask)
        assert (caught.value.index, caught.value.length) == (index, LENGTH)
        assert isinstance(caught.value, IndexError)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        ({"start": 5, "end": 4}, "end=4 is before start=5"),
        ({"start": -1, "end": -2}, "end=-2 is before start=-1"),
        ({"step": 0}, "step=0"),
        ({"step": -1}, "step=-1"),
        ({"fps": 0}, "fps=0"),
        ({"fps": float("inf")}, "fps=inf"),
        ({"indices": [1], "times": [0.1]}, "indices and times"),
        ({"indices": [1], "start": 0}, "already names"),
        ({"fps": 2, "step": 2}, "step=2"),
        ({"times": [float("nan")]}, "nan"),
        ({"time_range": (2, 2)}, "time_range ends at 2 s"),
        ({"time_range": (1, 2, 3)}, r"time_range=\(1, 2, 3\): expected \(from, to\)"),
        ({"time_range": (0, 1), "start": 0}, "time_range by seconds"),
        ({"time_range": (0, 1), "indices": [0]}, "already names"),
    ],
)
def test_nonsense_is_refused_before_anything_is_read(ask: dict[str, Any], message: str) -> None:
    """A selection that cannot mean anything is a ValueError with its values in the text."""
    with pytest.raises(ValueError, match=message):
        make_selection(ask.pop("start", None), ask.pop("end", None), ask.pop("step", 1), **ask)


def test_a_time_range_is_a_pair() -> None:
    """A number alone is refused by name."""
    with pytest.raises(TypeError, match=r"time_range=3\.0: expected \(from, to\)"):
        make_selection(None, None, 1, time_range=3.0)  # type: ignore[arg-type]  # that is the point


def test_an_index_is_an_integer() -> None:
    """Floats are no indices, not even whole ones; NumPy integers are."""
    for floats in ([1.0], np.array([1.0, 2.5]), [0, 2.5]):
        with pytest.raises(TypeError, match=r"numpy\.rint"):
            make_selection(None, None, 1, indices=floats)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match="flatnonzero"):
        make_selection(None, None, 1, indices=np.array([True, False]))
    for scalar in (5, "12", np.int64(5), np.array(5)):
        with pytest.raises(TypeError, match="an iterable of integers"):
            make_selection(None, None, 1, indices=scalar)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ValueError, match="2 dimensions"):
        make_selection(None, None, 1, indices=np.zeros((2, 2), int))
    with pytest.raises(TypeError, match=r"start=1\.5"):
        make_selection(1.5, None, 1)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match=r"step=2\.0: expected an integer"):
        make_selection(None, None, 2.0)  # type: ignore[arg-type]  # that is the point
    for kind in (np.int64, np.int8, np.uint8, np.uint64):
        assert chosen(indices=np.array([1, 2], kind)) == [1, 2]
        assert chosen(indices=[kind(1), 2]) == chosen(*np.array([1, 2, 1], kind)) == [1, 2]
        assert chosen(indices=np.array([[1, 7], [2, 7]], kind)[:, 0]) == [1, 2]
    assert chosen(indices=[]) == chosen(indices=np.array([])) == []
    assert chosen(indices=range(3, -4, -3)) == [3, 0, LENGTH - 3]


@pytest.mark.parametrize("index", [2**63, -(2**63) - 1, 10**30, pytest.param(10**5000, id="10**5000")])
def test_an_index_beyond_64_bits_is_an_index_error(index: int) -> None:
    """No video has as many frames, and no OverflowError says so."""
    for ask in ({"indices": [0, index]}, {"start": index}):
        with pytest.raises(FrameIndexError) as caught:
            chosen(**ask)
        assert caught.value.index == index
        assert len(str(caught.value)) < 300
    assert chosen(0, 10**30, 10**30) == [0]


def test_what_is_given_may_change_afterwards() -> None:
    """Arrays and lists are copied, long ones too."""
    array = np.array([1, 2])
    selection = make_selection(None, None, 1, indices=array)
    array[:] = 99
    assert resolve(selection, twelve()).tolist() == [1, 2]
    listed = [1] * 5000

    async def changed() -> Selection:
        selection = make_selection(None, None, 1, indices=listed)
        listed.clear()
        return await in_turns(selection.read())

    assert resolve(asyncio.run(changed()), twelve()).tolist() == [1] * 5000


@given(indices=st.lists(st.integers(-LENGTH, LENGTH - 1), max_size=2000))
def test_long_iterables_are_read_whole(indices: list[int]) -> None:
    """A generator gives the same frames as its list, and as times the same as well."""
    for values in (iter(indices), dict.fromkeys(indices)):
        expected = [index % LENGTH for index in (indices if isinstance(values, Iterator) else values)]
        selection = asyncio.run(read(values))
        assert resolve(selection, twelve()).tolist() == expected
    times = [Fraction(index % LENGTH, 10) if index % 2 else (index % LENGTH) / 10 for index in indices]
    selection = make_selection(None, None, 1, times=iter(times)).read_at_once()
    assert resolve(selection, twelve()).tolist() == [index % LENGTH for index in indices]


@pytest.mark.parametrize("entry", [1.5, "1", None, 10**30])
def test_a_bad_entry_far_back_is_found_when_it_is_read(entry: Any) -> None:
    """A long iterable is checked to its end, with the error that a short one has."""
    with pytest.raises((TypeError, FrameIndexError)) as short:
        make_selection(None, None, 1, indices=[entry])
    entries = [*[0] * 5000, entry]
    with pytest.raises(type(short.value)) as at_once:
        select(None, None, 1, indices=entries)
    with pytest.raises(type(short.value)) as later:
        asyncio.run(read(entries))
    assert str(at_once.value) == str(later.value) == str(short.value)


async def read(entries: Iterable[int]) -> Selection:
    return await in_turns(make_selection(None, None, 1, indices=entries).read())


def test_without_a_loop_iterables_are_read_where_they_are_given() -> None:
    """A generator may belong to its thread, as a database cursor does."""
    threads = []

    def entries() -> Iterator[int]:
        for index in range(LENGTH):
            threads.append(threading.get_ident())
            yield index

    selection = select(None, None, 1, indices=entries())
    assert resolve(selection, twelve()).tolist() == list(range(LENGTH))
    assert set(threads) == {threading.get_ident()}


def test_entries_are_bounded() -> None:
    """More than ten million are refused, by their length or when they are read."""
    for many in (range(MOST_ENTRIES + 1), np.zeros(MOST_ENTRIES + 1, np.int8)):
        with pytest.raises(ValueError, match="10,000,000 frames"):
            make_selection(None, None, 1, indices=many)


@pytest.mark.parametrize(
    "times", [[0.1, 0.5], np.array([0.1, 0.5], np.float32), (Fraction(1, 10), 0.5), [0, "0.5"]]
)
def test_times_are_any_numbers(times: Any) -> None:
    """Floats of any size, fractions, and mixtures of them."""
    assert chosen(times=times, tolerance_seconds=1e-6) == ([1, 5] if times[0] else [0, 5])


@pytest.mark.parametrize("tolerance", [-1, float("nan"), float("inf"), "much", None])
def test_a_tolerance_is_a_length_of_time(tolerance: Any) -> None:
    """Anything else is a ValueError, and so is one where no time is named."""
    with pytest.raises(ValueError, match="tolerance_seconds="):
        make_selection(None, None, 1, times=[0], tolerance_seconds=tolerance)
    with pytest.raises(ValueError, match="goes with times"):
        make_selection(None, None, 1, indices=[0], tolerance_seconds=0.1)


def test_a_time_names_the_frame_shown_then() -> None:
    """From its pts to the next one's; the last for its duration; before and after nothing is shown."""
    assert chosen(times=[0, 0.05, 0.1, 0.1999, 1.1999, Fraction(1, 3)]) == [0, 0, 1, 1, 11, 3]
    for time in (-0.01, 1.2, 99.0):
        with pytest.raises(FrameIndexError, match=r"is shown from 0 s to 1\.2 s"):
            chosen(times=[time])


def test_every_frame_is_found_by_its_own_seconds() -> None:
    """The float seconds of a frame name that frame, in an awkward time base too."""
    rows = packets([1001 * index for index in range(50)])
    found = FrameTable(rows, Fraction(1, 30000), np.arange(50))
    times = [float(int(pts) * found.time_base) for pts in found.pts]
    assert resolve(make_selection(None, None, 1, times=times), found).tolist() == list(range(50))


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (10, list(range(12))),
        (5, [0, 2, 4, 6, 8, 10]),
        (1, [0, 10]),
        (20, sorted([*range(12)] * 2)),
        (0.5, [0]),
    ],
)
def test_fps_picks_the_frame_shown_at_each_tick(fps: float, expected: list[int]) -> None:
    """Ticks count from the first frame; frames repeat where the rate is higher than the video's."""
    assert chosen(fps=fps) == expected


def test_fps_and_keyframes_stay_within_the_bounds() -> None:
    """Bounds limit a resampling and a choice of keyframes."""
    assert chosen(keyframes=True) == [0, 4, 8]
    assert chosen(1, 8, keyframes=True) == [4, 8]
    assert chosen(2, 7, fps=5) == [2, 4, 6]


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ((0.1, 0.3), [1, 2]),
        ((0.15, 0.31), [1, 2, 3]),
        ((None, 0.2), [0, 1]),
        ((1.05, None), [10, 11]),
        ((None, None), list(range(12))),
        ((-5, 0), []),
        ((1.2, 9), []),
        ((-1, 0.05), [0]),
    ],
)
def test_a_time_range_is_what_is_shown_in_it(
    bounds: tuple[float | None, float | None], expected: list[int]
) -> None:
    """From the frame shown at the first time, up to the last that begins before the second."""
    assert chosen(time_range=bounds) == expected
    assert chosen(time_range=bounds, step=2) == expected[::2]
    assert chosen(time_range=bounds, keyframes=True) == [index for index in expected if index % 4 == 0]


def test_an_empty_video_has_nothing_to_select() -> None:
    """Asking for everything gives nothing; asking for something is an index error."""
    empty = table([], [])
    assert resolve(make_selection(None, None, 1), empty).tolist() == []
    assert resolve(make_selection(None, None, 1, fps=2), empty).tolist() == []
    for ask in ({"indices": [0]}, {"times": [0.0]}):
        with pytest.raises(FrameIndexError):
            resolve(make_selection(None, None, 1, **ask), empty)


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({}, None),
        ({"start": 3}, None),
        ({"end": 5}, 6),
        ({"start": 2, "end": 9, "step": 3}, 3),
        ({"start": -5, "end": -2}, 4),
        ({"start": 2, "end": -2}, None),
        ({"end": -1}, None),
        ({"end": 5, "keyframes": True}, 6),
        ({"indices": [3, 3, -1]}, 3),
        ({"times": [0.1, 0.2]}, 2),
        ({"num_frames": 20}, 20),
        ({"fps": 100}, None),
        ({"fps": 100, "max_frames": 7}, 7),
        ({"time_range": (0.1, 0.5)}, None),
    ],
)
def test_how_many_frames_a_selection_can_have(options: dict[str, Any], most: int | None) -> None:
    bounds = {name: options.pop(name, None) for name in ("start", "end")}
    selection = make_selection(bounds["start"], bounds["end"], options.pop("step", 1), **options)
    selection = selection.read_at_once()
    assert selection.most_frames == most
    assert most is None or len(resolve(selection, twelve())) <= most
