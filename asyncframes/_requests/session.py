"""One decoder with the file it reads and the worker that steps it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, TypeVar, cast

import numpy as np

from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.codec.held import DoubtError
from asyncframes._media.codec.pictures import Picture, refuse_without_pictures
from asyncframes._media.container.opening import ContainerOptions
from asyncframes._media.describe import CodingHints, coding_hints, describe, pixel_shape_of
from asyncframes._media.files.media_files import BridgeFile, CachedFile, DirectFile, ForwardFile, MediaFile
from asyncframes._media.files.url_file import UrlFile
from asyncframes._media.image.convert import Converter
from asyncframes._media.mp4.fragments import media_ranges
from asyncframes._media.mp4.segments import claimed_seconds
from asyncframes._media.table.look import looked_at
from asyncframes._media.table.rebuild import (
    build_table,
    confirm_head,
    scan_by_decoding,
    table_without_decoding,
)
from asyncframes._media.table.scan import PacketList, Scanned, check_length, lies_in_order, scan, scan_index
from asyncframes._model.rendering import Rendering
from asyncframes._model.table import FrameTable, Packets
from asyncframes._requests.pump import Worker
from asyncframes._requests.turns import Turn
from asyncframes._runtime.life import ForkGuard, watch
from asyncframes._types import VideoInfo
from asyncframes.abc import StreamSource
from asyncframes.errors import CorruptMediaError
from asyncframes.sources import CachedSource, FFmpegUrlSource, ForwardSource
from asyncframes.sources._forward.sequential import passing
from asyncframes.sources._forward.source import ForwardReader

T = TypeVar("T")

# A stream of so many pixels decodes in some tens of milliseconds, and damage in it is found by that alone.
_SHORT_PIXELS = 8 * 1024 * 1024
_SHORT_REMOTE_BYTES = 512 * 1024

PacketProgress: TypeAlias = Callable[[Literal["index", "decode"], int | None], None]
"""Called in a worker thread for each packet read, with what for and how many there may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How a source is read and opened.

    Attributes
    ----------
    executor
        Where blocking work runs.
    read_timeout_seconds
        How long a decoder waits for bytes, retries of the source included.
    container
        How FFmpeg opens the bytes.
    packet_progress
        Told of each packet.
    """

    executor: Executor
    read_timeout_seconds: float
    container: ContainerOptions
    packet_progress: PacketProgress | None


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What the header and the first picture of a video say.

    Attributes
    ----------
    info
        For the user.
    hints
        What makes its packets poor witnesses of frames.
    first_pts
        When the first picture is shown, in ticks; ``None`` where that is not told.
    first_packets
        What was read for it.
    has_picture
        Whether anything decodes, as far as was looked.
    """

    info: VideoInfo
    hints: CodingHints
    first_pts: int | None
    first_packets: Packets
    has_picture: bool


class Session:
    """A file over a source, and work on it in one thread at a time."""

    def __init__(self, source: StreamSource, cached: CachedSource, options: ReadOptions, turn: Turn) -> None:
        self._source = source
        self._cached = cached
        self._options = options
        self._file: DirectFile | BridgeFile | UrlFile | None = None
        self._decoder: Decoder | None = None
        self._converter: Converter | None = None
        self._guard = ForkGuard(f"a decoder of {source.name}")
        self.turn = turn
        self.worker = Worker(options.executor, self._abort)
        watch(self)

    # What a thread opens it also puts in place: a cancelled caller never sees the result, and `aclose` must.

    async def open_file(self) -> None:
        """Open the bytes: directly where they are local, else through the event loop."""
        await self.worker.run(self._open_direct_file)
        if self._file is None:
            self._file = self._bridge(asyncio.get_running_loop())

    def _bridge(self, loop: asyncio.AbstractEventLoop) -> BridgeFile | UrlFile:
        timeout = self._options.read_timeout_seconds
        if isinstance(self._source, FFmpegUrlSource):
            return UrlFile(self._source, loop)
        if isinstance(self._source, ForwardSource) and passing(self._source):
            return ForwardFile(ForwardReader(self._source), loop, timeout)
        return CachedFile(self._cached, loop, timeout)

    def _open_direct_file(self) -> None:
        local = self._source.local_file()
        if local is not None:
            self._file = DirectFile(local, self._source.size, self._source.name)

    async def open_decoder(self) -> None:
        """Open the container and the codec."""
        await self.worker.run(self._open_decoder)

    def _open_decoder(self) -> None:
        self._decoder = Decoder(self.file, self._options.container)

    async def look(self) -> FirstLook:
        """Decode the first picture, and collect what it and the header say."""
        return await self.worker.run(self._look)

    def _look(self) -> FirstLook:
        decoder = self.decoder
        try:
            picture, packets = _peek(decoder)
        except DoubtError as doubt:
            decoder.fall_back_to_one_thread(doubt)
            picture, packets = _peek(decoder)
        if isinstance(self.file, ForwardFile) and (picture is None or not lies_in_order(decoder.stream)):
            message = "this file cannot be decoded without seeking"
            raise CorruptMediaError(message, source=self.file.source_name)
        frame = None if picture is None else picture.frame
        info = describe(decoder.reader.container, decoder.stream, frame, self._source.size)
        if self.file.opened_blind:
            claim = claimed_seconds(self.file)
            info = replace(info, duration_seconds_from_header=None if claim is None else float(claim))
        first_pts = None if picture is None else picture.pts
        hints = coding_hints(decoder.stream, decoder.reader.syntax, frame)
        return FirstLook(info, hints, first_pts, packets, has_picture=picture is not None)

    async def see_fragments(self) -> None:
        """Have the container know every fragment of the file, and not only the first, so that it can seek."""
        if self.file.opened_blind:
            await self.worker.run(self._see_fragments)

    def _see_fragments(self) -> None:
        if self.file.lacks_headers:
            media_ranges(self.file)
        self.decoder.reopen()

    def _abort(self) -> None:
        if self._file is not None:
            self._file.abort()

    @property
    def file(self) -> MediaFile:
        """The file, once it is open."""
        if self._file is None:
            raise RuntimeError("the file of this session is not open")
        return self._file

    @property
    def decoder(self) -> Decoder:
        """The decoder, once it is open."""
        if self._decoder is None:
            raise RuntimeError("the decoder of this session is not open")
        return self._decoder

    def converter_for(self, rendering: Rendering) -> Converter:
        """Return what makes images of one kind; the last one is kept, as some take seconds to get ready."""
        converter = self._converter
        if converter is None or converter.rendering != rendering:
            converter = Converter(rendering, pixel_shape_of(self.decoder.stream), self.file.source_name)
            self._converter = converter
        return converter

    @property
    def threads(self) -> int:
        """Threads of the decoder."""
        return self._options.container.threads

    @property
    def is_reusable(self) -> bool:
        """Whether another request may go on with the decoder."""
        return self._file is not None and not self.worker.aborted and self._file.error is None

    async def use_up(self) -> None:
        """Let go of the bytes that the next request is about to use, where they come once."""
        source = passing(self._source)
        if source is None:
            return
        if not self.decoder.at_start:
            source.keep("frames are asked for a second time")
        await source.let_go(self.file.tell())

    async def list_packets(self, first: Packets) -> Scanned | None:
        """List the packets by what the open decoder has read of an MP4's header, ``None`` for others."""
        return await self.worker.run(scan_index, self.file, self.decoder.stream, first)

    async def scan(self, look: FirstLook, listed: Scanned | None) -> FrameTable:
        """Build the frame table in the cheapest way that is exact for this container.

        Parameters
        ----------
        look
            At the same source.
        listed
            Its packets, if they are known.
        """
        return await self.worker.run(self._scan, look, listed)

    async def scan_by_decoding(self) -> FrameTable:
        """Build the frame table from a decode of the whole stream."""
        return await self.worker.run(self._scan_by_decoding)

    def _scan_by_decoding(self) -> FrameTable:
        self._open_decoder()
        self.report_progress("index")
        return _run_to_end(scan_by_decoding(self.decoder))

    def _scan(self, look: FirstLook, listed: Scanned | None) -> FrameTable:
        stream_index, hints, limits = look.info.stream_index, look.hints, self._options.container.limits
        scanned = listed or scan(self.file, stream_index, None, without_media=True, limits=limits)
        has_header = scanned is not None
        if scanned is None:
            scanned = scan(
                self.file, stream_index, self._hook("index", None), without_media=False, limits=limits
            )
        else:
            self._report_listed(len(scanned.packets))
            scanned = looked_at(self.file, scanned, hints)
        if scanned is None:
            raise RuntimeError("a scan of the whole file always lists packets")
        check_length(scanned, limits, self.file.source_name)
        table = table_without_decoding(scanned)
        # AVI and ASF store one time a packet, from which FFmpeg makes up a pts.
        made_up = hints.reorders and (scanned.packets.keep_order or not has_header)
        doubtful = hints.has_fields or made_up
        self._refuse_without_packets(scanned)
        if scanned.is_doubtful or self._is_short(look.info, scanned.packets):
            return self._scan_by_decoding()
        if table is not None and not doubtful:
            return table
        self._open_decoder()
        if table is not None and _run_to_end(confirm_head(self.decoder, table)):
            return table
        self.report_progress("index")
        return _run_to_end(
            build_table(self.decoder, scanned) if table is None else scan_by_decoding(self.decoder)
        )

    def _is_short(self, info: VideoInfo, packets: Packets) -> bool:
        """Whether decoding the whole stream costs so little that its packets need not be believed."""
        is_near = isinstance(self.file, DirectFile) or int(packets.size.sum()) <= _SHORT_REMOTE_BYTES
        return is_near and len(packets) * info.width * info.height <= _SHORT_PIXELS

    def _refuse_without_packets(self, scanned: Scanned) -> None:
        """Refuse a stream none of whose packets is to be shown."""
        if np.all(scanned.packets.is_discard):
            refuse_without_pictures(self.file.source_name, packets=len(scanned.packets), frames=0)

    def report_progress(self, phase: Literal["index", "decode"]) -> None:
        """Tell `packet_progress` of the packets that the decoder reads from now on."""
        self.decoder.reader.on_packet = self._hook(phase, self.decoder.stream.frames or None)

    def _report_listed(self, packets: int) -> None:
        """Tell `packet_progress` of packets that a header lists all at once."""
        if (progress := self._options.packet_progress) is not None:
            for _ in range(packets):
                progress("index", packets)

    def _hook(self, phase: Literal["index", "decode"], total: int | None) -> Callable[[object], None] | None:
        progress = self._options.packet_progress
        return None if progress is None else lambda _packet: progress(phase, total)

    async def aclose(self) -> None:
        """Close the decoder in a worker thread, and the file; calling it again does nothing."""
        if self._guard.is_forked:
            return  # it has threads that do not run here
        decoder, self._decoder = self._decoder, None
        file, self._file = self._file, None
        try:
            if decoder is not None:
                await self.worker.run(decoder.close)
        finally:
            if isinstance(file, (BridgeFile, UrlFile)):
                await file.aclose()
            elif file is not None:
                await self.worker.run(file.close)


def _peek(decoder: Decoder) -> tuple[Picture | None, Packets]:
    """Decode the first picture; return the packets that were read for it too."""
    packets = PacketList()
    with decoder.reader.observed_by(packets.add):
        picture = decoder.peek()
    return picture, packets.finish()


def _run_to_end(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return cast("T", stop.value)
