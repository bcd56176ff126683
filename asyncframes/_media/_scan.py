"""Packets to a frame table: from the header alone, by demuxing, or by decoding."""

from __future__ import annotations

from collections.abc import Generator
from fractions import Fraction

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

from asyncframes._media._boxes import SparseFile, media_ranges
from asyncframes._media._container import media_errors, open_container, select_stream, time_base_of
from asyncframes._media._decoder import Damage, Decoder, PacketHook
from asyncframes._media._files import MediaFile
from asyncframes._table import NO_TIMESTAMP, FrameTable, Packets, table_from_packets
from asyncframes.errors import MediaError

# The parser looks into packets, and zeros tell it nothing; the container's own flags and times stand in.
_WITHOUT_MEDIA = {"fflags": "noparse+nofillin"}


class PacketList:
    """Collects packets one by one."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int, int, bool, bool]] = []

    def add(self, packet: Packet[VideoStream]) -> None:
        """Append what the demuxer says of a packet."""
        self._rows.append(
            (
                NO_TIMESTAMP if packet.pts is None else packet.pts,
                NO_TIMESTAMP if packet.dts is None else packet.dts,
                -1 if packet.pos is None else packet.pos,
                packet.size,
                packet.duration or 0,
                packet.is_keyframe,
                packet.is_discard,
            )
        )

    def finish(self) -> Packets:
        """Return the packets as arrays."""
        columns = np.array(self._rows, np.int64).reshape(-1, 7).T
        return Packets(
            pts=columns[0].copy(),
            dts=columns[1].copy(),
            position=columns[2].copy(),
            size=columns[3].copy(),
            duration=columns[4].copy(),
            is_keyframe=columns[5].astype(bool),
            is_discard=columns[6].astype(bool),
        )


def scan(
    file: MediaFile, stream_index: int, on_packet: PacketHook, *, without_media: bool
) -> FrameTable | None:
    """Build a frame table without decoding.

    Parameters
    ----------
    without_media
        Read only the header of an MP4/MOV file. For any other file the result
        is then ``None``.

    Returns
    -------
    FrameTable or None
        ``None`` where packets alone cannot tell which frames there are.
    """
    if not without_media:
        return _scan_container(file, stream_index, on_packet, options={})
    media = media_ranges(file)
    if media is None:
        return None
    try:
        return _scan_container(SparseFile(file, media), stream_index, on_packet, options=_WITHOUT_MEDIA)
    except MediaError:
        # Some demuxers look into the media while they open it (captions in fragments do).
        file.raise_error()
        return None


def _scan_container(
    file: MediaFile, stream_index: int, on_packet: PacketHook, *, options: dict[str, str]
) -> FrameTable | None:
    file.seek(0)
    container = open_container(file, options=options)
    try:
        stream = select_stream(container, stream_index, file.source_name)
        packets = PacketList()
        with media_errors(file, "reading the container"):
            for packet in container.demux(stream):
                if packet.size:
                    packets.add(packet)
                    if on_packet is not None:
                        on_packet(packet)
        return table_from_packets(packets.finish(), time_base_of(stream), average_rate(stream))
    finally:
        container.close()


def scan_by_decoding(decoder: Decoder) -> Generator[None, None, FrameTable]:
    """Build a frame table from the frames that a sequential decode really puts out.

    A generator, so that a long pass can be taken in steps; it returns the table.
    """
    packets = PacketList()
    packet_of: list[int] = []
    keyframes: list[int] = []
    decoder.reopen()
    with decoder.observed_by(packets.add):
        for output in decoder.decode():
            if not isinstance(output, Damage):
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


def average_rate(stream: VideoStream) -> Fraction | None:
    """Return the frames per second that the container claims or FFmpeg guesses, if any."""
    rate = stream.average_rate or stream.guessed_rate
    return Fraction(rate) if rate else None
