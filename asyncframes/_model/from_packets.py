"""Derives frame tables from the packets of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from asyncframes._model.table import FrameTable, Packets


def table_from_packets(
    packets: Packets, time_base: Fraction, average_rate: Fraction | None
) -> FrameTable | None:
    """Derive the frames from the packets' timestamps, without decoding.

    Each packet that is not flagged *discard* becomes one frame. Frames are shown in the
    order of their pts.

    Returns
    -------
    FrameTable or None
        ``None`` if the packets do not determine the frames. That is so if a pts is missing
        or repeated, or the clock is set back. It is also so if the stream does not begin with a
        keyframe that is shown first: its decoder then drops an unknown number of frames.
    """
    if not (packets.are_timed and packets.begin_whole and packets.are_near_their_order):
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
        Number of the first keyframe among them. From its picture on, timestamps determine the
        frames.
    """
    place = {packet: place for place, packet in enumerate(shown)}
    head = shown[: place[anchor]]
    later = packets.in_presentation_order()
    rest = later[packets.pts[later] >= packets.pts[anchor]]
    return FrameTable(
        packets, time_base, np.concatenate([np.array(head, np.int64), rest]), average_rate=average_rate
    )
