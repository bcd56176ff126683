"""One decoder, with the file that it reads and the worker that runs its calls."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from asyncframes._media.codec.clock import CodecClock
from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.container.opening import ContainerOptions
from asyncframes._media.describe import pixel_shape_of
from asyncframes._media.files.media_files import BridgeFile, DirectFile, MediaFile
from asyncframes._media.files.url_file import UrlFile
from asyncframes._media.first_look import FirstLook, first_look, quick_look
from asyncframes._media.image.convert import Converter
from asyncframes._media.mp4.fragments import media_ranges
from asyncframes._media.progress import Phase, packet_hook
from asyncframes._media.table.build import build_table, decode_table
from asyncframes._media.table.scan import Scanned, scan_index
from asyncframes._model.rendering import Rendering
from asyncframes._model.table import FrameTable, Packets
from asyncframes._requests.inputs import VideoInput
from asyncframes._requests.limits import CpuBudget, Meter
from asyncframes._requests.pump import Turn, Worker
from asyncframes._requests.steps import run_steps
from asyncframes._runtime.life import ForkGuard, watch
from asyncframes._types import PacketProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How a source is read and opened.

    Attributes
    ----------
    executor
        Where blocking work runs.
    read_timeout_seconds
        How long a decoder waits for bytes, including the source's retries.
    container
        How FFmpeg opens the container.
    packet_progress
        Called for each packet read.
    cpu_seconds
        Most CPU time for opening a decoder, and for each request; ``None`` for any.
    """

    executor: Executor
    read_timeout_seconds: float
    container: ContainerOptions
    packet_progress: PacketProgress | None
    cpu_seconds: float | None = None


class DecoderSession:
    """A decoder and its file. One thread at a time works on them."""

    def __init__(self, video_input: VideoInput, options: ReadOptions, turn: Turn) -> None:
        self._input = video_input
        self._clock = CodecClock()
        if options.cpu_seconds is not None:
            options = replace(options, container=replace(options.container, clock=self._clock))
        self._options = options
        self._file: DirectFile | BridgeFile | UrlFile | None = None
        self._decoder: Decoder | None = None
        self._converter: Converter | None = None
        self._look: FirstLook | None = None
        self._guard = ForkGuard(f"a decoder of {video_input.name}")
        self.turn = turn
        self.worker = Worker(options.executor, self._abort)
        self.charge()
        watch(self)

    def charge(self, budget: CpuBudget | None = None) -> None:
        """Charge the CPU time of calls from now on to a budget, by default to one of their own."""
        seconds = self._options.cpu_seconds
        if seconds is not None:
            self.worker.meter = Meter(budget or CpuBudget(seconds), self._clock.seconds)

    # The thread that opens an object also stores it in `self`: a cancelled caller never gets the result, and
    # `aclose` still has to find it.

    async def open(self, *, looks: bool) -> None:
        """Open the source and the decoder: of a local file, in one call in a thread.

        Parameters
        ----------
        looks
            Whether to take a quick look at a local file in the same call.
        """
        await self.worker.run(self._open_direct, looks)
        if self._file is None:
            self._bridge()
            await self.worker.run(self._opened_decoder)

    def _open_direct(self, looks: bool) -> None:
        self._open_direct_file()
        if self._file is not None:
            decoder = self._opened_decoder()
            if looks:
                self._look = quick_look(decoder, self._input.size)

    async def open_file(self) -> None:
        """Open the source, if it is not open: a local file directly, any other through the event loop."""
        if self._file is None:
            await self.worker.run(self._open_direct_file)
        if self._file is None:
            self._bridge()

    def _bridge(self) -> None:
        loop = asyncio.get_running_loop()
        self._file = self._input.bridge(loop, self._options.read_timeout_seconds)

    def _open_direct_file(self) -> None:
        local = self._input.local_file()
        if local is not None:
            self._file = DirectFile(local, self._input.size, self._input.name)

    def _opened_decoder(self) -> Decoder:
        if self._file is None:
            self._open_direct_file()
        if self._decoder is None:
            self._decoder = Decoder(self.file, self._options.container)
        return self._decoder

    async def look(self) -> FirstLook:
        """Return the quick look, or decode the first picture, and return what it and the header tell."""
        look, self._look = self._look, None
        if look is not None:
            return look
        return await self.worker.run(first_look, self.decoder, self._input.size)

    async def load_fragment_index(self) -> None:
        """Load the full index of a fragmented MP4 that was opened by its first fragment, for seeking."""
        if self.file.opened_blind:
            await run_steps(self.worker, self._load_fragment_index())

    def _load_fragment_index(self) -> Generator[None, None, None]:
        if self.file.lacks_headers:
            yield from media_ranges(self.file)
        self.decoder.reopen()

    def _abort(self) -> None:
        if self._file is not None:
            self._file.abort()

    @property
    def file(self) -> MediaFile:
        """The file, once it is open."""
        if self._file is None:
            raise RuntimeError("the file of this decoder session is not open")
        return self._file

    @property
    def decoder(self) -> Decoder:
        """The decoder, once it is open."""
        if self._decoder is None:
            raise RuntimeError("the decoder of this decoder session is not open")
        return self._decoder

    def converter_for(self, rendering: Rendering) -> Converter:
        """Return the converter for a rendering. The last one is reused: some take seconds to create."""
        converter = self._converter
        if converter is None or converter.rendering != rendering:
            converter = Converter(rendering, pixel_shape_of(self.decoder.stream), self.file.source_name)
            self._converter = converter
        return converter

    @property
    def reads_directly(self) -> bool:
        """Whether the worker thread reads the file without the event loop."""
        return isinstance(self._file, DirectFile)

    @property
    def threads(self) -> int:
        """Number of codec threads."""
        return self._options.container.threads

    @property
    def is_reusable(self) -> bool:
        """Whether another request may use the decoder."""
        return self._file is not None and not self.worker.aborted and self._file.error is None

    async def release_consumed_bytes(self) -> None:
        """Have a sequential source drop the bytes already read, or store them for a second request."""
        source = self._input.sequential
        if source is None:
            return
        if not self.decoder.at_start:
            source.store("frames are requested a second time")
        await source.drop_before(self.file.consumed)

    async def list_packets(self, first: Packets) -> Scanned | None:
        """List the packets of an MP4 from the header already read; ``None`` for other containers."""
        return await self.worker.run(scan_index, self.file, self.decoder.stream, first)

    async def scan(self, look: FirstLook, listed: Scanned | None) -> FrameTable:
        """Build the frame table, with the least reading and decoding that makes it exact; see `build_table`.

        Parameters
        ----------
        look
            The first look at this source.
        listed
            Its packets, if they have been listed.
        """
        return await run_steps(self.worker, self._built(self.file, look, listed))

    async def scan_beside(self, look: FirstLook, idle: DecoderSession) -> FrameTable:
        """Build the frame table of a local file, of which another session is open and idle.

        One call in a thread lists the packets with the other decoder, and builds the table. This
        session opens the file only if that is not enough.
        """
        return await run_steps(self.worker, self._built_beside(look, idle.decoder))

    def _built_beside(self, look: FirstLook, idle: Decoder) -> Generator[None, None, FrameTable]:
        listed = scan_index(idle.file, idle.stream, look.first_packets)
        if listed is not None:
            return (yield from self._built(idle.file, look, listed))
        self._open_direct_file()
        return (yield from self._built(self.file, look, None))

    def _built(
        self, file: MediaFile, look: FirstLook, listed: Scanned | None
    ) -> Generator[None, None, FrameTable]:
        return build_table(
            file,
            self._opened_decoder,
            look,
            listed=listed,
            limits=self._options.container.limits,
            progress=self._options.packet_progress,
        )

    async def scan_by_decoding(self) -> FrameTable:
        """Build the frame table by decoding the whole stream."""
        decoder = await self.worker.run(self._opened_decoder)
        return await run_steps(self.worker, decode_table(decoder, self._options.packet_progress))

    def report_progress(self, phase: Phase) -> None:
        """Call `packet_progress` with `phase` for each packet that the decoder reads from now on."""
        reader = self.decoder.reader
        reader.on_packet = packet_hook(self._options.packet_progress, phase, reader.stream.frames or None)

    async def aclose(self) -> None:
        """Close the decoder, in a worker thread, and the file. A second call does nothing."""
        if self._guard.is_forked:
            return  # the codec's threads exist only in the parent, so closing would wait for them forever
        self.worker.meter = None
        decoder, self._decoder = self._decoder, None
        file, self._file = self._file, None
        direct = file if isinstance(file, DirectFile) else None
        try:
            if decoder is not None or direct is not None:
                await self.worker.run(_close, decoder, direct)
        finally:
            if isinstance(file, (BridgeFile, UrlFile)):
                await file.aclose()


def _close(decoder: Decoder | None, file: DirectFile | None) -> None:
    try:
        if decoder is not None:
            decoder.close()
    finally:
        if file is not None:
            file.close()
