"""Packets that FFmpeg cuts short because it reads a fragmented MP4 one fragment at a time."""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

from asyncframes._media.codec.held import DoubtError
from asyncframes._media.codec.pictures import Damage, Picture
from asyncframes._media.container.packet_reader import PacketReader
from asyncframes._media.mp4.fragments import media_ranges
from asyncframes._media.stepwise import finished

_CUT_SHORT = "its header lists more bytes than its fragment holds"


def damage_if_cut(packet: Packet[VideoStream], number: int, reader: PacketReader) -> list[Picture | Damage]:
    """Return the damage of a packet that was cut short, if its decoder would refuse the whole one.

    Raises
    ------
    DoubtError
        It was cut short, and the file can be opened again so that its packets are whole.
    """
    if not reader.is_cut(packet):
        return []
    if reader.file.is_sequential:
        # Other bytes would follow the units of the packet, and be no unit. Other codecs ignore such bytes.
        units = reader.syntax.units
        return [Damage(number, packet.pts, _CUT_SHORT)] if units and units.length_bytes else []
    reader.file.opens_whole = True
    # The headers are fetched several at a time here, and by FFmpeg one at a time.
    finished(media_ranges(reader.file))
    raise DoubtError(_CUT_SHORT)
