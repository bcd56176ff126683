"""Which way to a selection is shorter, from the start or by a frame table, and the job that takes it."""

from __future__ import annotations

from asyncframes._media._approximate import ApproximateJob
from asyncframes._media._decoder import Decoder
from asyncframes._media._jobs import ForwardJob, FrameJob, FrameOptions
from asyncframes._media._table_job import TableJob
from asyncframes._selection import Selection
from asyncframes._table import FrameTable
from asyncframes._types import SeekMode

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


def make_job(
    decoder: Decoder,
    options: FrameOptions,
    selection: Selection,
    table: FrameTable | None,
    seek_mode: SeekMode,
    delivered: int,
    *,
    settles: bool,
) -> FrameJob:
    """Make the job of a request: forward without a table, else by the table of its seek mode."""
    if table is None:
        return ForwardJob(decoder, options, selection.forward_range)
    if seek_mode == "approximate":
        return ApproximateJob(decoder, options, selection, table)
    return TableJob(decoder, options, selection, table, delivered=delivered, settles=settles)
