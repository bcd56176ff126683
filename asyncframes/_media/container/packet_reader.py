"""The packets of one stream in decode order: read, numbered, checked against a frame table, and sought."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TypeAlias

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from asyncframes._media.bitstream.header_reader import HeaderReader, header_reader
from asyncframes._media.bitstream.packet_syntax import packet_syntax
from asyncframes._media.boundary import PyAVCalls, PyAVError, packets_of
from asyncframes._media.codec.teardown import release
from asyncframes._media.container.opening import (
    ContainerOptions,
    cut_short,
    first_missing_dts,
    open_container,
    select_stream,
)
from asyncframes._media.container.seek_targets import INDEXED_AS_READ, seek_targets
from asyncframes._media.container.whole_packets import WholePackets
from asyncframes._media.files.forward_file import ForwardFile
from asyncframes._media.files.media_files import MediaFile
from asyncframes._media.pyav import codec_name
from asyncframes._model.packets import UNKNOWN_SIZE, SoundPackets
from asyncframes._model.table import NO_TIMESTAMP, FrameTable

# A seek may land on packets without a position or dts. This many are read to find one that has them.
_LANDING_PACKETS = 32

PacketHook: TypeAlias = "Callable[[Packet[VideoStream]], None] | None"
"""Called in the decode thread for each packet that is read."""


class TableMismatchError(Exception):
    """The packets or pictures of a stream differ from its frame table."""


def are_checked(table: FrameTable | None) -> bool:
    """Whether the headers of all packets were read for a table, and none was damaged or missing."""
    return table is not None and isinstance(table.packets, SoundPackets)


class PacketReader:
    """Reads the packets of one stream and numbers them in decode order.

    Every method runs in a worker thread, one at a time.

    Attributes
    ----------
    file
        The file that the container is read from.
    container, stream
        The open container and the chosen stream. After `close` there is no `stream`.
    syntax
        What the bytes of a packet tell without decoding.
    number
        Number, in decode order, of the next packet.
    on_packet
        Called for each packet that is counted.
    """

    container: InputContainer
    stream: VideoStream

    def __init__(self, file: MediaFile, options: ContainerOptions) -> None:
        self.file = file
        self.on_packet: PacketHook = None
        self._options = options
        self.open()

    def open(self) -> None:
        """Open the container, or reopen it, at its first packet."""
        self.file.seek(0)
        self.container = open_container(self.file, self._options.limits)
        try:
            self.stream = select_stream(self.container, self._options.stream_index, self.file.source_name)
        except BaseException:
            self.container.close()
            raise
        # Asked now, because PyAV forgets it if the codec cannot be opened.
        self.codec_name = codec_name(self.stream.codec_context)
        self.syntax = packet_syntax(self.codec_name, self.stream.codec_context.extradata)
        self._headers: HeaderReader | None = None
        self._has_headers = False
        self.number = 0
        self._failure: str | None = None
        self._whole = WholePackets(self.file, self.stream) if isinstance(self.file, ForwardFile) else None
        self._demux()

    def _demux(self) -> None:
        """Read packets from the current position of the container."""
        self._packets = packets_of(self.container, self.stream)
        self._read_back: deque[Packet[VideoStream]] = deque()

    def close(self) -> None:
        """Free the container, the codec and its threads; calling it again does nothing."""
        release(self.__dict__, "_read_back", "_packets")
        self.container.close()

    @contextmanager
    def observed_by(self, hook: PacketHook) -> Iterator[None]:
        """Call `hook` for each packet too while the context is open, also after the container is reopened."""
        usual = self.on_packet

        def both(packet: Packet[VideoStream]) -> None:
            for observer in (hook, usual):
                if observer is not None:
                    observer(packet)

        self.on_packet = both
        try:
            yield
        finally:
            self.on_packet = usual

    def read(self, table: FrameTable | None = None) -> Packet[VideoStream] | None:
        """Read the next packet and count it; ``None`` at the end.

        Parameters
        ----------
        table
            If given, the packet must be the one that it lists.

        Raises
        ------
        TableMismatchError
            The packet differs from the table.
        SourceError
            Its bytes cannot be read.
        """
        packet = self._next()
        if packet is None:
            return None
        if table is not None:
            self._check(packet, table)
        self.number += 1
        if self.on_packet is not None:
            self.on_packet(packet)
        return packet

    def is_sound(self, packet: Packet[VideoStream], table: FrameTable | None) -> bool:
        """Whether a packet may be skipped: damage that costs its picture would shift the indices after it."""
        # A verified table lists only packets that became pictures.
        if table is None or table.is_verified or are_checked(table):
            return True
        if not self._has_headers:
            self._headers, self._has_headers = header_reader(self.stream), True
        return self._headers is None or self._headers.accepts(bytes(packet))

    def _next(self) -> Packet[VideoStream] | None:
        if self._read_back:
            return self._read_back.popleft()
        try:
            for packet in self._packets:
                return packet if self._whole is None else self._whole.whole(packet)
        except PyAVError as exc:
            self._failure = f"reading the container failed: {exc}"
        # FFmpeg treats a failed read as the end of the file.
        self.file.raise_error()
        if self._whole is not None:
            self._whole.check_end(has_failed=self._failure is not None)
        return None

    def look_ahead(self, count: int) -> list[Packet[VideoStream]]:
        """Read the next packets without counting them, and read on from the first of them."""
        packets = [*islice(iter(self._next, None), count)]
        self._read_back.extendleft(reversed(packets))
        return packets

    def _check(self, packet: Packet[VideoStream], table: FrameTable) -> None:
        # Sizes identify packets well enough. Times would not do: some demuxers change them after a seek.
        known = self.number < len(table.packets)
        if not known or int(table.packets.size[self.number]) not in {packet.size, UNKNOWN_SIZE}:
            raise TableMismatchError(f"packet {self.number} differs from the frame table")

    def is_cut(self, packet: Packet[VideoStream]) -> bool:
        """Whether FFmpeg cut a packet short that would be longer if it had read the whole file."""
        watch = self.file.fragments
        if self._whole is not None or watch is None or packet.pos is None:
            return False
        return watch.stop_of_cut(packet.pos) is not None

    def plan_first(self, count: int) -> None:
        """Announce that only this many packets are read next, if the container has an index."""
        if self.container.format.name in INDEXED_AS_READ:
            return
        first = self.stream.index_entries[:count]
        if first:
            self.file.plan([(entry.pos, entry.pos + entry.size) for entry in first])

    @property
    def lists_in_file_order(self) -> bool:
        """Whether packets can be read without seeking: their index has them in file order, in the media."""
        end, watch = 0, self.file.fragments
        media_end = None if watch is None else watch.media_end
        for entry in self.stream.index_entries:
            if entry.pos < end or (media_end is not None and entry.pos < media_end < entry.pos + entry.size):
                return False
            end = entry.pos + entry.size
        # FFmpeg, if it cannot seek, ends packets with the media, and looks for other boxes there.
        return media_end is None or end <= media_end or (watch is not None and watch.has_fragments)

    def why_incomplete(self) -> str | None:
        """Return why the packets ended early, or ``None`` if there is no sign that they did."""
        stop = 0 if self._whole is None else self._whole.stop
        missing = cut_short(self.stream, self.file.size, stop=stop)
        if missing is None and self._looked_beyond_end():
            return None
        return self._failure or missing

    def _looked_beyond_end(self) -> bool:
        """Whether only the search for a box beyond the end of an MP4 failed, which is no error in a file."""
        # The size of a sequential source is known once it has ended.
        ended = (self.file.is_sequential or self.file.opened_blind) and self.file.size is not None
        listed = len(self.stream.index_entries)
        return ended and self.container.format.name.startswith("mov") and 0 < listed <= self.number

    def first_missing_dts(self) -> int | None:
        """Return the dts of the first missing packet that the header lists, ``None`` if there is none."""
        listed = first_missing_dts(self.stream, self.file.size)
        completed = None if self._whole is None else self._whole.first_missing_dts
        return min((dts for dts in (listed, completed) if dts is not None), default=None)

    def seek(self, packet: int, table: FrameTable) -> bool:
        """Seek to a packet, or to one before it. `skip_to` continues from there.

        Demuxers interpret a time as pts or dts, and may land after the requested packet or inside a GOP. So
        the packet that is read there is looked up in the table.

        Returns
        -------
        bool
            Whether a seek succeeded. If not, the position is undefined, and the caller calls `open`.
        """
        for target in seek_targets(self.container, self.stream, packet, table):
            if not self._seek_container(target):
                continue
            landed = self._identify_next(table)
            if landed is not None and landed <= packet:
                self.number = landed
                return True
        return False

    def seek_near(self, ticks: int) -> bool:
        """Seek to a time as the demuxer interprets it, and number packets from 0; whether that worked."""
        self.number = 0
        return self._seek_container({"offset": ticks})

    def _seek_container(self, target: dict[str, int | bool]) -> bool:
        try:
            with PyAVCalls():
                self.container.seek(stream=self.stream, **target)  # type: ignore[arg-type]  # offset is an int
        except PyAVError:
            self.file.raise_error()
            return False
        self.file.raise_error()
        self._demux()
        return True

    def _identify_next(self, table: FrameTable) -> int | None:
        """Return the number of the next packet that the table can identify, and read from that packet on."""
        for _ in range(_LANDING_PACKETS):
            candidate = self._next()
            if candidate is None:
                return None
            number = table.packets.find(
                position=-1 if candidate.pos is None else candidate.pos,
                size=candidate.size,
                dts=NO_TIMESTAMP if candidate.dts is None else candidate.dts,
            )
            if number is not None:
                self._read_back.appendleft(candidate)
                return number
        return None

    def skip_to(self, packet: int, table: FrameTable) -> None:
        """Read packets until `packet` is the next.

        Raises
        ------
        TableMismatchError
            A packet differs from the table, or is missing.
        """
        while self.number < packet:
            if self.read(table) is None:
                raise TableMismatchError(f"packet {packet} of {len(table.packets)} is not there")
