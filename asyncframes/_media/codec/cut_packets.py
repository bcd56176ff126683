"""Packets that FFmpeg cuts short because it reads a fragmented MP4 one fragment at a time."""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

from asyncframes._media.codec.held import DoubtError
from asyncframes._media.container.packet_reader import PacketReader
from asyncframes._media.mp4.fragments import media_ranges
from asyncframes._media.stepwise import finished


def doubt_if_cut(packet: Packet[VideoStream], reader: PacketReader) -> None:
    """Have the file opened again if a packet was cut short, so that its packets are whole.

    Raises
    ------
    DoubtError
        It was.
    """
    if not reader.is_cut(packet):
        return
    reader.file.opens_whole = True
    # The headers are fetched several at a time here, and by FFmpeg one at a time.
    finished(media_ranges(reader.file))
    raise DoubtError("its header lists more bytes than its fragment holds")
