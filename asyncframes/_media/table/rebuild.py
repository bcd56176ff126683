"""Builds frame tables by decoding the whole stream, or only its head."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TypeVar

import numpy as np

from asyncframes._media.codec.checksums import picture_checksum
from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.held import DoubtError
from asyncframes._media.codec.pictures import Damage, Picture, refuse_without_pictures
from asyncframes._media.container.opening import average_rate, time_base_of
from asyncframes._media.table.scan import PacketList, Scanned
from asyncframes._model.from_packets import table_from_packets, table_with_head
from asyncframes._model.table import FrameTable

T = TypeVar("T")

# Enough pictures to reveal fields, or an order other than the packets suggest.
_HEAD_PICTURES = 24


def _without_doubt(
    decoder: Decoder, steps: Callable[[], Generator[None, None, T]]
) -> Generator[None, None, T]:
    """Run steps on a decoder. If its output is in doubt, run them again with one codec thread."""
    while True:
        try:
            return (yield from steps())
        except DoubtError as doubt:
            decoder.fall_back_to_one_thread(doubt)


def table_by_decoding(decoder: Decoder) -> Generator[None, None, FrameTable]:
    """Build a frame table from the frames that a sequential decode outputs.

    This is a generator that returns the table, so that callers can run a long decode in steps.

    Raises
    ------
    CorruptMediaError
        The stream has packets, but none of them decodes to a picture.
    MediaError
        The stream has no packets.
    """
    return (yield from _without_doubt(decoder, lambda: _table_of_pictures(decoder)))


def _table_of_pictures(decoder: Decoder) -> Generator[None, None, FrameTable]:
    packets = PacketList(decoder.reader.syntax)
    packet_of, checksums, damaged = array("q"), array("q"), array("b")
    keyframes = array("q")
    decoder.restart()
    with decoder.reader.observed_by(packets.add):
        for output in decoder.decode():
            if isinstance(output, Picture):
                packet_of.append(output.packet)
                checksums.append(picture_checksum(output.frame))
                damaged.append(output.frame.is_corrupt)
                if output.frame.key_frame:
                    keyframes.append(output.packet)
            yield
    refuse_without_pictures(decoder.file.source_name, packets=decoder.reader.number, frames=len(packet_of))
    found = packets.finish()
    decode_alone = np.isin(np.arange(len(found)), keyframes)
    return FrameTable(
        replace(found, is_keyframe=found.is_keyframe & decode_alone),
        time_base_of(decoder.stream),
        np.array(packet_of, np.int64),
        is_verified=True,
        average_rate=average_rate(decoder.stream),
        checksums=np.array(checksums, np.int64),
        is_damaged=np.array(damaged, np.bool_),
    )


def table_confirmed_by_head(decoder: Decoder, table: FrameTable) -> Generator[None, None, FrameTable | None]:
    """Return the table if a decode begins with the pictures that it lists, otherwise ``None``."""
    expected: list[int] = table.packet_of[:_HEAD_PICTURES].tolist()
    found = yield from _without_doubt(decoder, lambda: _first_shown(decoder, len(expected)))
    return table if found == expected else None


def _first_shown(decoder: Decoder, count: int) -> Generator[None, None, list[int]]:
    """Decode the first `count` pictures, and return the numbers of their packets."""
    decoder.restart()
    found: list[int] = []
    for output in decoder.decode():
        if isinstance(output, Picture):
            found.append(output.packet)
        if len(found) == count:
            break
        yield
    return found


def table_by_decoding_head(decoder: Decoder, scanned: Scanned) -> Generator[None, None, FrameTable]:
    """Build a frame table by decoding only the head of the stream if that suffices, in steps.

    The head of a stream is unclear if it begins inside a GOP, or with leading pictures that
    refer to a GOP before it. Decoding the first two GOPs then shows which packets become
    frames. Otherwise the whole stream is decoded.
    """
    table = yield from _without_doubt(decoder, lambda: _verified_head(decoder, scanned))
    return table or (yield from table_by_decoding(decoder))


def _verified_head(decoder: Decoder, scanned: Scanned) -> Generator[None, None, FrameTable | None]:
    """Decode the first two GOPs. Return ``None`` if they do not determine the rest."""
    keyframes = np.flatnonzero(scanned.packets.is_keyframe)
    if not (scanned.packets.are_timed and scanned.packets.are_near_their_order) or len(keyframes) < 3:
        return None
    shown: list[int] = []
    anchor: int | None = None
    decoder.restart()
    for output in decoder.decode(last_packet=int(keyframes[2]) - 1):
        yield
        if isinstance(output, Damage) or output.is_damaged:
            return None
        shown.append(output.packet)
        if anchor is None and output.frame.key_frame and scanned.packets.is_keyframe[output.packet]:
            anchor = output.packet
    if anchor is None:
        return None
    table = table_with_head(
        scanned.packets, scanned.time_base, scanned.average_rate, shown=shown, anchor=anchor
    )
    return table if table.packet_of[: len(shown)].tolist() == shown else None


def table_without_decoding(scanned: Scanned) -> FrameTable | None:
    """Build a frame table from packets alone, or return ``None`` if they do not determine it."""
    return table_from_packets(scanned.packets, scanned.time_base, scanned.average_rate)
