"""Frame tables that follow from the packets of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from asyncframes._model.table import FrameTable, Packets


def table_from_packets(
    packets: Packets, time_base: Fraction, average_rate: Fraction | None
) -> FrameTable | None:
    """Derive the frames from the packets' timestamps, without decoding.

    Every packet not flagged *discard* is taken to become one frame, shown in
    the order of pts.

    Returns
    -------
    FrameTable or None
        ``None`` where packets alone cannot tell: a pts is missing or occurs
        twice, or the stream does not begin with a keyframe that is shown first,
        so that how many frames its decoder drops there is not known.
    """
    if not packets.are_timed or not packets.begin_whole:
        return None
    return FrameTable(packets, time_base, packets.in_presentation_order(), average_rate=average_rate)


def table_with_head(
    packets: Packets,
    time_base: Fraction,
    average_rate: Fraction | None,
    *,
    shown: Sequence[int],
    anchor: int,
) -> FrameTable:
    """Derive the frames from timestamps, except those before a keyframe, which were observed.

    Parameters
    ----------
    shown
        Numbers of the packets whose pictures a decode from the start outputs, in that order.
    anchor
        Number of the first keyframe among them; from its picture on, timestamps tell.
    """
    place = {packet: place for place, packet in enumerate(shown)}
    head = shown[: place[anchor]]
    later = packets.in_presentation_order()
    rest = later[packets.pts[later] >= packets.pts[anchor]]
    return FrameTable(
        packets, time_base, np.concatenate([np.array(head, np.int64), rest]), average_rate=average_rate
    )
