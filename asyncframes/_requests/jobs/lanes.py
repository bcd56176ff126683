"""Scattered frames, decoded by several decoders in parallel.

Frames that are far apart share no decoding. A request for such frames is split into
stretches. Each stretch is assigned to a lane, which is a decoder with its own pump, and the
frames of all lanes are merged in the order requested.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asyncframes._frames.frame import Frame
from asyncframes._model.packets import distinct
from asyncframes._model.selection import Selection
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._requests.jobs.plan import each
from asyncframes._requests.pump import Pump
from asyncframes._runtime.generators import Pinned

# Opening a decoder takes a while, so a lane with fewer stretches than this saves no time.
_STRETCHES_A_LANE = 3

# `Deal.lane_of` holds a lane in one byte.
_MOST_LANES = 256

# Frames count as scattered if each costs at least this many decoded packets.
_SCATTERED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Deal:
    """The assignment of a request's frames to lanes.

    Attributes
    ----------
    order
        Indices of the frames, in the order requested.
    lane_of
        The lane that decodes each of them.
    lanes
        Number of lanes.
    """

    order: Int64Array
    lane_of: NDArray[np.uint8]
    lanes: int

    def selection(self, lane: int) -> Selection:
        """Return the frames of one lane."""
        return Selection(indices=self.order[self.lane_of == lane])

    def places(self, lane: int) -> Int64Array:
        """Return the positions in the request of one lane's frames."""
        return np.flatnonzero(self.lane_of == lane)


def deal(table: FrameTable, order: Int64Array, lanes: int) -> Deal:
    """Assign the frames of a request to lanes, in time proportional to their number.

    A stretch is a run of indices within one GOP. Stretches go to the lanes in turn. Frames
    that are not scattered all go to a single lane.

    Parameters
    ----------
    lanes
        The most lanes to use.
    """
    together = Deal(order, np.zeros(len(order), np.uint8), 1)
    if len(order) < 2 * _STRETCHES_A_LANE or lanes < 2:
        return together
    starts = table.starts_for(order)
    begins = np.append(True, starts[1:] != starts[:-1])
    firsts = np.flatnonzero(begins)
    packets = np.maximum.reduceat(table.packet_of[order], firsts) + 1 - starts[firsts]
    used = min(lanes, len(firsts) // _STRETCHES_A_LANE, _MOST_LANES)
    # If the request returns to a GOP, several lanes would decode it.
    revisits = len(distinct(starts[firsts])) < len(firsts)
    if used < 2 or int(packets.sum()) < _SCATTERED * len(order) or revisits:
        return together
    return Deal(order, ((np.cumsum(begins) - 1) % used).astype(np.uint8), used)


async def side_by_side(
    pumped: Callable[[int], AbstractAsyncContextManager[Pump]], dealt: Deal
) -> AsyncGenerator[tuple[int, Frame], None]:
    """Decode the lanes of a request, and yield its frames in order, each with its position in the request.

    Parameters
    ----------
    pumped
        Decodes the lane of a number while its context is open.
    dealt
        The request's frames and their lanes.
    """
    async with AsyncExitStack() as stack:
        lanes = range(dealt.lanes)
        pumps = [await stack.enter_async_context(Pinned(pumped(lane))) for lane in lanes]
        async with Pinned(aclosing(_merged(pumps, dealt))) as frames:
            async for place, frame in frames:
                yield place, frame
                del frame


async def _merged(pumps: Sequence[Pump], dealt: Deal) -> AsyncGenerator[tuple[int, Frame], None]:
    """Merge the frames of all lanes. A lane may have skipped damaged frames."""
    waiting: list[Frame | None] = [None] * len(pumps)
    for place, (index, lane) in enumerate(zip(each(dealt.order), each(dealt.lane_of), strict=True)):
        frame = waiting[lane] or await pumps[lane].get()
        waiting[lane] = None
        if frame is not None and frame.index != index:
            waiting[lane] = frame
        elif frame is not None:
            yield place, frame
            del frame
