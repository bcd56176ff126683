"""What a request keeps and reads, against slow references."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._frames.frame import Frame
from asyncframes._model.ranges import merge_ranges, near_ranges
from asyncframes._model.table import FrameTable
from asyncframes._requests.jobs.plan import Numbers, Runs, Wanted, each
from tests.unit.test_table import packets, table

# In any order: packets that are farther from their place make no table.
FRAMES = 33
TABLES = st.builds(
    table,
    st.permutations(range(1, FRAMES)).map(lambda rest: [0, *rest]),
    st.sets(st.integers(1, FRAMES - 1)).map(lambda keyframes: sorted({0, *keyframes})),
)
ORDERS = st.lists(st.integers(0, FRAMES - 1), min_size=1, max_size=60)


def frame(index: int) -> Frame:
    return Frame(index=index, image=np.zeros((1, 1), np.uint8), pts=index, time_base=Fraction(1))


@given(order=st.lists(st.integers(0, 9), max_size=30), room=st.integers(1, 6), ahead=st.integers(0, 9))
def test_frames_are_kept_until_nobody_needs_them(order: list[int], room: int, ahead: int) -> None:
    """Frames that are held come out at each of their turns; those needed last are dropped first."""
    wanted = Wanted(np.array(order, np.int64), held_bytes=room)
    held: set[int] = set()
    for turn, index in enumerate(order):
        rest = order[turn:]
        assert (index in wanted) == (index in rest)
        for decoded in [index, (index + ahead) % 10]:
            assert wanted.is_missing(decoded) == (decoded in rest and decoded not in held)
            if not wanted.is_missing(decoded):
                continue
            wanted.hold(frame(decoded))
            held.add(decoded)
            while len(held) > room:
                held.remove(max(held, key=rest.index))
        got = wanted.take(index)
        assert (got is not None) == (index in held)
        held &= set(order[turn + 1 :])
        assert wanted.has_room(1) == (len(held) < room)


@given(order=st.lists(st.integers(0, 9), min_size=1, max_size=30), lost=st.integers(0, 9))
def test_a_frame_given_up_is_not_waited_for(order: list[int], lost: int) -> None:
    """It is missing no more, and each of its turns passes without it."""
    wanted = Wanted(np.array(order, np.int64), held_bytes=100)
    wanted.give_up(lost)
    for index in order:
        if wanted.is_missing(index):
            wanted.hold(frame(index))
        assert (wanted.take(index) is None) == (index == lost)


@given(numbers=st.sets(st.integers(-50, 50)), asked=st.integers(-60, 60))
def test_numbers_are_a_set(numbers: set[int], asked: int) -> None:
    """Each is in it until it is discarded."""
    found = Numbers(np.array(sorted(numbers), np.int64))
    assert (asked in found) == (asked in numbers)
    found.discard(asked)
    assert [number for number in range(-60, 61) if number in found] == sorted(numbers - {asked})


@given(found=TABLES, order=ORDERS, reach=st.integers(0, 2))
def test_runs_are_the_packets_that_frames_need(found: FrameTable, order: list[int], reach: int) -> None:
    """As the table says frame by frame: starts, ends, packets; near stretches are read as one."""
    runs = Runs(found, np.array(order), reach=reach)
    around = {row: range(max(0, row - reach), min(len(found), row + reach + 1)) for row in range(len(found))}
    starts = {row: min(map(found.start_for, around[row])) for row in around}
    lasts = {row: max(map(found.last_packet_for, around[row])) for row in around}
    assert [runs.start_for(row) for row in around] == list(starts.values())
    assert [runs.last_packet_for(row) for row in around] == list(lasts.values())
    needed = runs.packets_of(np.array(order))
    assert {packet for packet in range(FRAMES) if packet in needed} == {
        int(found.packet_of[near]) for row in order for near in around[row]
    }
    ends = _ends(order, starts, lasts)
    for start in range(FRAMES):
        rows = [row for row in set(order) if starts[row] == start]
        assert list(runs.rows_from(start)) == sorted(rows, key=lambda row: (lasts[row], row))
        if rows:
            assert runs.last_packet(start) == ends[start]
            assert runs.byte_ranges(start) == [(100 + start, 101 + ends[start])]


def _ends(order: Sequence[int], starts: dict[int, int], lasts: dict[int, int]) -> dict[int, int]:
    ends: dict[int, int] = {}
    following: int | None = None
    for start in sorted({starts[row] for row in order}, reverse=True):
        own = max(lasts[row] for row in order if starts[row] == start)
        near = following is not None and following <= own + 8
        ends[start] = max(own, ends[following]) if near and following is not None else own
        following = start
    return ends


@given(
    found=TABLES, discarded=st.sets(st.integers(0, FRAMES - 1)), unsafe=st.sets(st.integers(1, FRAMES - 1))
)
def test_many_rows_are_looked_up_as_each_is(found: FrameTable, discarded: set[int], unsafe: set[int]) -> None:
    """Starts and last packets of many frames are those of each, with packets that become no frame too."""
    kept = np.array([packet for packet in found.packet_of.tolist() if packet not in discarded], np.int64)
    fewer = FrameTable(found.packets, found.time_base, kept, is_verified=True)
    fewer = fewer.without_keyframes(unsafe & set(np.flatnonzero(found.packets.is_keyframe).tolist()))
    rows = np.arange(len(fewer))
    assert fewer.starts_for(rows).tolist() == [fewer.start_for(row) for row in range(len(fewer))]
    assert fewer.last_packets_for(rows).tolist() == [fewer.last_packet_for(row) for row in range(len(fewer))]


@given(ranges=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40))), max_gap=st.integers(0, 40))
def test_near_ranges_are_merged_ranges(ranges: list[tuple[int, int]], max_gap: int) -> None:
    """Many ranges become few as they do one by one."""
    starts, lengths = (
        np.array(column, np.int64) for column in (zip(*ranges, strict=True) if ranges else ([], []))
    )
    expected = merge_ranges(
        [(start, start + length) for start, length in ranges], max_gap=max_gap, max_span=10**9
    )
    assert near_ranges(starts, lengths, max_gap=max_gap) == expected


def test_each_yields_python_integers() -> None:
    """Whatever the length, all numbers come, and as int."""
    assert list(each(np.arange(10_000))) == list(range(10_000))
    assert {type(number) for number in each(np.arange(3, dtype=np.uint8))} == {int}


def test_no_keyframe_begins_at_the_first_packet() -> None:
    """Where no packet is a keyframe, all is decoded from the first."""
    bare = FrameTable(packets([0, 1, 2], keyframes=()), Fraction(1), np.arange(3), is_verified=True)
    assert bare.starts_for(np.arange(3)).tolist() == [0, 0, 0]
