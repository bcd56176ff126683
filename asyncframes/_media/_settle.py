"""Frame tables that are settled by decoding, wholly or at the head of the stream."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import numpy as np

from asyncframes._media._container import average_rate, time_base_of
from asyncframes._media._decoder import Decoder
from asyncframes._media._pictures import Picture
from asyncframes._media._scan import PacketList, Scanned
from asyncframes._table import FrameTable, table_from_packets, table_with_head

# Enough to see fields, or pictures out of order, come out otherwise than packets alone would have it.
_HEAD_PICTURES = 24


def scan_by_decoding(decoder: Decoder) -> Generator[None, None, FrameTable]:
    """Build a frame table from the frames that a sequential decode really puts out.

    A generator, so that a long pass can be taken in steps; it returns the table.
    """
    table = yield from _table_of_pictures(decoder)
    if decoder.lost_in_draining() is not None and decoder.use_one_thread():
        table = yield from _table_of_pictures(decoder)
    return table


def _table_of_pictures(decoder: Decoder) -> Generator[None, None, FrameTable]:
    packets = PacketList(decoder.stream.codec_context.name)
    packet_of: list[int] = []
    keyframes: list[int] = []
    decoder.reopen()
    with decoder.observed_by(packets.add):
        for output in decoder.decode():
            if isinstance(output, Picture):
                packet_of.append(output.packet)
                if output.frame.key_frame:
                    keyframes.append(output.packet)
            yield
    found = packets.finish()
    found.is_keyframe[:] &= np.isin(np.arange(len(found)), keyframes)
    return FrameTable(
        found,
        time_base_of(decoder.stream),
        np.array(packet_of, np.int64),
        settled=True,
        average_rate=average_rate(decoder.stream),
    )


def head_agrees(decoder: Decoder, table: FrameTable) -> Generator[None, None, bool]:
    """Tell whether the first pictures that a decode puts out are those of a table, in its order."""
    decoder.reopen()
    expected = table.packet_of[:_HEAD_PICTURES].tolist()
    found: list[int] = []
    for output in decoder.decode():
        if isinstance(output, Picture):
            found.append(output.packet)
        if len(found) == len(expected):
            break
        yield
    table.confirmed = found == expected
    return table.confirmed


def settle(decoder: Decoder, scanned: Scanned) -> Generator[None, None, FrameTable]:
    """Build a frame table with as little decoding as will do; a generator, as `scan_by_decoding`.

    Where only the head of the stream is unclear (it begins inside a GOP, or with
    leading pictures of a GOP that is not there), its first two GOPs are decoded.
    """
    keyframes = np.flatnonzero(scanned.packets.is_keyframe)
    if scanned.packets.are_timed and len(keyframes) > 2:
        shown: list[int] = []
        anchor: int | None = None
        decoder.reopen()
        for picture in _pictures(decoder, last_packet=int(keyframes[2]) - 1):
            yield
            shown.append(picture.packet)
            if anchor is None and picture.frame.key_frame and scanned.packets.is_keyframe[picture.packet]:
                anchor = picture.packet
        if anchor is not None:
            return table_with_head(
                scanned.packets, scanned.time_base, scanned.average_rate, shown=shown, anchor=anchor
            )
    return (yield from scan_by_decoding(decoder))


def _pictures(decoder: Decoder, last_packet: int) -> Iterator[Picture]:
    for output in decoder.decode(last_packet=last_packet):
        if isinstance(output, Picture):
            yield output


def table_without_decoding(scanned: Scanned) -> FrameTable | None:
    """Build a frame table from packets alone, ``None`` where they cannot tell."""
    return table_from_packets(scanned.packets, scanned.time_base, scanned.average_rate)
