"""One decoder with the file it reads and the worker that steps it."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass

from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.container.opening import ContainerOptions
from asyncframes._media.describe import pixel_shape_of
from asyncframes._media.files.media_files import BridgeFile, CachedFile, DirectFile, ForwardFile, MediaFile
from asyncframes._media.files.url_file import UrlFile
from asyncframes._media.first_look import FirstLook, first_look
from asyncframes._media.image.convert import Converter
from asyncframes._media.mp4.fragments import media_ranges
from asyncframes._media.progress import Phase, packet_hook
from asyncframes._media.table.build import build_table, decode_table
from asyncframes._media.table.scan import Scanned, scan_index
from asyncframes._model.rendering import Rendering
from asyncframes._model.table import FrameTable, Packets
from asyncframes._requests.pump import Turn, Worker
from asyncframes._requests.steps import run_steps
from asyncframes._runtime.life import ForkGuard, watch
from asyncframes._types import PacketProgress
from asyncframes.abc import StreamSource
from asyncframes.sources import CachedSource, FFmpegUrlSource, ForwardSource
from asyncframes.sources._forward.sequential import sequential
from asyncframes.sources._forward.source import ForwardReader


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
        if isinstance(self._source, ForwardSource) and sequential(self._source):
            return ForwardFile(ForwardReader(self._source), loop, timeout)
        return CachedFile(self._cached, loop, timeout)

    def _open_direct_file(self) -> None:
        local = self._source.local_file()
        if local is not None:
            self._file = DirectFile(local, self._source.size, self._source.name)

    async def open_decoder(self) -> None:
        """Open the container and the codec."""
        await self.worker.run(self._opened_decoder)

    def _opened_decoder(self) -> Decoder:
        if self._decoder is None:
            self._decoder = Decoder(self.file, self._options.container)
        return self._decoder

    async def look(self) -> FirstLook:
        """Decode the first picture, and collect what it and the header say."""
        return await self.worker.run(first_look, self.decoder, self._source.size)

    async def load_fragment_index(self) -> None:
        """Reopen a fragmented MP4 that was opened by its first fragment alone, so that it can seek."""
        if self.file.opened_blind:
            await self.worker.run(self._load_fragment_index)

    def _load_fragment_index(self) -> None:
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
        source = sequential(self._source)
        if source is None:
            return
        if not self.decoder.at_start:
            source.keep("frames are asked for a second time")
        await source.let_go(self.file.tell())

    async def list_packets(self, first: Packets) -> Scanned | None:
        """List the packets by what the open decoder has read of an MP4's header, ``None`` for others."""
        return await self.worker.run(scan_index, self.file, self.decoder.stream, first)

    async def scan(self, look: FirstLook, listed: Scanned | None) -> FrameTable:
        """Build the frame table with as little reading and decoding as is exact; see `build_table`.

        Parameters
        ----------
        look
            At the same source.
        listed
            Its packets, if they are known.
        """
        steps = build_table(
            self.file,
            self._opened_decoder,
            look,
            listed=listed,
            limits=self._options.container.limits,
            progress=self._options.packet_progress,
        )
        return await run_steps(self.worker, steps)

    async def scan_by_decoding(self) -> FrameTable:
        """Build the frame table from a decode of the whole stream."""
        decoder = await self.worker.run(self._opened_decoder)
        return await run_steps(self.worker, decode_table(decoder, self._options.packet_progress))

    def report_progress(self, phase: Phase) -> None:
        """Tell `packet_progress` of the packets that the decoder reads from now on."""
        reader = self.decoder.reader
        reader.on_packet = packet_hook(self._options.packet_progress, phase, reader.stream.frames or None)

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
