"""Scattered frames from several decoders side by side.

Frames that lie far apart share no decoding, so stretches of a request are dealt
out to lanes, each a decoder with a pump of its own, and merged in the order asked.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asyncframes._model.selection import Selection
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._requests.jobs.plan import each
from asyncframes._requests.pump import Pump
from asyncframes._runtime.generators import Pinned
from asyncframes._types import Frame

# Below this many stretches opening another decoder does not pay.
_STRETCHES_A_LANE = 3

# A lane is a number of one byte.
_MOST_LANES = 256

# From this many packets decoded for each frame wanted, frames are scattered.
_SCATTERED = 4


@dataclass(frozen=True, slots=True, eq=False)
class Deal:
    """A request dealt out to decoders.

    Attributes
    ----------
    order
        The frames asked for.
    lane_of
        For each of them, the decoder that makes it.
    lanes
        How many decoders.
    """

    order: Int64Array
    lane_of: NDArray[np.uint8]
    lanes: int

    def selection(self, lane: int) -> Selection:
        """Return what one lane is to decode."""
        return Selection(indices=self.order[self.lane_of == lane])


def deal(table: FrameTable, order: Int64Array, lanes: int) -> Deal:
    """Deal a request out; takes a time that grows with the request.

    Each run of indices of one GOP, a stretch, goes to one lane, and the next one
    to the next lane. There is a single lane where the frames are not scattered.

    Parameters
    ----------
    lanes
        At most so many.
    """
    together = Deal(order, np.zeros(len(order), np.uint8), 1)
    if len(order) < 2 * _STRETCHES_A_LANE or lanes < 2:
        return together
    starts = table.starts_for(order)
    begins = np.append(True, starts[1:] != starts[:-1])
    firsts = np.flatnonzero(begins)
    packets = np.maximum.reduceat(table.packet_of[order], firsts) + 1 - starts[firsts]
    used = min(lanes, len(firsts) // _STRETCHES_A_LANE, _MOST_LANES)
    # A GOP that is come back to would be decoded by several lanes.
    comes_back = len(np.unique(starts[firsts])) < len(firsts)
    if used < 2 or int(packets.sum()) < _SCATTERED * len(order) or comes_back:
        return together
    return Deal(order, ((np.cumsum(begins) - 1) % used).astype(np.uint8), used)


async def side_by_side(
    pumped: Callable[[Selection], AbstractAsyncContextManager[Pump]], dealt: Deal
) -> AsyncGenerator[tuple[int, Frame], None]:
    """Decode the lanes of a request, and yield its frames in order, each with its place.

    Parameters
    ----------
    pumped
        Decodes one lane while its context is open.
    dealt
        The request.
    """
    async with AsyncExitStack() as stack:
        lanes = range(dealt.lanes)
        pumps = [await stack.enter_async_context(Pinned(pumped(dealt.selection(lane)))) for lane in lanes]
        async with Pinned(aclosing(_merged(pumps, dealt))) as frames:
            async for place, frame in frames:
                yield place, frame
                del frame


async def _merged(pumps: Sequence[Pump], dealt: Deal) -> AsyncGenerator[tuple[int, Frame], None]:
    """Yield the frames of all lanes; a lane may leave damaged ones out."""
    waiting: list[Frame | None] = [None] * len(pumps)
    for place, (index, lane) in enumerate(zip(each(dealt.order), each(dealt.lane_of), strict=True)):
        frame = waiting[lane] or await pumps[lane].get()
        waiting[lane] = None
        if frame is not None and frame.index != index:
            waiting[lane] = frame
        elif frame is not None:
            yield place, frame
            del frame
