"""Scattered frames from several decoders side by side.

Frames that lie far apart share no decoding, so stretches of a request are dealt
out to lanes, each a decoder with a pump of its own, and merged in the order asked.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from itertools import groupby

from asyncframes._pump import Pump
from asyncframes._selection import Selection
from asyncframes._table import FrameTable, Int64Array
from asyncframes._types import Frame

# Below this many stretches opening another decoder does not pay.
_STRETCHES_A_LANE = 3

# From this many packets decoded for each frame wanted, frames are scattered.
_SCATTERED = 4


def deal(table: FrameTable, order: Int64Array, lanes: int) -> list[list[list[int]]]:
    """Deal a request out.

    Parameters
    ----------
    lanes
        At most so many.

    Returns
    -------
    list of list of list of int
        For each lane its stretches, each a run of indices of one GOP; stretch i of
        the request is stretch ``i // n`` of lane ``i % n``. A single lane where the
        frames are not scattered.
    """
    indices = order.tolist()
    stretches = [list(stretch) for _, stretch in groupby(indices, key=table.start_for)]
    packets = sum(
        int(table.packet_of[stretch].max()) + 1 - table.start_for(stretch[0]) for stretch in stretches
    )
    distinct = len({table.start_for(stretch[0]) for stretch in stretches})
    used = min(lanes, len(stretches) // _STRETCHES_A_LANE)
    # A GOP that is come back to would be decoded by several lanes.
    if used < 2 or packets < _SCATTERED * len(indices) or distinct < len(stretches):
        return [stretches]
    return [stretches[lane::used] for lane in range(used)]


def lane_selection(stretches: Sequence[Sequence[int]]) -> Selection:
    """Return what one lane is to decode."""
    return Selection(indices=tuple(index for stretch in stretches for index in stretch))


async def merge(
    pumps: Sequence[Pump], dealt: Sequence[Sequence[Sequence[int]]]
) -> AsyncGenerator[tuple[int, Frame], None]:
    """Yield the frames of all lanes in the order of the request, each with its place in it.

    A lane may leave damaged frames out.
    """
    waiting: list[Frame | None] = [None] * len(pumps)
    place = -1
    for turn in range(max(map(len, dealt), default=0)):
        for lane, stretches in enumerate(dealt):
            for index in stretches[turn] if turn < len(stretches) else ():
                place += 1
                frame = waiting[lane] or await pumps[lane].get()
                waiting[lane] = None
                if frame is not None and frame.index != index:
                    waiting[lane] = frame
                elif frame is not None:
                    yield place, frame
                    del frame
