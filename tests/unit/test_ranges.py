"""Laws of byte-range arithmetic."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncframes._model.ranges import (
    ByteRange,
    ContentRange,
    check_range,
    merge_ranges,
    parse_content_range,
    split_range,
)

_ranges = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)))


def _bytes_of(ranges: list[ByteRange]) -> set[int]:
    return {byte for start, stop in ranges for byte in range(start, stop)}


@given(ranges=_ranges, max_gap=st.integers(0, 40), max_span=st.integers(1, 120))
def test_merged_ranges_cover_what_was_asked(ranges: list[ByteRange], max_gap: int, max_span: int) -> None:
    """Merged ranges hold each asked byte, ascend, stay under the cap and carry only gaps that are allowed."""
    merged = merge_ranges(ranges, max_gap=max_gap, max_span=max_span)
    asked, fetched = _bytes_of(ranges), _bytes_of(merged)
    assert asked <= fetched
    assert all(0 < stop - start <= max_span for start, stop in merged)
    assert all(before[1] <= after[0] for before, after in pairwise(merged))
    for byte in fetched - asked:
        gap_start = max(other for other in asked if other < byte)
        gap_stop = min(other for other in asked if other > byte)
        assert gap_stop - gap_start - 1 <= max_gap


@given(ranges=_ranges, max_gap=st.integers(0, 40))
def test_merging_without_a_cap_leaves_no_small_gap(ranges: list[ByteRange], max_gap: int) -> None:
    """Without a cap that bites, merged ranges lie more than the gap apart."""
    merged = merge_ranges(ranges, max_gap=max_gap, max_span=10_000)
    assert all(after[0] - before[1] > max_gap for before, after in pairwise(merged))


@given(start=st.integers(0, 1000), length=st.integers(0, 1000), max_span=st.integers(1, 100))
def test_split_pieces_join_up(start: int, length: int, max_span: int) -> None:
    """Pieces are at most the span long and join up to the range."""
    pieces = split_range(start, start + length, max_span=max_span)
    assert all(0 < stop - begin <= max_span for begin, stop in pieces)
    assert [byte for piece in pieces for byte in range(*piece)] == list(range(start, start + length))


def test_split_refuses_an_empty_span() -> None:
    """Pieces of no bytes would never end."""
    with pytest.raises(ValueError, match="max_span=0: expected 1"):
        split_range(0, 10, max_span=0)


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (4, 3)])
def test_nonsense_ranges_are_refused(start: int, stop: int) -> None:
    """A range begins at 0 or later and does not end before it begins."""
    with pytest.raises(ValueError, match=str(start)):
        check_range(start, stop)


@given(start=st.integers(0, 10**13), length=st.integers(1, 10**13), beyond=st.integers(0, 10**13))
def test_content_range_round_trip(start: int, length: int, beyond: int) -> None:
    """What a server writes is what is read, one past the last byte."""
    stop, size = start + length, start + length + beyond
    assert parse_content_range(f"bytes {start}-{stop - 1}/{size}") == ContentRange(start, stop, size)
    assert parse_content_range(f"Bytes {start}-{stop - 1}/*") == ContentRange(start, stop, None)
    assert parse_content_range(f"bytes */{size}") == ContentRange(None, None, size)


@pytest.mark.parametrize(
    "value",
    ["", "bytes", "bytes 5-4/10", "bytes 0-10/10", "bytes 0-/10", "chunks 0-1/2", "bytes 0-1/2, 3-4/5"],
)
def test_impossible_content_ranges_are_refused(value: str) -> None:
    """A header that is malformed or contradicts itself is an error, not a guess."""
    with pytest.raises(ValueError, match="Content-Range"):
        parse_content_range(value)
