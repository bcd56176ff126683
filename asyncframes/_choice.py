"""Selections of one video resolved and dealt out without holding up the event loop."""

from __future__ import annotations

import logging
from concurrent.futures import Executor

import numpy as np

from asyncframes._lanes import Deal, deal
from asyncframes._selection import FEW, Selection, resolve
from asyncframes._table import FrameTable, Int64Array
from asyncframes._threads import in_thread

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
