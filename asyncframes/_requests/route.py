"""How a selection is served: its indices, the route to their frames, and the job that follows it."""

from __future__ import annotations

import logging
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.image.convert import Converter
from asyncframes._model.packets import distinct as each_once
from asyncframes._model.selection import FEW, Selection, resolve
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._requests.jobs.approximate import ApproximateJob
from asyncframes._requests.jobs.forward import ForwardJob
from asyncframes._requests.jobs.job import FrameJob, JobOptions
from asyncframes._requests.jobs.lanes import Deal, deal
from asyncframes._requests.jobs.table_job import TableJob
from asyncframes._requests.shared_table import SharedTable
from asyncframes._runtime.threads import in_thread

_log = logging.getLogger("asyncframes")

# If a range starts at or before this frame, decoding from the first packet costs no more than finding its
# start. For an MP4 the frame table costs only the header, and an approximate seek needs no table. For other
# files a table costs a pass over the file.
_FORWARD_START_BY_HEADER = 32
_FORWARD_START = 300


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """The route to the frames of a selection, chosen once per request.

    Attributes
    ----------
    selection
        The selection, with its iterables read.
    table
        Locates the frames. ``None`` decodes from the first packet on.
    dealt
        The frames and their lanes; ``None`` if one decoder resolves the selection itself.
    """

    selection: Selection
    table: FrameTable | None
    dealt: Deal | None = None

    @property
    def single(self) -> tuple[FrameTable, int] | None:
        """The table and the index of the frame, if the request is for a single frame from the table."""
        if self.table is None or self.dealt is None or len(self.dealt.order) != 1:
            return None
        return self.table, int(self.dealt.order[0])


def goes_forward(selection: Selection, *, has_table: bool, header_only: bool) -> bool:
    """Whether to decode from the start of the stream.

    Parameters
    ----------
    selection
        The frames requested.
    has_table
        Whether the frame table is known.
    header_only
        Whether the table can be built from the header alone.
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
    known: FrameTable | None,
    may_rebuild: bool,
) -> FrameJob:
    """Make the job for a request, according to its table: none, a nominal or a shared one.

    Parameters
    ----------
    known
        The video's frame table if there is one, even if the request does not need it.
    """
    if table is None:
        return ForwardJob(decoder, converter, options, selection.forward_range, known)
    if isinstance(table, FrameTable):
        return ApproximateJob(decoder, converter, options, selection, table)
    return TableJob(
        decoder, converter, options, selection, table, delivered=delivered, may_rebuild=may_rebuild
    )


class Resolver:
    """Resolves selections, in a thread if that may take a while.

    Parameters
    ----------
    executor
        Runs long computations.
    source
        Name of the video, for the log.
    """

    def __init__(self, executor: Executor, source: str) -> None:
        self._executor = executor
        self._source = source
        self._has_warned = False

    async def resolve(self, selection: Selection, table: FrameTable, *, distinct: bool = False) -> Int64Array:
        """Return the indices of the frames; with `distinct`, each once and in ascending order."""
        if selection.is_quick_in(len(table)):
            chosen = resolve(selection, table)
            return each_once(chosen) if distinct else chosen
        if selection.is_by_time and not self._has_warned:
            self._warn(await in_thread(self._executor, _repeated_times, table))
        chosen = await in_thread(self._executor, resolve, selection, table)
        return await in_thread(self._executor, each_once, chosen) if distinct else chosen

    async def deal(self, table: FrameTable, order: Int64Array, lanes: int) -> Deal:
        """Assign frames to lanes; see `deal` of `lanes`."""
        if len(order) <= FEW:
            return deal(table, order, lanes)
        return await in_thread(self._executor, deal, table, order, lanes)

    def _warn(self, repeated: int) -> None:
        if not repeated:
            return
        self._has_warned = True
        _log.warning(
            "%d frames have a pts at or before that of an earlier frame; "
            "a time selects the first of them in presentation order [%s]",
            repeated,
            self._source,
        )


def _repeated_times(table: FrameTable) -> int:
    """Count the frames whose pts is not later than the pts of a frame before them."""
    ticks = table.ticks()
    return int(np.count_nonzero(ticks[1:] == ticks[:-1]))
