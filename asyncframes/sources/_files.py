"""Blocking files: positional access shared by threads, and the errors they raise."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from asyncframes._threads import finished, in_thread
from asyncframes.errors import (
    AsyncFramesError,
    ClosedError,
    SourceAccessError,
    SourceNotFoundError,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Seekable(Protocol):
    """The part of a binary file that positional access needs."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def read(self, size: int = -1, /) -> bytes | None: ...

    def close(self) -> None: ...


class Closable(Protocol):
    """What `open_in_thread` can close again."""

    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class PositionalFile:
    """Reads and writes at a position, one at a time, from any thread.

    Parameters
    ----------
    file
        Its own position is not kept.
    """

    def __init__(self, file: Seekable) -> None:
        self._file = file
        self._lock = threading.Lock()

    def size(self) -> int:
        """Length in bytes, found by seeking to the end."""
        with self._lock:
            return self._file.seek(0, io.SEEK_END)

    def read_at(self, start: int, stop: int) -> bytes:
        """Read ``start <= i < stop``; shorter where the file ends."""
        parts = []
        with self._lock:
            self._file.seek(start)
            while start < stop and (part := self._file.read(stop - start)):
                parts.append(bytes(part))
                start += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file once nobody is inside a read."""
        with self._lock:
            self._file.close()


class UnnamedFile(io.RawIOBase):
    """A blocking read-only file that does not tell its name.

    FFmpeg lets a file object's ``name`` take part in probing: a ``.m3u8`` at
    its end makes a playlist of any bytes.
    """

    def __init__(self, file: io.FileIO) -> None:
        super().__init__()
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


async def open_in_thread(open_file: Callable[[], C]) -> C:
    """Open a file off the loop; when cancelled meanwhile, wait for it and close it again."""
    opening = in_thread(None, open_file)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        await finished(opening)
        if opening.exception() is None:
            opening.result().close()
        raise


def as_library_error(exc: Exception, *, name: str) -> AsyncFramesError:
    """Translate what a file raised."""
    reason = getattr(exc, "strerror", None) or type(exc).__name__
    match exc:
        case FileNotFoundError() | NotADirectoryError():
            return SourceNotFoundError("no such file", source=name)
        case IsADirectoryError():
            return SourceAccessError("this is a directory, a video file was expected", source=name)
        case PermissionError():
            return SourceAccessError(f"the file may not be read: {reason}", source=name)
        case ValueError():  # a file object's way to say that it is closed
            return ClosedError(f"the file was closed while it was being read [{name}]")
        case _:
            return SourceUnavailableError(f"the file could not be read: {reason}", source=name)
