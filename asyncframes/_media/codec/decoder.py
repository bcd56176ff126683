"""Decodes one stream in the thread that calls it.

Before a packet is decoded, its pts is replaced by its number in decode order.
Decoders copy the pts of a packet to its picture, so every picture names the packet
it comes from, even where timestamps are missing, repeated or run backwards.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from traceback import clear_frames

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from asyncframes._media.bitstream.frame_numbers import frame_numbers
from asyncframes._media.boundary import PyAVCalls, PyAVError
from asyncframes._media.codec.alpha import AlphaDecoder, announces_alpha, refuse_alpha_track
from asyncframes._media.codec.cut_packets import doubt_if_cut
from asyncframes._media.codec.draining import await_marks, shown_before, with_damage_at
from asyncframes._media.codec.held import DoubtError, HeldPictures
from asyncframes._media.codec.pictures import Damage, Picture
from asyncframes._media.codec.threads import is_strict, marks_late
from asyncframes._media.container.limits import refuse_growth
from asyncframes._media.container.opening import ContainerOptions, prepare_decoder
from asyncframes._media.container.packet_reader import PacketReader, are_checked
from asyncframes._media.files.media_files import MediaFile
from asyncframes._model.table import FrameTable
from asyncframes.errors import CorruptMediaError, SourceError

# The first picture may need this many packets, and one more for each thread.
_PEEKED_PACKETS = 2

# The first look gives up after this many packets without a picture. A request then reports the reason.
_MOST_PEEKED = 1024

# With skip_frame=NONREF these codecs skip exactly the pictures that no other refers to. Other codecs ignore
# the setting or drop more.
_SKIPPING_CODECS = {"h264", "hevc"}

# H.264 and HEVC reorder by at most 16 pictures, and no other codec by more.
_MOST_REORDERED = 16

# A request fails after this many packets in a row without a picture, so that it ends.
_MOST_FRUITLESS = 65_536

# One call drains pictures up to the next error, so draining may take several calls. This bounds their number.
_MOST_DRAINS = 64

# Packets that become no picture leave their pts behind. Memory is bounded by keeping only the newest.
_REMEMBERED_PTS = 1024


class Decoder:
    """Decodes the packets of a reader, from the start or from a packet of a table.

    Every method runs in a worker thread, one at a time. The output of one codec thread is correct by
    definition, so only a single thread reports damage. With several threads, or with strict error
    detection, `decode` raises `DoubtError` at the first sign of damage, before any picture that may be
    spoilt. The caller then calls `fall_back_to_one_thread` and decodes again.

    Attributes
    ----------
    reader
        Where the packets come from.
    was_doubted
        Whether there was damage that a single non-strict thread may hide.
    at_start
        Whether `decode` would begin with the picture of the first packet.
    """

    def __init__(self, file: MediaFile, options: ContainerOptions) -> None:
        # A doubt requires a second decode. A sequential source cannot be read twice, so it gets one thread.
        self._options = replace(options, threads=1, strict=False) if file.is_sequential else options
        self.was_doubted = False
        self._wants_alpha = False
        self.reader = PacketReader(file, options)
        self._set_up()

    @property
    def file(self) -> MediaFile:
        """The file that the container is read from."""
        return self.reader.file

    @property
    def stream(self) -> VideoStream:
        """The stream that is decoded."""
        return self.reader.stream

    def _set_up(self) -> None:
        """Prepare the codec of a container that was just opened."""
        try:
            self._threads = prepare_decoder(self.stream, self._options, self.file.source_name, self.file.size)
        except BaseException:
            self.reader.close()
            raise
        self._held = self._holding()
        self._alpha = self._alpha_decoder()
        self._ahead: deque[Picture | Damage] = deque()
        self._pts_of: dict[int, int | None] = {}
        # The undecoded part of a damaged picture shows what its memory held before, and FFmpeg reuses the
        # memory of freed pictures. Keeping only the newest alive gives the pixels of a plain decode loop.
        self._newest: VideoFrame | None = None
        self._last_dts: int | None = None
        self._fruitless = 0
        self._skips = False
        self._drained = False
        self.at_start = True

    def _holding(self) -> HeldPictures | None:
        codec, threads = self.stream.codec_context, self._threads
        # One thread without strict error detection defines the right output, so there is nothing to doubt.
        if threads.count == 1 and not (self._options.strict and is_strict(self.reader.codec_name)):
            return None
        units = self.reader.syntax.units
        return HeldPictures(
            run_ahead=threads.run_ahead,
            marks_late=marks_late(self.reader.codec_name),
            most=threads.count + _MOST_REORDERED,
            units=units,
            numbers=frame_numbers(units, codec.extradata),
        )

    def _alpha_decoder(self) -> AlphaDecoder | None:
        wanted = self._wants_alpha and announces_alpha(self.stream)
        return AlphaDecoder(self.stream, self._options.max_pixels) if wanted else None

    def close(self) -> None:
        """Free the container, the codec and its threads; calling it again does nothing."""
        self._newest = None
        self.reader.close()

    def reopen(self) -> None:
        """Begin again at the first packet, and drop everything decoded so far."""
        self.close()
        self.reader.open()
        self._set_up()

    def restart(self) -> None:
        """Begin again at the first packet, unless nothing has been read yet."""
        if self.reader.number or not self.at_start:
            self.reopen()

    def want_alpha(self, wanted: bool) -> None:
        """Turn the decoding of `Picture.alpha` on or off; a change reopens the container."""
        if wanted:
            refuse_alpha_track(self.stream, self.file.source_name)
        self._wants_alpha = wanted
        if (wanted and announces_alpha(self.stream)) != (self._alpha is not None):
            self.reopen()

    @property
    def may_doubt(self) -> bool:
        """Whether decoding uses several threads or strict error detection."""
        return self._held is not None

    def fall_back_to_one_thread(self, doubt: DoubtError) -> None:
        """Begin again with one non-strict codec thread, and keep it after every reopening."""
        self.was_doubted |= doubt.is_damage
        # The traceback's frames hold packets, and packets keep the codec and its threads alive.
        clear_frames(doubt.__traceback__)
        self._options = replace(self._options, threads=1, strict=False)
        self.reopen()

    @property
    def can_skip_unreferenced(self) -> bool:
        """Whether this codec can skip exactly the pictures that no other refers to."""
        return self.reader.codec_name in _SKIPPING_CODECS

    def _skip_unreferenced(self, skip: bool) -> None:
        if skip != self._skips:
            self._skips, self.stream.codec_context.skip_frame = skip, "NONREF" if skip else "DEFAULT"

    def seek(self, packet: int, table: FrameTable, *, by_reading: bool = False) -> None:
        """Make `packet` the next one to be decoded, and drop everything decoded before.

        Parameters
        ----------
        packet
            Number of the packet.
        table
            Shows where the container's own seek landed. If no seek lands at or before
            the packet, packets are read from the start without decoding them.
        by_reading
            Whether to read from the start without trying a seek, because seeks proved wrong.

        Raises
        ------
        TableMismatchError
            The packets are not those of the table.
        """
        # A container that was just opened begins with its first packet. A seek to it may land elsewhere.
        if packet == 0:
            if not self.at_start:
                self.reopen()
            return
        if not by_reading and self.reader.seek(packet, table):
            self._reset()
        else:
            self.reopen()
        # Even after a reopening: the packets before the wanted one are read without being decoded.
        self.at_start = False
        self.reader.skip_to(packet, table)

    def seek_near(self, ticks: int) -> bool:
        """Seek to a time, and return whether the demuxer could. Packets are numbered from 0 there."""
        self.at_start = False
        if landed := self.reader.seek_near(ticks):
            self._reset()
        return landed

    def _reset(self) -> None:
        """Drop what was decoded before a seek, as PyAV does in the codec itself."""
        self._ahead.clear()
        self._pts_of.clear()
        self._drained = False
        for part in (self._held, self._alpha):
            if part is not None:
                part.reset()

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
            Numbers of the packets whose pictures are wanted. Other pictures are skipped
            if no picture refers to them. By default all are decoded.

        Raises
        ------
        DoubtError
            There is a sign of damage, and only a decode with one thread can confirm it.
        TableMismatchError
            The packets are not those of the table.
        """
        self.at_start = False
        # `peek` has decoded these already.
        while self._ahead:
            yield self._ahead.popleft()
        while not self._drained and (last_packet is None or self.reader.number <= last_packet):
            skip = needed is not None and self.reader.number not in needed
            yield from self._decode_packet(table, skip=skip)
        self._skip_unreferenced(False)
        if not self._drained:
            yield from self._drain()

    def peek(self) -> Picture | None:
        """Decode up to the first picture without consuming it; ``None`` if many packets yield none.

        It does not read ahead, because it is not known yet where reading will continue.

        Raises
        ------
        DoubtError
            As `decode` does.
        """
        self.reader.plan_first(self._options.threads + _PEEKED_PACKETS)
        while not (self._drained or self.reader.number > _MOST_PEEKED or self._first_ahead()):
            self._ahead.extend(self._decode_packet(None, skip=False))
        return self._first_ahead()

    def _first_ahead(self) -> Picture | None:
        return next((output for output in self._ahead if isinstance(output, Picture)), None)

    def _decode_packet(self, table: FrameTable | None, *, skip: bool) -> Iterable[Picture | Damage]:
        number = self.reader.number
        try:
            packet = self.reader.read(table)
        except (SourceError, CorruptMediaError) as exc:
            return self._drained_before(exc)
        if packet is None:
            return self._end(number)
        # The setting applies to this packet alone: frame threads copy it together with the packet.
        self._skip_unreferenced(skip and self.reader.is_sound(packet, table))
        # The pts is overwritten below, so `_remember` keeps the original for the picture.
        pts, self._last_dts = packet.pts, packet.dts
        doubt_if_cut(packet, self.reader)
        self._remember(number, pts)
        if self._alpha is not None:
            self._alpha.feed(packet, number)
        if self._held is not None:
            packet = self._held.expect(packet, number, skips=self._skips, is_known=are_checked(table))
        packet.pts = number
        return self._sure(self._feed(packet, number, pts))

    def _drained_before(self, error: SourceError | CorruptMediaError) -> Iterator[Picture | Damage]:
        """Drain the pictures of the packets that were read before an error, and raise it last."""
        yield from self._drain_in_order()
        try:
            raise error
        finally:
            del error  # its traceback refers to this frame: together they would keep the codec alive

    def _end(self, number: int) -> Iterator[Picture | Damage]:
        """Drain after the last packet; if packets are missing, report that in display order."""
        reason = self.reader.why_incomplete()
        if reason is None:
            yield from self._drain()
        elif self._held is None:
            yield from self._drain_around(Damage(number, None, reason))
        else:
            raise DoubtError(reason)

    def _sure(self, outputs: list[Picture | Damage]) -> Sequence[Picture | Damage]:
        return outputs if self._held is None else self._held.sure(outputs)

    def _drain(self) -> Iterator[Picture | Damage]:
        # Set first, because the caller may abandon this generator, and a codec takes no packet after its end.
        self._drained = True
        yield from self._late_marks()
        for _ in range(_MOST_DRAINS):
            outputs = self._sure(self._feed(None, self.reader.number, None))
            yield from outputs
            # Pictures behind an error come out only when the codec is drained again.
            if all(isinstance(output, Picture) for output in outputs):
                break
        if self._held is not None:
            yield from self._held.finish()

    def _late_marks(self) -> list[Picture | Damage]:
        codec, units = self.stream.codec_context, self.reader.syntax.units
        are_late = codec.thread_count > 1 and marks_late(self.reader.codec_name)
        if self._held is None or units is None or not are_late:
            return []
        return await_marks(
            codec, units, lambda packet: self._sure(self._feed(packet, self.reader.number, None))
        )

    def _drain_in_order(self) -> Iterator[Picture | Damage]:
        """Drain the pictures that are shown before any packet that was not read."""
        # A doubt would restart the decode, and that would fail at the same read: the caller raises its error.
        with suppress(DoubtError):
            yield from shown_before(self._drain(), self._end_of_read())

    def _drain_around(self, damage: Damage) -> Iterator[Picture | Damage]:
        """Drain, with the damage placed where the missing packets would be shown."""
        missing = self.reader.first_missing_dts()
        dts = self._end_of_read() if missing is None else missing
        yield from with_damage_at(dts, damage, list(self._drain()))

    def _end_of_read(self) -> float:
        """Return the dts after the last packet that was read."""
        return -math.inf if self._last_dts is None else self._last_dts + 1

    def _remember(self, number: int, pts: int | None) -> None:
        self._pts_of[number] = pts
        if len(self._pts_of) > _REMEMBERED_PTS:
            del self._pts_of[next(iter(self._pts_of))]

    def _feed(
        self, packet: Packet[VideoStream] | None, number: int, pts: int | None
    ) -> list[Picture | Damage]:
        self._fruitless += 1
        if self._fruitless > _MOST_FRUITLESS:
            message = f"{_MOST_FRUITLESS:,} packets in a row became no picture"
            raise CorruptMediaError(message, source=self.file.source_name)
        frames, refusal = self._call(packet)
        if refusal is not None:
            # A failed read may have cut this packet short. Its error then names the cause.
            self.file.raise_error()
            refuse_growth(self.stream, self._options.limits, self._options.max_pixels, self.file.source_name)
            return [Damage(number, pts, refusal)]
        if frames:
            self._newest, self._fruitless = frames[-1], 0
        # The pts is the packet number; a codec that drops it gets the number of the packet just fed.
        return [self._picture(number if frame.pts is None else frame.pts, frame) for frame in frames]

    def _call(self, packet: Packet[VideoStream] | None) -> tuple[list[VideoFrame], str | None]:
        """Return the codec's pictures, or why it refuses the packet.

        The error is not kept: its traceback would keep the packet, and with it the codec and its threads.
        """
        try:
            with PyAVCalls():
                return self.stream.codec_context.decode(packet), None
        except PyAVError as exc:
            # A drained codec answers every further call with EOFError.
            return [], None if isinstance(exc.__cause__, av.EOFError) else str(exc)

    def _picture(self, number: int, frame: VideoFrame) -> Picture:
        pts = self._pts_of.pop(number, None)
        opacity = () if self._alpha is None else self._alpha.take(number)
        return Picture(number, pts, frame, frame.duration, *opacity)
