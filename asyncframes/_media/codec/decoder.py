"""One container and one codec, stepped by whoever holds the thread.

Before a packet is decoded its pts is replaced by its number in decode order.
Decoders hand the pts of a packet on to the picture it becomes, so every picture
says which packet it comes from, also where timestamps are missing, repeated or
run backwards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import takewhile
from traceback import clear_frames
from typing import TypeAlias

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from asyncframes._media.bitstream.frame_numbers import frame_numbers
from asyncframes._media.bitstream.nal import unit_format
from asyncframes._media.boundary import PyAVError, packets_of, pyav_calls
from asyncframes._media.codec.alpha import AlphaDecoder, announces_alpha, refuse_alpha_track
from asyncframes._media.codec.held import DoubtError, HeldPictures
from asyncframes._media.codec.pictures import Damage, Picture
from asyncframes._media.codec.teardown import release
from asyncframes._media.codec.threads import is_strict, marks_late, threads_for
from asyncframes._media.container.opening import (
    ContainerOptions,
    cut_short,
    open_container,
    prepare_decoder,
    select_stream,
)
from asyncframes._media.container.seek_targets import INDEXED_AS_READ, seek_targets
from asyncframes._media.files.media_files import MediaFile
from asyncframes._media.image.convert import Converter
from asyncframes._model.table import NO_TIMESTAMP, FrameTable
from asyncframes.errors import CorruptMediaError, SourceError

# A seek may land some packets before the first one that can be told apart.
_LANDING_PACKETS = 32

# So many packets, besides one for each thread, the first picture may need.
_PEEKED_PACKETS = 2

# Where so many packets become no picture, a request finds out why.
_MOST_PEEKED = 1024

_SKIPPING_CODECS = {"h264", "hevc"}

# No codec outputs a picture later than so many packets.
_MOST_REORDERED = 16

# After so many packets in a row without a picture nothing more is expected of a stream.
_MOST_FRUITLESS = 65_536

# How often a codec is asked for what it still holds: errors may stand between pictures.
_MOST_DRAINS = 64

# Numbers of packets that never became a picture are forgotten beyond this many.
_REMEMBERED_PTS = 1024

PacketHook: TypeAlias = "Callable[[Packet[VideoStream]], None] | None"
"""Called in the decode thread with each packet that is read."""


class TableMismatchError(Exception):
    """The packets read are not the ones the frame table lists."""


class Decoder:
    """Reads packets from a file and decodes them, from the start or from a packet of a table.

    Every method runs in a worker thread, one at a time.

    What one codec thread outputs is right by definition, so only one thread yields
    damage. With several, and with a codec that is told to be strict about damage,
    `decode` raises `DoubtError` at the first sign of it, before any picture that may be
    spoilt; `use_one_thread` is the way on.
    """

    def __init__(self, file: MediaFile, options: ContainerOptions) -> None:
        self.file = file
        # Bytes that come once cannot be decoded a second time.
        self._options = options if file.seekable() else replace(options, threads=1, strict=False)
        self.on_packet: PacketHook = None
        self.linear = False
        """Whether to reach packets by reading from the start on, because seeks cannot be trusted."""
        self.was_doubted = False
        """Whether damage was seen that one thread, not strict, may hide."""
        self.converter: Converter | None = None
        """Left by one request for the next: some take seconds to get ready."""
        self._wants_alpha = False
        self._open()

    def _open(self) -> None:
        self.file.seek(0)
        self.container = open_container(self.file, self._options.limits)
        try:
            self.stream: VideoStream = select_stream(
                self.container, self._options.stream_index, self.file.source_name
            )
            prepare_decoder(self.stream, self._options, self.file.source_name)
        except BaseException:
            self.container.close()
            raise
        self._packets = packets_of(self.container, self.stream)
        self._read_back: deque[Packet[VideoStream]] = deque()
        self._pts_of: dict[int, int | None] = {}
        self._ahead: deque[Picture | Damage] = deque()
        # Where damage leaves a part of a picture undecoded, it shows what the memory held before, and that
        # depends on which pictures are alive: as with any plain loop, the newest one is, and no other.
        self._newest: VideoFrame | None = None
        self._fruitless = 0
        self._alpha = self._alpha_decoder()
        self._alpha_damage: dict[int, str] = {}
        self._drained = False
        self._held = self._holding()
        codec = self.stream.codec_context
        self._units = unit_format(codec.name, codec.extradata)
        self._numbers = frame_numbers(self._units, codec.extradata)
        self._broken: str | None = None
        self._skips = False
        self._last_dts: int | None = None
        self.number = 0
        """Number, in decode order, of the packet that is read next."""
        self.at_start = True
        """Whether `decode` would yield what the first packet becomes."""

    def _holding(self) -> HeldPictures | None:
        codec = self.stream.codec_context.name
        threads = threads_for(codec, self._options.threads)
        if threads.count == 1 and not (self._options.strict and is_strict(codec)):
            return None
        return HeldPictures(
            run_ahead=threads.run_ahead, marks_late=marks_late(codec), most=threads.count + _MOST_REORDERED
        )

    def close(self) -> None:
        """Free the container, the codec and its threads; calling it again does nothing."""
        release(self.__dict__, "_read_back", "_newest", "_packets")
        self.container.close()

    def _alpha_decoder(self) -> AlphaDecoder | None:
        wanted = self._wants_alpha and announces_alpha(self.stream)
        return AlphaDecoder(self.stream, self._options.max_pixels) if wanted else None

    def want_alpha(self, wanted: bool) -> None:
        """Say whether `Picture.alpha` is needed; decoding begins again where that is new."""
        if wanted:
            refuse_alpha_track(self.stream, self.file.source_name)
        self._wants_alpha = wanted
        if (wanted and announces_alpha(self.stream)) != (self._alpha is not None):
            self.reopen()

    @contextmanager
    def observed_by(self, hook: Callable[[Packet[VideoStream]], None]) -> Iterator[None]:
        """Show each packet to `hook` too."""
        usual = self.on_packet

        def both(packet: Packet[VideoStream]) -> None:
            hook(packet)
            if usual is not None:
                usual(packet)

        self.on_packet = both
        try:
            yield
        finally:
            self.on_packet = usual

    def _next_packet(self) -> Packet[VideoStream] | None:
        """Return the next packet as the demuxer gives it, ``None`` at the end."""
        if self._read_back:
            return self._read_back.popleft()
        try:
            for packet in self._packets:
                return packet
        except PyAVError as exc:
            self._broken = f"reading the container failed: {exc}"
        self.file.raise_error()
        return None

    def _read(self, table: FrameTable | None) -> Packet[VideoStream] | None:
        """Read a packet and count it; with a table, check that it is the one expected."""
        packet = self._next_packet()
        if packet is None:
            return None
        if table is not None and (
            self.number >= len(table.packets) or int(table.packets.size[self.number]) != packet.size
        ):
            raise TableMismatchError(f"packet {self.number} differs from the frame table")
        self.number += 1
        if self.on_packet is not None:
            self.on_packet(packet)
        return packet

    def decode(
        self,
        *,
        table: FrameTable | None = None,
        last_packet: int | None = None,
        needed: Container[int] | None = None,
    ) -> Iterator[Picture | Damage]:
        """Decode on from the next packet, then drain the codec.

        Parameters
        ----------
        table
            Table to check the packets against.
        last_packet
            Number of the last packet to read; the end of the stream by default.
        needed
            Numbers of the packets whose pictures are wanted: of the others, those
            that no picture refers to are not decoded. All are by default.

        Raises
        ------
        DoubtError
            There is a sign of damage, and several codec threads: one of them has to tell.
        TableMismatchError
            The packets are not those of the table.
        """
        self.at_start = False
        while self._ahead:
            yield self._ahead.popleft()
        while not self._drained and (last_packet is None or self.number <= last_packet):
            if needed is not None:
                self._skip_unreferenced(self.number not in needed)
            yield from self._decode_packet(table)
        self._skip_unreferenced(False)
        if not self._drained:
            yield from self._drain()

    def _skip_unreferenced(self, skip: bool) -> None:
        if skip != self._skips:
            self._skips, self.stream.codec_context.skip_frame = skip, "NONREF" if skip else "DEFAULT"

    @property
    def can_skip_unreferenced(self) -> bool:
        """Whether this codec leaves pictures out that no other refers to, and nothing else."""
        return self.stream.codec_context.name in _SKIPPING_CODECS

    def peek(self) -> Picture | None:
        """Decode up to the first picture without consuming it; ``None`` where there is none for long.

        Nothing beyond what it needs is read ahead, as nobody knows yet where reading goes on.

        Raises
        ------
        DoubtError
            As `decode` does.
        """
        if self.container.format.name not in INDEXED_AS_READ:
            first = self.stream.index_entries[: self._options.threads + _PEEKED_PACKETS]
            if first:
                self.file.plan([(entry.pos, entry.pos + entry.size) for entry in first])
        while not (self._drained or self.number > _MOST_PEEKED) and not any(
            isinstance(output, Picture) for output in self._ahead
        ):
            self._ahead.extend(self._decode_packet(None))
        return next((output for output in self._ahead if isinstance(output, Picture)), None)

    def _decode_packet(self, table: FrameTable | None) -> Iterator[Picture | Damage]:
        number = self.number
        try:
            packet = self._read(table)
        except SourceError:
            yield from self._drain_in_order()
            raise
        if packet is None:
            reason = self._broken or cut_short(self.stream, self.file.size)
            if reason is not None and self._held is not None:
                raise DoubtError(reason)
            yield from self._drain() if reason is None else self._drain_around(Damage(number, None, reason))
            return
        pts = packet.pts
        self._last_dts = packet.dts
        self._remember(number, pts)
        if self._alpha is not None and (reason := self._alpha.feed(packet, number)) is not None:
            self._alpha_damage[number] = reason
        if self._held is not None:
            self._refuse_gaps(packet)
            skipped = self._skips and self._units is not None and not self._units.is_reference(bytes(packet))
            packet = self._held.expect(packet, number, may_be_skipped=skipped)
        packet.pts = number
        yield from self._sure(self._feed(packet, number, pts))

    def _refuse_gaps(self, packet: Packet[VideoStream]) -> None:
        """Raise where a reference is missing: what comes of that depends on the pictures left out."""
        if self._numbers is not None and not self._numbers.follows(bytes(packet)):
            raise DoubtError("a picture that others refer to is missing")

    def _sure(self, outputs: Iterable[Picture | Damage]) -> Iterator[Picture | Damage]:
        return iter(outputs) if self._held is None else self._held.sure(outputs)

    def _drain(self) -> Iterator[Picture | Damage]:
        self._drained = True
        for _ in range(_MOST_DRAINS):
            outputs = list(self._sure(self._feed(None, self.number, None)))
            yield from outputs
            # What is left comes behind an error when the codec is asked once more.
            if all(isinstance(output, Picture) for output in outputs):
                break
        if self._held is not None:
            yield from self._held.finish()

    def _drain_in_order(self) -> Iterator[Picture | Damage]:
        """Drain what comes before everything that was not read."""
        with suppress(DoubtError):
            yield from takewhile(self._is_before_the_rest, self._drain())

    def _drain_around(self, damage: Damage) -> Iterator[Picture | Damage]:
        """Drain, with damage in the place of what was not read."""
        outputs = list(self._drain())
        before = len(list(takewhile(self._is_before_the_rest, outputs)))
        yield from [*outputs[:before], damage, *outputs[before:]]

    def _is_before_the_rest(self, output: Picture | Damage) -> bool:
        """Whether it is shown before what was not read: dts grow, and no pts lies before its dts."""
        pts = output.pts if isinstance(output, Picture) else None
        return pts is not None and self._last_dts is not None and pts <= self._last_dts

    def _remember(self, number: int, pts: int | None) -> None:
        self._pts_of[number] = pts
        if len(self._pts_of) > _REMEMBERED_PTS:
            del self._pts_of[next(iter(self._pts_of))]

    def _feed(
        self, packet: Packet[VideoStream] | None, number: int, pts: int | None
    ) -> Iterator[Picture | Damage]:
        self._fruitless += 1
        if self._fruitless > _MOST_FRUITLESS:
            message = f"{_MOST_FRUITLESS:,} packets in a row became no picture"
            raise CorruptMediaError(message, source=self.file.source_name)
        try:
            with pyav_calls():
                frames = self.stream.codec_context.decode(packet)
        except PyAVError as exc:
            if isinstance(exc.__cause__, av.EOFError):
                return
            self.file.raise_error()
            yield Damage(number, pts, str(exc))
            return
        if frames:
            self._newest, self._fruitless = frames[-1], 0
        for frame in frames:
            origin = number if frame.pts is None else frame.pts
            yield self._picture(origin, frame)

    def _picture(self, number: int, frame: VideoFrame) -> Picture:
        pts = self._pts_of.pop(number, None)
        if self._alpha is None:
            return Picture(number, pts, frame)
        return Picture(number, pts, frame, self._alpha.take(number), self._alpha_damage.pop(number, None))

    def reopen(self) -> None:
        """Begin again at the first packet, with nothing left of what was decoded."""
        self.close()
        self._open()

    def restart(self) -> None:
        """Begin again at the first packet, unless nothing was read yet."""
        if self.number or not self.at_start:
            self.reopen()

    @property
    def may_doubt(self) -> bool:
        """Whether pictures come out otherwise than from one thread that is not strict."""
        return self._held is not None

    def use_one_thread(self, doubt: DoubtError) -> None:
        """Decode by one thread, and as FFmpeg does by default, from now on, beginning again."""
        self.was_doubted |= doubt.is_damage
        clear_frames(doubt.__traceback__)  # packets in there keep the codec
        self._options = replace(self._options, threads=1, strict=False)
        self.reopen()

    def seek(self, packet: int, table: FrameTable) -> None:
        """Make `packet` the next one to be decoded, with nothing left of what was decoded before.

        Where the container's own seek ends up is checked against the table;
        if it cannot be made to land at or before the packet, the packets from
        the start on are skipped.
        """
        if packet == 0:
            if not self.at_start:
                self.reopen()
            return
        landed = not self.linear and any(
            self._seek_once(target, packet, table)
            for target in seek_targets(self.container, self.stream, packet, table)
        )
        if not landed:
            self.reopen()
        self.at_start = False
        while self.number < packet:
            if self._read(table) is None:
                raise TableMismatchError(f"packet {packet} of {len(table.packets)} is not there")

    def seek_near(self, ticks: int) -> bool:
        """Go where the demuxer takes a time to be; whether it could. Packets are numbered anew from there."""
        self.at_start = False
        self.number = 0
        return self._seek_container({"offset": ticks})

    def _seek_once(self, target: dict[str, int | bool], packet: int, table: FrameTable) -> bool:
        return self._seek_container(target) and self._landed_before(packet, table)

    def _seek_container(self, target: dict[str, int | bool]) -> bool:
        try:
            with pyav_calls():
                self.container.seek(stream=self.stream, **target)  # type: ignore[arg-type]  # offset is an int
        except PyAVError:
            self.file.raise_error()
            return False
        self.file.raise_error()
        self._packets = packets_of(self.container, self.stream)
        self._read_back.clear()
        self._ahead.clear()
        self._pts_of.clear()
        if self._alpha is not None:
            self._alpha.reset()
            self._alpha_damage.clear()
        self._drained = False
        if self._held is not None:
            self._held.reset()
        if self._numbers is not None:
            self._numbers.reset()
        return True

    def _landed_before(self, packet: int, table: FrameTable) -> bool:
        """Find out which packet comes next; whether it is `packet` or an earlier one."""
        for _ in range(_LANDING_PACKETS):
            candidate = self._next_packet()
            if candidate is None:
                return False
            number = table.packets.find(
                position=-1 if candidate.pos is None else candidate.pos,
                size=candidate.size,
                dts=NO_TIMESTAMP if candidate.dts is None else candidate.dts,
            )
            if number is not None:
                self._read_back.appendleft(candidate)
                self.number = number
                return number <= packet
        return False
