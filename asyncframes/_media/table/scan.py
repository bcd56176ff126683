"""The packets of a stream, listed without decoding: from the header alone, or by demuxing."""

from __future__ import annotations

from array import array
from collections.abc import Generator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream

from asyncframes._media.bitstream.nal import DamagedPacketError
from asyncframes._media.bitstream.packet_syntax import PacketSyntax, packet_syntax
from asyncframes._media.boundary import PyAVError, packets_of
from asyncframes._media.container.opening import (
    average_rate,
    open_container,
    select_stream,
    time_base_of,
)
from asyncframes._media.container.packet_reader import PacketHook
from asyncframes._media.files.media_files import MediaFile
from asyncframes._media.mp4.boxes import SparseFile
from asyncframes._media.mp4.claims import ContainerLimits
from asyncframes._media.mp4.fragments import media_ranges
from asyncframes._media.mp4.samples import packets_by_index
from asyncframes._model.ranges import ByteRange
from asyncframes._model.table import NO_TIMESTAMP, Packets
from asyncframes._version import __version__
from asyncframes.errors import MediaError, UnsupportedMediaError

MADE_BY = f"asyncframes {__version__}, libavformat {av.library_versions['libavformat']}"
"""Who lists packets: another version of either may list them differently."""

_HEAD_BYTES = 64 * 1024

_FIELDS = 7

# Packets that are demuxed before FFmpeg's index is believed for the others.
_COMPARED_PACKETS = 16

# Demuxing a packet may take a microsecond, and looking at the clock half of that.
_PACKETS_A_STEP = 8

# The parser looks into packets, and zeros tell it nothing; the container's own flags and times stand in.
_WITHOUT_MEDIA = {"fflags": "noparse+nofillin"}


@dataclass(frozen=True, slots=True, eq=False)
class Scanned:
    """What a scan of a stream found.

    Attributes
    ----------
    packets, time_base, average_rate
        Of the stream.
    is_doubtful
        Whether some packets are damaged, so that only decoding tells which become frames.
    is_from_header
        Whether a header lists them; otherwise they were read one by one.
    """

    packets: Packets
    time_base: Fraction
    average_rate: Fraction | None
    is_doubtful: bool = False
    is_from_header: bool = True


class PacketList:
    """Collects packets one by one.

    Parameters
    ----------
    syntax
        What their bytes say, as some codecs have packets that are decoded and not shown;
        ``None`` where the packets hold no media to tell by.

    Attributes
    ----------
    is_doubtful
        Whether some packets are damaged.
    """

    def __init__(self, syntax: PacketSyntax | None = None) -> None:
        self._is_hidden = None if syntax is None else syntax.is_hidden
        self.is_doubtful = False
        # As tuples they would have the garbage collector go over all objects of the process.
        self._fields = array("q")

    def add(self, packet: Packet[VideoStream]) -> None:
        """Append what the demuxer says of a packet."""
        is_hidden = packet.is_discard
        self.is_doubtful |= packet.is_corrupt
        if self._is_hidden is not None and not is_hidden:
            try:
                is_hidden = self._is_hidden(bytes(packet))
            except DamagedPacketError:
                self.is_doubtful = True
        self._fields.extend(
            (
                NO_TIMESTAMP if packet.pts is None else packet.pts,
                NO_TIMESTAMP if packet.dts is None else packet.dts,
                -1 if packet.pos is None else packet.pos,
                packet.size,
                packet.duration or 0,
                packet.is_keyframe,
                is_hidden,
            )
        )

    def __len__(self) -> int:
        return len(self._fields) // _FIELDS

    def finish(self) -> Packets:
        """Return the packets as arrays."""
        columns = np.array(self._fields, np.int64).reshape(-1, _FIELDS).T
        return Packets(
            pts=columns[0].copy(),
            dts=columns[1].copy(),
            position=columns[2].copy(),
            size=columns[3].copy(),
            duration=columns[4].copy(),
            is_keyframe=columns[5].astype(bool),
            is_discard=columns[6].astype(bool),
        )


def read_head(file: MediaFile) -> bytes:
    """Return the first bytes of a file."""
    return file.read_at(0, _HEAD_BYTES)


def scan_header(
    file: MediaFile, stream_index: int, limits: ContainerLimits
) -> Generator[None, None, Scanned | None]:
    """List the packets of a stream of an MP4/MOV by its headers alone, in steps.

    Parameters
    ----------
    limits
        What the container may hold; no more than one packet beyond is listed.

    Returns
    -------
    Scanned or None
        ``None`` for any other file, and where the media would be needed.
    """
    media = media_ranges(file)
    if media is None:
        return None
    if file.lacks_headers:
        file.plan(_between(media, file.size or 0))
    try:
        return (yield from _demuxed_header(SparseFile(file, media), stream_index, limits))
    except (MediaError, PyAVError):
        # Some demuxers look into the media while they open it (captions in fragments do).
        file.raise_error()
        return None
    finally:
        file.plan_forward()


def _demuxed_header(
    file: SparseFile, stream_index: int, limits: ContainerLimits
) -> Generator[None, None, Scanned]:
    """Demux a file whose media reads as zeros; FFmpeg's index spares most of that where it is complete."""
    file.seek(0)
    with open_container(file, limits, options=_WITHOUT_MEDIA) as container:
        stream = select_stream(container, stream_index, file.source_name)
        packets = PacketList()
        for packet in packets_of(container, stream):
            packets.add(packet)
            if len(packets) == _COMPARED_PACKETS:
                listed = scan_index(file, stream, packets.finish())
                if listed is not None:
                    return listed
            if len(packets) > limits.max_table_frames:
                break
            if len(packets) % _PACKETS_A_STEP == 0:
                yield
        file.raise_error()
        return Scanned(packets.finish(), time_base_of(stream), average_rate(stream))


def scan_file(
    file: MediaFile, stream_index: int, on_packet: PacketHook, limits: ContainerLimits
) -> Generator[None, None, Scanned]:
    """List the packets of a stream by reading all of the file once, in steps.

    A container that breaks off ends there, and its packets are in doubt.

    Parameters
    ----------
    on_packet
        Called with each packet.
    limits
        What the container may hold; no more than one packet beyond is listed.
    """
    file.seek(0)
    with open_container(file, limits) as container:
        stream = select_stream(container, stream_index, file.source_name)
        codec = stream.codec_context
        packets = PacketList(packet_syntax(codec.name, codec.extradata))
        try:
            for packet in packets_of(container, stream):
                packets.add(packet)
                if on_packet is not None:
                    on_packet(packet)
                if len(packets) > limits.max_table_frames:
                    break
                if len(packets) % _PACKETS_A_STEP == 0:
                    yield
        except PyAVError:
            packets.is_doubtful = True
        file.raise_error()
        return Scanned(
            packets.finish(),
            time_base_of(stream),
            average_rate(stream),
            packets.is_doubtful,
            is_from_header=False,
        )


def check_length(scanned: Scanned, limits: ContainerLimits, source: str) -> None:
    """Refuse a stream of more frames than a table may list.

    Raises
    ------
    UnsupportedMediaError
        It is one.
    """
    if len(scanned.packets) > limits.max_table_frames:
        most = f"max_table_frames={limits.max_table_frames}"
        message = f"the video has more frames than {most}; raise it to list them"
        raise UnsupportedMediaError(message, source=source)


def scan_index(file: MediaFile, stream: VideoStream, first: Packets) -> Scanned | None:
    """List the packets of a track by what FFmpeg has read of its header; see `packets_by_index`."""
    packets = packets_by_index(file, stream, first)
    return None if packets is None else Scanned(packets, time_base_of(stream), average_rate(stream))


def lies_in_order(stream: VideoStream) -> bool:
    """Whether the packets that a header lists lie one behind the other, as reading without seeking needs."""
    end = 0
    for entry in stream.index_entries:
        if entry.pos < end:
            return False
        end = entry.pos + entry.size
    return True


def _between(media: list[ByteRange], size: int) -> list[ByteRange]:
    starts = [0, *(stop for _, stop in media)]
    stops = [*(start for start, _ in media), size]
    return [(start, stop) for start, stop in zip(starts, stops, strict=True) if start < stop]
