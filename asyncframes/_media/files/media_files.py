"""File objects that FFmpeg reads from, in the decode thread.

If FFmpeg reads on after a read that raised, the exception is lost (PyAV prints it to
stderr). So each file keeps its first error and returns ``b""`` from then on, and the
caller checks `error` afterwards. Files have no ``name``, because FFmpeg would use it to
guess the format.
"""

from __future__ import annotations

import asyncio
import io
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from concurrent.futures import CancelledError as FutureCancelledError
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypeVar

from asyncframes._media.files.guard import ReadGuard
from asyncframes._model.quoting import shortened
from asyncframes.errors import AsyncFramesError, ClosedError, SourceTimeoutError, SourceUnavailableError

T = TypeVar("T")


if TYPE_CHECKING:
    from asyncframes.sources._cache.source import CachedSource

BUFFER_BYTES = 64 * 1024
"""Size of FFmpeg's buffer. Sources fetch as much when they are opened."""

_POLL_SECONDS = 0.5


class FragmentReads(Protocol):
    """Follows what FFmpeg reads of a fragmented MP4, as `asyncframes._media.mp4.fragment_watch` does."""

    @property
    def media_end(self) -> int | None: ...
    @property
    def has_fragments(self) -> bool: ...
    @property
    def has_sidx(self) -> bool: ...
    def see(self, position: int, data: bytes) -> None: ...
    def stop_of_cut(self, position: int) -> int | None: ...
    def first_astray(self, track: int | None, limit: int | None) -> int | None: ...


class MediaFile(ABC):
    """A file object that FFmpeg reads from.

    Attributes
    ----------
    size
        Length in bytes, ``None`` while unknown.
    source_name
        Name of the source, for errors.
    error
        The first error of a read.
    opened_blind
        Whether a container was opened without looking past the first fragment.
    holds_media
        Whether its media can be read; if not, it reads as zeros.
    guard
        Bounds what FFmpeg reads, if set.
    fragments
        Notices the packets of a fragmented MP4 that FFmpeg cuts short, if set.
    opens_whole
        Whether no container is opened without looking past the first fragment any more.
    """

    def __init__(self, size: int | None, source_name: str) -> None:
        self.size = size
        self.source_name = source_name
        self.error: BaseException | None = None
        self.opened_blind = False
        self.holds_media = True
        self.guard: ReadGuard | None = None
        self.fragments: FragmentReads | None = None
        self.opens_whole = False
        self._position = 0

    def read(self, count: int) -> bytes:
        """Return at most `count` bytes; ``b""`` at the end and after the first error."""
        if self.error is not None:
            return b""
        try:
            data = self._read_at(self._position, count)
            if self.guard is not None:
                self.guard.see(self._position, data, asked=count)
            if self.fragments is not None:
                self.fragments.see(self._position, data)
        except BaseException as exc:
            self.error = exc
            raise
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move without reading anything, also past the end.

        Returns -1 for a position relative to an unknown end. If it raised instead, the exception would come
        out of a later call into FFmpeg.
        """
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            if self.size is None:
                return -1
            offset += self.size
        self._position = max(offset, 0)
        return self._position

    def find_size(self) -> None:
        """Determine an unknown size, by reading single bytes until the last one is found."""
        last, beyond = -1, BUFFER_BYTES
        while self.size is None and self.read_at(beyond, 1):
            last, beyond = beyond, 2 * beyond
        while self.size is None and beyond - last > 1:
            middle = (last + beyond) // 2
            last, beyond = (middle, beyond) if self.read_at(middle, 1) else (last, middle)
        if self.size is None:
            self.size = beyond

    @property
    def is_sequential(self) -> bool:
        """Whether bytes come only once, so reading cannot start again from the beginning."""
        return False

    def seekable(self) -> bool:
        """Return whether FFmpeg may seek."""
        return True

    def target(self) -> tuple[Any, dict[str, Any]]:
        """Return what PyAV opens, and the arguments for it."""
        return self, {}

    def translated(self, exc: Exception) -> AsyncFramesError | None:
        """Return this package's error for FFmpeg's about access to the bytes, ``None`` for other errors."""
        return None

    def may_wait(self) -> bool:
        """Return whether the next read may wait for a sender. Frames are then delivered before it."""
        return False

    def tell(self) -> int:
        """Return the position of the next read."""
        return self._position

    @property
    def consumed(self) -> int:
        """Position before which nothing is read from the source again."""
        return self._position

    def raise_error(self) -> None:
        """Raise the first error of a read, if there was one."""
        if self.error is not None:
            raise self.error

    @property
    def lacks_headers(self) -> bool:
        """Whether reading the headers of a fragmented MP4 would take one request for each."""
        return False

    @abstractmethod
    def _read_at(self, position: int, count: int) -> bytes: ...

    def read_at(self, position: int, count: int) -> bytes:
        """Return `count` bytes from a position, or fewer if the file ends.

        Does not move the position of `read`, and raises its own errors.
        """
        self.raise_error()
        if self.size is not None:
            count = min(count, max(self.size - position, 0))
        parts, length = [], 0
        while length < count and (part := self._read_at(position + length, count - length)):
            parts.append(part)
            length += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def plan(self, ranges: Sequence[tuple[int, int]]) -> None:  # noqa: B027 - only a bridge plans
        """Announce that these byte ranges are read next, and nothing else."""

    def plan_forward(self) -> None:  # noqa: B027 - only a bridge plans
        """Announce that the file is read to its end."""

    @abstractmethod
    def abort(self) -> None:
        """Make the current read and all later ones fail at once. May be called from any thread."""


class DirectFile(MediaFile):
    """A real file, read in the decode thread."""

    def __init__(self, file: BinaryIO, size: int | None, name: str) -> None:
        super().__init__(size, name)
        self._file = file
        self.bytes_read = 0
        self.requests = 0

    def _read_at(self, position: int, count: int) -> bytes:
        try:
            self._file.seek(position)
            data = self._file.read(count)
        except AsyncFramesError:
            raise
        except OSError as exc:
            raise SourceUnavailableError(
                f"bytes from {position} not read: {exc.strerror}", source=self.source_name
            ) from exc
        self.bytes_read += len(data)
        self.requests += 1
        return data

    def abort(self) -> None:
        if self.error is None:
            self.error = ClosedError(f"reading {shortened(self.source_name)} was cancelled")

    def close(self) -> None:
        """Close the underlying file."""
        self._file.close()


def wait_for(future: Future[T], timeout_seconds: float, loop: asyncio.AbstractEventLoop, *, name: str) -> T:
    """Wait in a thread for work on the event loop.

    Raises
    ------
    SourceTimeoutError
        It takes longer than `timeout_seconds`, and is cancelled.
    ClosedError
        It was cancelled, or the event loop is closed.
    """
    waited = 0.0
    while True:
        try:
            return future.result(_POLL_SECONDS)
        except FutureCancelledError:
            raise ClosedError(f"reading {shortened(name)} was cancelled") from None
        except TimeoutError as exc:
            if future.done():
                raise
            waited += _POLL_SECONDS
            if loop.is_closed():
                raise ClosedError("the event loop was closed while frames were decoded") from None
            if waited >= timeout_seconds:
                future.cancel()
                raise no_bytes_in(timeout_seconds, name) from exc


def no_bytes_in(seconds: float, source: str) -> SourceTimeoutError:
    """Return the error of a source that has sent nothing for so long."""
    return SourceTimeoutError(f"no bytes arrived in {seconds:g} s", source=source)


class Cursor(Protocol):
    """Fetches bytes for one reader; see `asyncframes.sources.ReadCursor`."""

    def fetch(self, start: int, stop: int) -> Coroutine[Any, Any, bytes]: ...
    def touch(self, position: int) -> None: ...
    def prefetch(self, ranges: Sequence[tuple[int, int]]) -> None: ...
    def unlimit(self) -> None: ...
    async def aclose(self) -> None: ...


class Readable(Protocol):
    """What a bridge reads: a `CachedSource`, or a source that is read once, in order."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int | None: ...
    def cached(self, start: int, stop: int) -> bytes: ...
    def cursor(self) -> Cursor: ...


class BridgeFile(MediaFile):
    """A file over an asynchronous source. It uses the event loop only for bytes that are not in memory."""

    def __init__(
        self, source: Readable, loop: asyncio.AbstractEventLoop, read_timeout_seconds: float
    ) -> None:
        super().__init__(source.size, source.name)
        self._source = source
        self._cursor = source.cursor()
        self._loop = loop
        self._timeout_seconds = read_timeout_seconds
        self._waiting: Future[Any] | None = None
        self._aborted = False
        self._is_looking = False
        self._planned: Sequence[tuple[int, int]] = ()

    def read_at(self, position: int, count: int) -> bytes:
        """Return bytes from a position, without reading ahead from there."""
        self._is_looking = True
        try:
            return super().read_at(position, count)
        finally:
            self._is_looking = False

    def _read_at(self, position: int, count: int) -> bytes:
        stop = position + count if self.size is None else min(position + count, self.size)
        if stop <= position:
            return b""
        stop = self._cut(position, stop)
        data = self._source.cached(position, stop) or self._wait_for(self._cursor.fetch(position, stop))
        if not data and self.size is None:
            self.size: int | None = self._source.size
        if not self._is_looking:
            self._cursor.touch(position + len(data))
        return data

    def _cut(self, start: int, stop: int) -> int:
        """Shorten a read to the planned range, because FFmpeg always fills its buffer."""
        if self._is_looking:
            return stop
        planned = next((end for begin, end in self._planned if begin <= start < end), None)
        if planned is not None:
            return min(stop, planned)
        return min(stop, (start // BUFFER_BYTES + 1) * BUFFER_BYTES) if stop - start <= BUFFER_BYTES else stop

    def _wait_for(self, call: Coroutine[Any, Any, T]) -> T:
        """Fetch bytes on the event loop and wait, until the timeout or `abort`."""
        if self._aborted:
            call.close()
            raise self._cancelled()
        self._waiting = waiting = asyncio.run_coroutine_threadsafe(call, self._loop)
        # `abort` may have come between the check and the assignment.
        if self._aborted:
            waiting.cancel()
        try:
            return wait_for(waiting, self._timeout_seconds, self._loop, name=self.source_name)
        finally:
            self._waiting = None

    def _cancelled(self) -> ClosedError:
        return ClosedError(f"reading {shortened(self.source_name)} was cancelled")

    def plan(self, ranges: Sequence[tuple[int, int]]) -> None:
        self._planned = tuple(ranges)
        self._loop.call_soon_threadsafe(self._cursor.prefetch, self._planned)

    def plan_forward(self) -> None:
        self._planned = ()
        self._loop.call_soon_threadsafe(self._cursor.unlimit)

    def abort(self) -> None:
        self._aborted = True
        if (waiting := self._waiting) is not None:
            waiting.cancel()

    async def aclose(self) -> None:
        """Cancel pending fetches. Runs on the event loop, once no thread reads any more."""
        self._aborted = True
        await self._cursor.aclose()


class CachedFile(BridgeFile):
    """A file over a cached source, with the headers that the source holds."""

    def __init__(
        self, source: CachedSource, loop: asyncio.AbstractEventLoop, read_timeout_seconds: float
    ) -> None:
        super().__init__(source, loop, read_timeout_seconds)
        self._cached = source

    def _read_at(self, position: int, count: int) -> bytes:
        # Headers are far apart: read-ahead that followed the reader over them would fetch the media between.
        return self._cached.headers.run(position, position + count) or super()._read_at(position, count)

    @property
    def lacks_headers(self) -> bool:
        return not self._cached.headers

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read exactly these byte ranges, with several requests at a time."""
        return self._wait_for(self._cached.read_ranges(ranges))

    def add_headers(self, headers: Sequence[tuple[int, bytes]]) -> None:
        """Keep headers, each with its position, for all readers of the source."""
        self._cached.headers.add(headers)
