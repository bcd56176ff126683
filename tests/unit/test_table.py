"""Frame tables: which packet becomes which frame, and where decoding begins for it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, fields, replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._model.from_packets import table_from_packets
from asyncframes._model.packets import distinct
from asyncframes._model.selection import Selection, resolve
from asyncframes._model.table import NO_TIMESTAMP, FrameTable, Packets
from asyncframes._requests.shared_table import SharedTable
from asyncframes.errors import FrameIndexError

TIME_BASE = Fraction(1, 10)


def packets(pts: Sequence[int], keyframes: Sequence[int] = (0,), discarded: Sequence[int] = ()) -> Packets:
    """Packets of one byte each, one tick long."""
    count = len(pts)
    numbers = np.arange(count)
    return Packets(
        pts=np.array(pts, np.int64),
        dts=numbers.astype(np.int64),
        position=100 + numbers.astype(np.int64),
        size=np.ones(count, np.int64),
        duration=np.ones(count, np.int64),
        is_keyframe=np.isin(numbers, keyframes),
        is_discard=np.isin(numbers, discarded),
    )


def table(*args: Sequence[int]) -> FrameTable:
    """Derive a table that must come out."""
    found = table_from_packets(packets(*args), TIME_BASE, None)
    assert found is not None
    return found


@given(order=st.permutations(range(1, 20)))
def test_rows_are_in_presentation_order(order: list[int]) -> None:
    """Frame i is the packet with the i-th pts, whatever order they are decoded in."""
    pts = [0, *order]
    found = table(pts)
    assert found.pts.tolist() == sorted(pts)
    assert [found.row_of(packet) for packet in range(len(pts))] == pts


def test_discarded_packets_have_no_row() -> None:
    """A packet flagged discard becomes no frame, but is still a place to start."""
    found = table([0, 1, 2, 3], [0], [0, 1])
    assert found.packet_of.tolist() == [2, 3]
    assert found.row_of(0) == -1
    assert found.start_for(0) == 0


def test_decoding_begins_at_the_keyframe_at_or_before() -> None:
    """Each frame of a closed GOP starts at that GOP's keyframe."""
    found = table([0, 2, 1, 3, 5, 4], [0, 3])
    assert [found.start_for(index) for index in range(6)] == [0, 0, 0, 3, 3, 3]


def test_a_leading_picture_begins_one_keyframe_earlier() -> None:
    """A picture decoded after a keyframe and shown before it needs the GOP before."""
    found = table([0, 1, 4, 2, 3, 5], [0, 2])
    assert [found.start_for(index) for index in range(6)] == [0, 0, 0, 0, 2, 2]


def test_an_unsafe_start_is_not_used_again() -> None:
    """A false keyframe is skipped and is no keyframe any more; the table before stays as it was."""
    found = table([0, 1, 2, 3], [0, 2])
    assert found.start_for(3) == 2
    assert found.is_keyframe.tolist() == [True, False, True, False]
    marked = found.without_keyframes([2])
    assert marked.start_for(3) == 0
    assert marked.is_keyframe.tolist() == [True, False, False, False]
    assert marked.false_keyframes == {2}
    assert (found.start_for(3), found.false_keyframes) == (2, frozenset())


@pytest.mark.parametrize(
    ("pts", "keyframes"),
    [
        pytest.param([0, NO_TIMESTAMP, 2], [0], id="missing pts"),
        pytest.param([0, 1, 1], [0], id="pts twice"),
        pytest.param([0, 1, 2], [1], id="no keyframe first"),
        pytest.param([0, 1, 2], [], id="no keyframe at all"),
        pytest.param([2, 0, 1], [0], id="leading pictures first"),
        pytest.param([*range(50, 100), *range(100, 200, 2), *range(101, 201, 2)], [0], id="clock set back"),
        pytest.param([0, 34, *range(1, 34), 40], [0], id="shown farther from its place than codecs allow"),
    ],
)
def test_packets_alone_cannot_tell(pts: list[int], keyframes: list[int]) -> None:
    """Where timestamps or the head of the stream leave it open, there is no table."""
    assert table_from_packets(packets(pts, keyframes), TIME_BASE, None) is None


def test_codecs_may_reorder_as_far_as_they_can() -> None:
    """Sixteen pictures, each of two fields, may be shown before one that is decoded first."""
    pts = [0, 33, *range(1, 33), 40]
    assert table(pts).pts.tolist() == sorted(pts)


def test_no_packets_make_an_empty_table() -> None:
    """A stream without packets has no frames, which is not unclear."""
    assert len(table([], [])) == 0


def test_ticks_are_reckoned_from_the_rate_where_there_are_none() -> None:
    """Without timestamps frame i is shown at i / rate; without a rate that is an error."""
    bare = packets([NO_TIMESTAMP] * 3)
    verified = FrameTable(bare, TIME_BASE, np.arange(3), is_verified=True, average_rate=Fraction(5))
    assert verified.ticks().tolist() == [0, 2, 4]
    with pytest.raises(ValueError, match="by index"):
        replace(verified, average_rate=None).ticks()


def test_a_packet_is_found_by_what_it_looks_like() -> None:
    """Position and size name a packet; size alone does only where it is unique."""
    found = packets([0, 1, 2])
    assert found.find(position=101, size=1, dts=0) == 1
    assert found.find(position=-1, size=1, dts=2) == 2
    assert found.find(position=-1, size=1, dts=7) is None
    assert found.find(position=101, size=9, dts=1) is None


def test_a_table_cannot_be_changed() -> None:
    """Neither a field nor an array of a table takes a new value, also after it was pickled and copied."""
    original = replace(table([0, 1, 2, 3], [0, 2]), checksums=np.arange(4), is_damaged=np.zeros(4, bool))
    for found in (original, pickle.loads(pickle.dumps(original)), copy.deepcopy(original)):
        for name in ("packets", "packet_of", "is_verified", "false_keyframes", "identity"):
            with pytest.raises(FrozenInstanceError):
                setattr(found, name, None)
        arrays = [getattr(found.packets, column.name) for column in fields(Packets)]
        arrays += [found.packet_of, found.checksums, found.is_damaged, found.pts, found.pts_seconds]
        arrays += [found.duration_seconds, found.is_keyframe, found.ticks()]
        for array in arrays:
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1
        assert found.pts.tolist() == [0, 1, 2, 3]


def test_what_lanes_learn_side_by_side_adds_up() -> None:
    """Threads that mark false keyframes at the same time lose none of each other's, and change no table."""
    before = table(range(2000), range(0, 2000, 2))
    shared = SharedTable(before)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(shared.mark_unsafe, range(2, 400, 2)))
    assert shared.table.false_keyframes == {*range(2, 400, 2)}
    assert before.false_keyframes == frozenset()
    assert shared.is_of(before)
    shared.mark_unsafe_through(1000)
    assert shared.table.start_for(1001) == 0
    assert shared.table.start_for(1002) == 1002
    assert not shared.is_of(table(range(2000)))


@given(
    steps=st.lists(st.integers(0, 5), max_size=20),
    origin=st.sampled_from([0, -7, 90_000, 2**55 + 1, -(2**60)]),
    time_base=st.sampled_from([Fraction(1, 16), Fraction(1001, 30000), Fraction(1, 90000), Fraction(3)]),
    last=st.sampled_from([0, 1, 4]),
)
def test_seconds_are_those_of_frames(steps: list[int], origin: int, time_base: Fraction, last: int) -> None:
    """Each pts in seconds is rounded once, as `Frame.pts_seconds` is; durations add up to what is shown."""
    ticks = [origin + int(tick) for tick in np.cumsum([0, *steps])]
    rows = replace(packets(ticks), duration=np.full(len(ticks), last))
    found = FrameTable(rows, time_base, np.arange(len(ticks)))
    assert found.pts_seconds.tolist() == [float(tick * time_base) for tick in ticks]
    shown = sorted({*ticks})
    tail = last or (ticks[-1] - ticks[-2] if len(ticks) > 1 else 0) or 1
    lasts = dict(zip(shown, np.diff([*shown, shown[-1] + tail]).tolist(), strict=True))
    expected = [float(lasts.pop(tick, 0) * time_base) for tick in ticks]
    assert found.duration_seconds.tolist() == expected
    assert [found.duration_seconds_of(index) for index in range(len(found))] == expected


def test_seconds_of_frames_without_times() -> None:
    """A missing pts is NaN; a duration is NaN only where no rate tells it either."""
    bare = packets([NO_TIMESTAMP] * 3)
    by_rate = FrameTable(bare, TIME_BASE, np.arange(3), average_rate=Fraction(5))
    assert np.isnan(by_rate.pts_seconds).all()
    assert by_rate.duration_seconds.tolist() == [0.2, 0.2, 0.1]
    assert by_rate.duration_seconds_of(2) == 0.1
    assert np.isnan(replace(by_rate, average_rate=None).duration_seconds).all()
    assert replace(by_rate, average_rate=None).duration_seconds_of(2) is None
    partly = FrameTable(packets([0, NO_TIMESTAMP, 4]), TIME_BASE, np.arange(3))
    np.testing.assert_array_equal(partly.pts_seconds, [0, np.nan, 0.4])
    empty = FrameTable(packets([]), TIME_BASE, np.arange(0))
    assert [len(empty.pts_seconds), len(empty.duration_seconds), len(empty.is_keyframe)] == [0, 0, 0]


@given(
    steps=st.lists(st.integers(0, 5), max_size=20),
    times=st.lists(st.fractions(-1, 12, max_denominator=160), min_size=1, max_size=20),
    tolerance=st.sampled_from([Fraction(0), Fraction(1, 50)]),
)
def test_index_at_follows_the_rule_of_times(
    steps: list[int], times: list[Fraction], tolerance: Fraction
) -> None:
    """Each time names the frame that `times` names, or is outside as there."""
    found = FrameTable(packets(np.cumsum([0, *steps]).tolist()), TIME_BASE, np.arange(len(steps) + 1))
    for time in times:
        selection = Selection(times=np.array([time], object), tolerance_seconds=tolerance)
        try:
            expected = resolve(selection, found).tolist()
        except FrameIndexError:
            with pytest.raises(FrameIndexError, match="shown from"):
                found.index_at(time, tolerance_seconds=tolerance)
        else:
            assert [found.index_at(time, tolerance_seconds=tolerance)] == expected


def test_index_at_a_time_of_no_frame() -> None:
    """Half a tick early is a frame's time; before that, and from its end on, no frame is shown."""
    found = table([0, 2, 4], [0])
    assert [found.index_at(seconds) for seconds in (0, 0.1, 0.149, 0.15, Fraction(3, 10), 0.4)] == [
        *(0, 0, 0, 1, 1, 2)
    ]
    for seconds in (-0.06, 0.5, 100):
        with pytest.raises(FrameIndexError, match=r"shown from 0 s to 0\.5 s"):
            found.index_at(seconds)
    for wrong in (float("nan"), "soon", None):
        with pytest.raises(ValueError, match="expected a finite number of seconds"):
            found.index_at(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="tolerance_seconds"):
        found.index_at(0, tolerance_seconds=-1)
    with pytest.raises(FrameIndexError, match="no frames"):
        table([], []).index_at(0)


@given(st.lists(st.integers(-5, 5)))
def test_each_number_comes_once(numbers: list[int]) -> None:
    """In ascending order, and from an empty array none."""
    found = distinct(np.array(numbers, np.int64))
    assert found.dtype == np.int64
    assert found.tolist() == sorted(set(numbers))
