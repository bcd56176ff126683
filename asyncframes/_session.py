"""One decoder with the file it reads and the worker that steps it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar, cast

from asyncframes._media._container import ContainerOptions
from asyncframes._media._decoder import Decoder
from asyncframes._media._files import BridgeFile, DirectFile, ForwardFile, MediaFile
from asyncframes._media._scan import scan, scan_by_decoding
from asyncframes._media._url_file import UrlFile
from asyncframes._pump import Worker
from asyncframes._table import FrameTable
from asyncframes.abc import StreamSource
from asyncframes.sources import CachedSource, FFmpegUrlSource, ForwardSource
from asyncframes.sources._forward import ForwardReader
from asyncframes.sources._passing import passing

T = TypeVar("T")

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


class Session:
    """A file over a source, and work on it in one thread at a time."""

    def __init__(self, source: StreamSource, cached: CachedSource, options: ReadOptions) -> None:
        self._source = source
        self._cached = cached
        self._options = options
        self._file: DirectFile | BridgeFile | UrlFile | None = None
        self._decoder: Decoder | None = None
        self.worker = Worker(options.executor, self._abort)

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
        return BridgeFile(self._cached, loop, timeout)

    def _open_direct_file(self) -> None:
        local = self._source.local_file()
        if local is not None:
            self._file = DirectFile(local, self._source.size, self._source.name)

    async def open_decoder(self) -> None:
        """Open the container and the codec."""
        await self.worker.run(self._open_decoder)

    def _open_decoder(self) -> None:
        self._decoder = Decoder(self.file, self._options.container)

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

    async def scan(self, stream_index: int) -> FrameTable:
        """Build the frame table in the cheapest way that is exact for this container."""
        hook = self._hook("index", None)
        table = await self.worker.run(scan, self.file, stream_index, hook, without_media=True)
        if table is None:
            table = await self.worker.run(scan, self.file, stream_index, hook, without_media=False)
        if table is None:
            await self.open_decoder()
            self.report_progress("index")
            table = await self.worker.run(_run_to_end, scan_by_decoding(self.decoder))
        return table

    def report_progress(self, phase: Literal["index", "decode"]) -> None:
        """Tell `packet_progress` of the packets that the decoder reads from now on."""
        self.decoder.on_packet = self._hook(phase, self.decoder.stream.frames or None)

    def _hook(self, phase: Literal["index", "decode"], total: int | None) -> Callable[[object], None] | None:
        progress = self._options.packet_progress
        return None if progress is None else lambda _packet: progress(phase, total)

    async def aclose(self) -> None:
        """Close the decoder in a worker thread, and the file; calling it again does nothing."""
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


def _run_to_end(steps: Generator[None, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return cast("T", stop.value)
