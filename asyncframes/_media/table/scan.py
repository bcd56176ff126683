"""Lists the packets of a stream without decoding: from the header alone, or by demuxing."""

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
from asyncframes._media.bitstream.packet_checks import PacketChecks
from asyncframes._media.bitstream.packet_syntax import PacketSyntax, packet_syntax
from asyncframes._media.boundary import PyAVError, packets_of
from asyncframes._media.container.opening import (
    average_rate,
    ignore_others,
    open_container,
    select_stream,
    time_base_of,
)
from asyncframes._media.container.packet_reader import PacketHook
from asyncframes._media.files.media_files import MediaFile
from asyncframes._media.mp4.boxes import SparseFile
from asyncframes._media.mp4.claims import ContainerLimits, too_many_frames
from asyncframes._media.mp4.fragments import media_ranges
from asyncframes._media.mp4.samples import packets_by_index
from asyncframes._media.pyav import codec_name
from asyncframes._model.packets import SoundPackets
from asyncframes._model.ranges import ByteRange
from asyncframes._model.table import NO_TIMESTAMP, Packets
from asyncframes._version import __version__
from asyncframes.errors import MediaError

MADE_BY = f"asyncframes {__version__}, libavformat {av.library_versions['libavformat']}"
"""The programs that list packets. Another version of either may list them differently."""

SMALL_FILE = 16 * 1024 * 1024
"""Bytes up to which the headers of all packets are read."""

HEAD_BYTES = 64 * 1024

_FIELDS = 7

# This many packets are demuxed and compared with FFmpeg's index before the rest is taken from the index.
_COMPARED_PACKETS = 16

# Demuxing a packet may take a microsecond, and the caller's look at the clock half of that.
_PACKETS_A_STEP = 8

# FFmpeg's parser would look into packets that read as zeros here. The container's own flags and times are
# used instead.
_WITHOUT_MEDIA = {"fflags": "noparse+nofillin"}


@dataclass(frozen=True, slots=True, eq=False)
class Scanned:
    """The result of scanning a stream.

    Attributes
    ----------
    packets, time_base, average_rate
        The stream's packets, time base and average rate.
    is_doubtful
        Whether some packets are damaged, so that only decoding shows which become frames.
    is_from_header
        Whether a header lists the packets. If not, they were read one by one.
    checks
        Checks the headers of the packets; ``None`` if that is done.
    """

    packets: Packets
    time_base: Fraction
    average_rate: Fraction | None
    is_doubtful: bool = False
    is_from_header: bool = True
    checks: PacketChecks | None = None


class PacketList:
    """Collects packets one by one.

    Parameters
    ----------
    syntax
        Tells which packets are decoded but not shown, which some codecs have. ``None`` if
        the packets' bytes are not available.

    Attributes
    ----------
    is_doubtful
        Whether some packets are damaged.
    """

    def __init__(self, syntax: PacketSyntax | None = None) -> None:
        self._is_hidden = None if syntax is None else syntax.is_hidden
        self.is_doubtful = False
        # One flat array: a tuple per packet would make the garbage collector scan all objects of the process.
        self._fields = array("q")

    def add(self, packet: Packet[VideoStream]) -> None:
        """Append a packet's fields."""
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
    return file.read_at(0, HEAD_BYTES)


def scan_header(
    file: MediaFile, stream_index: int, limits: ContainerLimits
) -> Generator[None, None, Scanned | None]:
    """List the packets of an MP4/MOV stream from the headers alone, in steps.

    Parameters
    ----------
    limits
        What the container may hold. Listing stops one packet beyond it.

    Returns
    -------
    Scanned or None
        ``None`` for any other container, and if FFmpeg needs the media too.
    """
    media = yield from media_ranges(file)
    if media is None:
        return None
    if file.lacks_headers:
        file.plan(_between(media, file.size or 0))
    try:
        return (yield from _demuxed_header(SparseFile(file, media), stream_index, limits))
    except (MediaError, PyAVError):
        # FFmpeg reads some media while it opens a file, such as captions in fragments, and finds zeros there.
        file.raise_error()
        return None
    finally:
        file.plan_forward()


def _demuxed_header(
    file: SparseFile, stream_index: int, limits: ContainerLimits
) -> Generator[None, None, Scanned]:
    """Demux a file whose media reads as zeros. If FFmpeg's index is complete, it replaces most of this."""
    file.seek(0)
    with open_container(file, limits, options=_WITHOUT_MEDIA) as container:
        stream = select_stream(container, stream_index, file.source_name)
        ignore_others(stream)
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
        return _listed(packets.finish(), stream)


def scan_file(
    file: MediaFile, stream_index: int, on_packet: PacketHook, limits: ContainerLimits
) -> Generator[None, None, Scanned]:
    """List the packets of a stream by reading the whole file once, in steps.

    If the container breaks off, the list ends there and is marked as doubtful.

    Parameters
    ----------
    on_packet
        Called with each packet.
    limits
        What the container may hold. Listing stops one packet beyond it.
    """
    file.seek(0)
    with open_container(file, limits) as container:
        stream = select_stream(container, stream_index, file.source_name)
        ignore_others(stream)
        codec = stream.codec_context
        packets = PacketList(packet_syntax(codec_name(codec), codec.extradata))
        checks = PacketChecks(stream) if 0 < (file.size or 0) <= SMALL_FILE else None
        read: list[bytes] = []
        try:
            for packet in packets_of(container, stream):
                packets.add(packet)
                if checks is not None:
                    read.append(bytes(packet))
                if on_packet is not None:
                    on_packet(packet)
                if len(packets) > limits.max_table_frames:
                    break
                if len(packets) % _PACKETS_A_STEP == 0:
                    yield
        except PyAVError:
            packets.is_doubtful = True
        file.raise_error()
        found = packets.finish()
        is_doubtful = packets.is_doubtful
        if checks is not None and not is_doubtful:
            is_doubtful = yield from checks.find_damage(read, found.pts.tolist())
            found = SoundPackets.of(found) if checks.are_accepted else found
        return Scanned(found, time_base_of(stream), average_rate(stream), is_doubtful, is_from_header=False)


def check_length(scanned: Scanned, limits: ContainerLimits, source: str) -> None:
    """Refuse a stream with more frames than a table may list.

    Raises
    ------
    MediaLimitError
        The stream has more than `ContainerLimits.max_table_frames` frames.
    """
    if len(scanned.packets) > limits.max_table_frames:
        most = f"max_table_frames={limits.max_table_frames}"
        message = f"the video has more than {most} frames: pass a larger max_table_frames"
        raise too_many_frames(message, limits, len(scanned.packets), source)


def scan_index(file: MediaFile, stream: VideoStream, first: Packets) -> Scanned | None:
    """List the packets of a track from FFmpeg's index of its header; see `packets_by_index`."""
    packets = packets_by_index(file, stream, first)
    return None if packets is None else _listed(packets, stream)


def _listed(packets: Packets, stream: VideoStream) -> Scanned:
    return Scanned(packets, time_base_of(stream), average_rate(stream), checks=PacketChecks(stream))


def _between(media: list[ByteRange], size: int) -> list[ByteRange]:
    starts = [0, *(stop for _, stop in media)]
    stops = [*(start for start, _ in media), size]
    return [(start, stop) for start, stop in zip(starts, stops, strict=True) if start < stop]
