"""Builds frame tables: decides what to read and what to decode, so that a table is exact and cheap."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager

import numpy as np

from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.pictures import refuse_without_pictures
from asyncframes._media.container import opening
from asyncframes._media.files.media_files import DirectFile, MediaFile
from asyncframes._media.first_look import FirstLook
from asyncframes._media.mp4.claims import ContainerLimits
from asyncframes._media.progress import packet_hook, report_listed
from asyncframes._media.table.look import SHORT_REMOTE_BYTES, looked_at
from asyncframes._media.table.rebuild import (
    table_by_decoding,
    table_by_decoding_head,
    table_confirmed_by_head,
    table_without_decoding,
)
from asyncframes._media.table.scan import Scanned, check_length, scan_file, scan_header
from asyncframes._model.table import FrameTable, Packets
from asyncframes._types import PacketProgress, VideoInfo


def build_table(
    file: MediaFile,
    open_decoder: Callable[[], Decoder],
    look: FirstLook,
    *,
    listed: Scanned | None,
    limits: ContainerLimits,
    progress: PacketProgress | None,
) -> Generator[None, None, FrameTable]:
    """Build the frame table of a stream, with the least reading and decoding that makes it exact.

    This is a generator that returns the table, so that callers can run it in bounded steps and stop
    between them.

    - Packets suffice if the container stores a distinct time for each of them, and the codec makes
      one frame of each.
    - A short stream is decoded completely. So is a stream with a damaged packet, because only a
      decoder shows what becomes of it.
    - If the codec has fields, or FFmpeg made up the times, the first pictures must confirm what the
      packets say. If they do not, the whole stream is decoded.
    - If only the head is unclear, as in a stream cut from a longer one, only the head is decoded.

    Parameters
    ----------
    file
        Where packets are read from.
    open_decoder
        Opens a decoder of the same file. Called only if something must be decoded.
    look
        The first look at the same file.
    listed
        The packets that a header lists, if they are known already.
    limits
        What the container may hold.
    progress
        Called for each packet that is read.
    """
    scanned = yield from _scan(file, look, listed, limits, progress)
    check_length(scanned, limits, file.source_name)
    _refuse_without_packets(file, scanned)
    if scanned.is_doubtful or _is_short(file, look.info, scanned.packets):
        return (yield from decode_table(open_decoder(), progress))
    table = table_without_decoding(scanned)
    if table is None:
        decoder = open_decoder()
        with _reported(decoder, progress):
            return (yield from table_by_decoding_head(decoder, scanned))
    if not _may_mislead(scanned, look):
        return table
    decoder = open_decoder()
    confirmed = yield from table_confirmed_by_head(decoder, table)
    return confirmed or (yield from decode_table(decoder, progress))


def decode_table(decoder: Decoder, progress: PacketProgress | None) -> Generator[None, None, FrameTable]:
    """Build a frame table by decoding the whole stream, in steps; see `table_by_decoding`."""
    with _reported(decoder, progress):
        return (yield from table_by_decoding(decoder))


def _reported(decoder: Decoder, progress: PacketProgress | None) -> AbstractContextManager[None]:
    return decoder.reader.observed_by(packet_hook(progress, "index", decoder.stream.frames or None))


def _scan(
    file: MediaFile,
    look: FirstLook,
    listed: Scanned | None,
    limits: ContainerLimits,
    progress: PacketProgress | None,
) -> Generator[None, None, Scanned]:
    """List the packets from a header if there is one, otherwise by reading the file once."""
    stream_index = look.info.stream_index
    scanned = listed or (yield from scan_header(file, stream_index, limits))
    if scanned is None:
        hook = packet_hook(progress, "index", None)
        return (yield from scan_file(file, stream_index, hook, limits))
    report_listed(progress, len(scanned.packets))
    return (yield from looked_at(file, scanned, look.hints))


def _refuse_without_packets(file: MediaFile, scanned: Scanned) -> None:
    """Refuse a stream without a packet that becomes a frame."""
    if np.all(scanned.packets.is_discard):
        refuse_without_pictures(file.source_name, packets=len(scanned.packets), frames=0)


def _is_short(file: MediaFile, info: VideoInfo, packets: Packets) -> bool:
    """Whether decoding the whole stream is cheap enough not to rely on its packets."""
    is_near = isinstance(file, DirectFile) or int(packets.size.sum()) <= SHORT_REMOTE_BYTES
    return is_near and len(packets) * info.width * info.height <= opening.SHORT_PIXELS


def _may_mislead(scanned: Scanned, look: FirstLook) -> bool:
    """Whether the frames may differ from what packets and times say, although none is missing."""
    # AVI and ASF store one time per packet, from which FFmpeg makes up a pts.
    made_up = look.hints.reorders and (scanned.packets.keep_order or not scanned.is_from_header)
    return look.hints.has_fields or made_up
