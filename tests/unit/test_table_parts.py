"""A part of a frame table locates its frames as the whole table does."""

from __future__ import annotations

import pickle
from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._media.table.part import TablePart, can_be_cut, part_of_table
from asyncframes._model.packets import Packets, SourceIdentity
from asyncframes._model.table import NO_TIMESTAMP, FrameTable

TIME_BASE = Fraction(1, 90000)


@st.composite
def gops(draw: st.DrawFn) -> list[tuple[int, int, bool]]:
    """Length, leading pictures and whether a second field follows, of each GOP."""
    gop = st.tuples(st.integers(1, 6), st.integers(0, 2), st.booleans())
    return [
        (length, 0 if number == 0 else min(lead, length - 1), field)
        for number, (length, lead, field) in enumerate(draw(st.lists(gop, min_size=1, max_size=30)))
    ]


def table_of(
    shape: list[tuple[int, int, bool]], *, steps: int = 3003, verified: bool = False, lasts: bool = True
) -> FrameTable:
    """Make a table of GOPs: a keyframe, then its leading pictures, then the rest."""
    pts: list[int] = []
    is_keyframe: list[bool] = []
    frames: list[int] = []
    shown = 0
    for length, lead, field in shape:
        order = [lead, *range(lead), *range(lead + 1, length)]
        for number, place in enumerate(order):
            frames.append(len(pts))
            pts.append((shown + place) * steps + (place % 2))
            is_keyframe.append(number == 0)
        if field:
            pts.append((shown + order[-1]) * steps + 2)
            is_keyframe.append(False)
        shown += length
    count = len(pts)
    sizes = np.arange(count) * 37 % 1000 + 5
    packets = Packets(
        pts=np.array(pts, np.int64),
        dts=np.arange(count, dtype=np.int64) * steps - 5000,
        position=np.array([*accumulate([0, *sizes[:-1].tolist()])], np.int64),
        size=sizes.astype(np.int64),
        duration=np.full(count, steps if lasts else 0, np.int64),
        is_keyframe=np.array(is_keyframe),
        is_discard=np.zeros(count, np.bool_),
    )
    kept = np.array(frames, np.int64)
    packet_of = kept[np.argsort(packets.pts[kept], kind="stable")]
    return FrameTable(
        packets,
        TIME_BASE,
        packet_of,
        is_verified=verified,
        average_rate=Fraction(30000, 1001),
        false_keyframes=frozenset({int(np.flatnonzero(packets.is_keyframe)[-1])} if len(shape) > 3 else ()),
        identity=SourceIdentity(12345, "tag", 0),
        headers=((10, b"head"),),
        checksums=np.arange(len(packet_of), dtype=np.int64) * 7 if verified else None,
        is_damaged=np.arange(len(packet_of)) % 5 == 0 if verified else None,
    )


def same_of_frame(part: FrameTable, whole: FrameTable, index: int) -> None:
    packet = int(whole.packet_of[index])
    assert int(part.packet_of[index]) == packet
    assert part.row_of(packet) == index
    assert part.pts_of(index) == whole.pts_of(index)
    assert part.duration_seconds_of(index) == whole.duration_seconds_of(index)
    assert part.start_for(index) == whole.start_for(index)
    assert part.last_packet_for(index) == whole.last_packet_for(index)
    start, last = whole.start_for(index), whole.last_packet_for(index)
    assert part.byte_ranges(start, last) == whole.byte_ranges(start, last)
    for number in range(start, last + 1):
        assert part.row_of(number) == whole.row_of(number)
        assert part.place_of(number) == whole.place_of(number)
        assert part.is_shown_before(number, start) == whole.is_shown_before(number, start)
    if whole.checksums is not None and whole.is_damaged is not None:
        assert part.checksums is not None
        assert part.is_damaged is not None
        assert int(part.checksums[index]) == int(whole.checksums[index])
        assert bool(part.is_damaged[index]) == bool(whole.is_damaged[index])


@given(shape=gops(), data=st.data(), verified=st.booleans(), lasts=st.booleans(), reach=st.integers(0, 1))
def test_a_part_locates_its_frames_as_the_whole_table_does(
    shape: list[tuple[int, int, bool]], data: st.DataObject, verified: bool, lasts: bool, reach: int
) -> None:
    """Indices, packets, times, starts and ends of its frames are the same, after pickling too."""
    whole = table_of(shape, verified=verified, lasts=lasts)
    first = data.draw(st.integers(0, len(whole) - 1))
    last = data.draw(st.integers(first, len(whole) - 1))
    part: TablePart = pickle.loads(pickle.dumps(part_of_table(whole, first, last, reach=reach)))
    table = part.table()
    assert len(table) == len(whole)
    assert len(table.packets) == len(whole.packets)
    assert table.is_one_to_one == whole.is_one_to_one
    assert (table.identity, table.average_rate, table.headers) == (
        whole.identity,
        whole.average_rate,
        whole.headers,
    )
    assert int(table.ticks()[0]) == int(whole.ticks()[0])
    assert int(table.ticks()[-1]) == int(whole.ticks()[-1])
    for index in range(max(first - reach, 0), min(last + reach, len(whole) - 1) + 1):
        same_of_frame(table, whole, index)
    rows = np.arange(first, last + 1)
    assert np.array_equal(table.starts_for(rows), whole.starts_for(rows))
    assert np.array_equal(table.last_packets_for(rows), whole.last_packets_for(rows))


@given(shape=gops(), data=st.data())
def test_unknown_packets_are_never_taken_for_known_ones(
    shape: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    """A packet of the source is found in a part under its own number, or not at all."""
    whole = table_of(shape)
    index = data.draw(st.integers(0, len(whole) - 1))
    table = part_of_table(whole, index, index).table()
    for number in range(len(whole.packets)):
        found = table.packets.find(
            position=int(whole.packets.position[number]),
            size=int(whole.packets.size[number]),
            dts=int(whole.packets.dts[number]),
        )
        assert found in {None, number}


def test_a_part_is_small() -> None:
    """It takes the bytes of its own packets, however long the video is."""
    whole = table_of([(25, 2, False)] * 4000)
    part = part_of_table(whole, 50_000, 50_999)
    assert len(pickle.dumps(part)) < 20_000
    assert len(part.table()) == 100_000


@pytest.mark.parametrize("fault", ["repeats", "no time", "empty"])
def test_what_is_found_by_counting_is_not_cut(fault: str) -> None:
    """Frames that only a decode from the start tells apart need the whole table."""
    whole = table_of([(5, 0, False)] * 3)
    assert can_be_cut(whole)
    packets = whole.packets
    packet_of = whole.packet_of
    if fault == "repeats":
        packet_of = np.append(packet_of, packet_of[-1])
    elif fault == "empty":
        packet_of = packet_of[:0]
    else:
        pts = packets.pts.copy()
        pts[3] = NO_TIMESTAMP
        packets = Packets(
            pts,
            packets.dts,
            packets.position,
            packets.size,
            packets.duration,
            packets.is_keyframe,
            packets.is_discard,
        )
    assert not can_be_cut(FrameTable(packets, TIME_BASE, packet_of))
