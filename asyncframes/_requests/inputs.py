"""What the decoders of one video read: a source behind a cache, or an address that FFmpeg opens itself."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, BinaryIO, TypeGuard

from asyncframes._media.files.forward_file import ForwardFile
from asyncframes._media.files.media_files import BridgeFile, CachedFile
from asyncframes._media.files.url_file import UrlFile
from asyncframes.abc import Source, StreamSource
from asyncframes.sources._cache.blocks import LoadedRanges
from asyncframes.sources._cache.source import CachedSource
from asyncframes.sources._forward.sequential import ForwardBytes, ForwardReader, SequentialSource
from asyncframes.sources._local import LocalSource

if TYPE_CHECKING:
    # Decoding processes import this module, and do without an HTTP client.
    from asyncframes.sources import FFmpegUrlSource


class VideoInput(ABC):
    """A source, as the decoders of one video read it.

    Attributes
    ----------
    source
        The source.
    cached
        The same bytes behind a cache, ``None`` if FFmpeg opens the source itself.
    headers
        Headers that stay in memory, for all decoders.
    """

    def __init__(self, source: Source, cached: CachedSource | None) -> None:
        self.source = source
        self.cached = cached
        self.headers: LoadedRanges = LoadedRanges() if cached is None else cached.headers

    @property
    def name(self) -> str:
        """Name of the source."""
        return self.source.name

    @property
    def size(self) -> int | None:
        """Length in bytes, ``None`` while it is unknown."""
        return None if self.cached is None else self.cached.size

    @property
    def validator(self) -> str | None:
        """Text that changes when the bytes do, ``None`` if there is none."""
        return None if self.cached is None else self.cached.validator

    @property
    def sequential(self) -> SequentialSource | None:
        """The source, if its bytes arrive once and it does not store them; otherwise ``None``."""
        source = self.source
        return source if isinstance(source, SequentialSource) and not source.stores else None

    @property
    def is_local(self) -> bool:
        """Whether this is a file that its readers open and close, each in its own thread."""
        return False

    async def open(self) -> None:
        """Open the source. A local file is only opened when it is first read."""
        await (self.cached or self.source).open()

    async def aclose(self) -> None:
        """Close the source."""
        await (self.cached or self.source).aclose()

    def allow_request(self, share: float = 1.0) -> None:
        """Allow the bytes for a request for frames that reads a share of the source, or all of it."""
        if self.cached is not None:
            self.cached.allow_request(share)

    @abstractmethod
    def local_file(self) -> BinaryIO | None:
        """Return a blocking file over the bytes, ``None`` if there is none; see `StreamSource.local_file`."""

    @abstractmethod
    def bridge(self, loop: asyncio.AbstractEventLoop, timeout_seconds: float) -> BridgeFile | UrlFile:
        """Make a file that reads through the event loop.

        Parameters
        ----------
        loop
            The event loop.
        timeout_seconds
            How long a read waits for bytes.
        """


class CachedInput(VideoInput):
    """A source of bytes, read through a cache, or directly while it is sequential."""

    def __init__(self, source: StreamSource, cached: CachedSource) -> None:
        super().__init__(source, cached)
        self._stream = source
        self._cached = cached
        # A source that opens in its own way is opened in that way.
        self._local = source if _is_opened_as_a_local_file(source) else None

    @property
    def is_local(self) -> bool:
        return self._local is not None

    async def open(self) -> None:
        self._cached.check_open()
        if self._local is None:
            await self._cached.open()
        else:
            self._local.bind()

    def local_file(self) -> BinaryIO | None:
        if self._local is not None:
            self._local.open_here()
            self._cached.check_size()
        return self._stream.local_file()

    def bridge(self, loop: asyncio.AbstractEventLoop, timeout_seconds: float) -> BridgeFile | UrlFile:
        if isinstance(self._stream, ForwardBytes) and not self._stream.stores:
            return ForwardFile(ForwardReader(self._stream), loop, timeout_seconds)
        return CachedFile(self._cached, loop, timeout_seconds)


def _is_opened_as_a_local_file(source: StreamSource) -> TypeGuard[LocalSource]:
    return isinstance(source, LocalSource) and type(source).open is LocalSource.open


class UrlInput(VideoInput):
    """An address that FFmpeg opens itself, with timeouts of its own."""

    def __init__(self, source: FFmpegUrlSource) -> None:
        super().__init__(source, None)
        self._address = source

    def local_file(self) -> BinaryIO | None:
        return None

    def bridge(self, loop: asyncio.AbstractEventLoop, timeout_seconds: float) -> BridgeFile | UrlFile:
        return UrlFile(self._address, loop)
