"""Frame tables: which packet becomes which frame, and where decoding begins for it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._model.table import NO_TIMESTAMP, FrameTable, Packets, table_from_packets

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
    """Once marked, a keyframe is passed over and is no keyframe any more."""
    found = table([0, 1, 2, 3], [0, 2])
    assert found.start_for(3) == 2
    found.mark_unsafe(2)
    assert found.start_for(3) == 0
    assert found.is_keyframe.tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("pts", "keyframes"),
    [
        pytest.param([0, NO_TIMESTAMP, 2], [0], id="missing pts"),
        pytest.param([0, 1, 1], [0], id="pts twice"),
        pytest.param([0, 1, 2], [1], id="no keyframe first"),
        pytest.param([0, 1, 2], [], id="no keyframe at all"),
        pytest.param([2, 0, 1], [0], id="leading pictures first"),
    ],
)
def test_packets_alone_cannot_tell(pts: list[int], keyframes: list[int]) -> None:
    """Where timestamps or the head of the stream leave it open, there is no table."""
    assert table_from_packets(packets(pts, keyframes), TIME_BASE, None) is None


def test_no_packets_make_an_empty_table() -> None:
    """A stream without packets has no frames, which is not unclear."""
    assert len(table([], [])) == 0


def test_ticks_are_reckoned_from_the_rate_where_there_are_none() -> None:
    """Without timestamps frame i is shown at i / rate; without a rate that is an error."""
    bare = packets([NO_TIMESTAMP] * 3)
    verified = FrameTable(bare, TIME_BASE, np.arange(3), is_verified=True, average_rate=Fraction(5))
    assert verified.ticks().tolist() == [0, 2, 4]
    verified.average_rate = None
    with pytest.raises(ValueError, match="by index"):
        verified.ticks()


def test_a_packet_is_found_by_what_it_looks_like() -> None:
    """Position and size name a packet; size alone does only where it is unique."""
    found = packets([0, 1, 2])
    assert found.find(position=101, size=1, dts=0) == 1
    assert found.find(position=-1, size=1, dts=2) == 2
    assert found.find(position=-1, size=1, dts=7) is None
    assert found.find(position=101, size=9, dts=1) is None
