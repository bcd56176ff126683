"""How a selection is served: its frames named, the way to them chosen, and the job that takes it."""

from __future__ import annotations

import logging
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.image.convert import Converter
from asyncframes._model.selection import FEW, Selection, resolve
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._requests.jobs.approximate import ApproximateJob
from asyncframes._requests.jobs.forward import ForwardJob
from asyncframes._requests.jobs.job import FrameJob, JobOptions
from asyncframes._requests.jobs.table_job import TableJob
from asyncframes._requests.lanes import Deal, deal
from asyncframes._requests.shared_table import SharedTable
from asyncframes._runtime.threads import in_thread

# Up to this first frame, decoding from the start is as good as a frame table: the table of an MP4 costs its
# header only, as an approximate seek does, that of other containers a pass over the file.
_FORWARD_START_BY_HEADER = 32
_FORWARD_START = 300


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """The way to the frames of a selection, chosen once for a request.

    Attributes
    ----------
    selection
        What was asked for, its iterables read.
    table
        Names the frames; ``None`` if they are decoded from the first packet on.
    dealt
        The frames dealt out to decoders, ``None`` if one decoder resolves the selection.
    """

    selection: Selection
    table: FrameTable | None
    dealt: Deal | None = None

    @property
    def only_frame(self) -> int | None:
        """Index of the frame, if it is one that the table names."""
        if self.dealt is None or len(self.dealt.order) != 1:
            return None
        return int(self.dealt.order[0])


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
    converter: Converter,
    options: JobOptions,
    selection: Selection,
    table: FrameTable | SharedTable | None,
    delivered: int,
    *,
    may_rebuild: bool,
) -> FrameJob:
    """Make the job of a request: forward without a table, else by a shared table or a nominal one."""
    if table is None:
        return ForwardJob(decoder, converter, options, selection.forward_range)
    if isinstance(table, FrameTable):
        return ApproximateJob(decoder, converter, options, selection, table)
    return TableJob(
        decoder, converter, options, selection, table, delivered=delivered, may_rebuild=may_rebuild
    )


_log = logging.getLogger("asyncframes")


class Chooser:
    """Names the frames of selections whose iterables are read.

    Parameters
    ----------
    executor
        Where what takes long is done.
    source
        Name of the video, for the log.
    """

    def __init__(self, executor: Executor, source: str) -> None:
        self._executor = executor
        self._source = source
        self._has_warned = False

    async def chosen(self, selection: Selection, table: FrameTable, *, distinct: bool = False) -> Int64Array:
        """Return the indices of the frames; see `resolve`. Distinct ones come once and ascending."""
        if selection.is_quick and not distinct:
            return resolve(selection, table)
        if selection.is_by_time and not self._has_warned:
            self._warn(await in_thread(self._executor, table.repeated_times))
        chosen = await in_thread(self._executor, resolve, selection, table)
        return await in_thread(self._executor, np.unique, chosen) if distinct else chosen

    async def dealt(self, table: FrameTable, order: Int64Array, lanes: int) -> Deal:
        """Deal frames out to decoders; see `deal`."""
        if len(order) <= FEW:
            return deal(table, order, lanes)
        return await in_thread(self._executor, deal, table, order, lanes)

    def _warn(self, repeated: int) -> None:
        if not repeated:
            return
        self._has_warned = True
        _log.warning(
            "%d frames have the pts of an earlier frame or lie before it; "
            "a time names the first of them in presentation order [%s]",
            repeated,
            self._source,
        )
