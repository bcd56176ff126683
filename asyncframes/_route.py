"""Which way to a selection is shorter: decoding from the start, or by a frame table."""

from __future__ import annotations

from asyncframes._selection import Selection

# Up to this first frame, decoding from the start is as good as a frame table: the table of an MP4 costs its
# header only, as an approximate seek does, that of other containers a pass over the file.
_FORWARD_START_BY_HEADER = 32
_FORWARD_START = 300


def goes_forward(selection: Selection, *, has_table: bool, header_only: bool) -> bool:
    """Whether to decode from the start.

    Parameters
    ----------
    selection
        What was asked for.
    has_table
        Whether a frame table is there already.
    header_only
        Whether one costs no more than the header.
    """
    if not selection.is_forward:
        return False
    start = selection.forward_range[0]
    if has_table:
        return start == 0
    return start <= (_FORWARD_START_BY_HEADER if header_only else _FORWARD_START)
