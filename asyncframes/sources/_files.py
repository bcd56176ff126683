"""Blocking files: positional access for many threads, and the errors that files raise."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from asyncframes._model.quoting import shortened
from asyncframes._runtime.threads import in_thread, wait_until_done
from asyncframes.errors import (
    AsyncFramesError,
    ClosedError,
    SourceAccessError,
    SourceNotFoundError,
    SourceUnavailableError,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_READS_ANYWHERE = hasattr(os, "pread")


class Seekable(Protocol):
    """The part of a binary file that positional access needs."""

    def seek(self, offset: int, whence: int = 0, /) -> int | None: ...

    def tell(self) -> int: ...

    def read(self, size: int = -1, /) -> bytes | None: ...

    def close(self) -> None: ...


class Closable(Protocol):
    """An object with a `close` method."""

    def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class PositionalFile:
    """Reads and writes at given positions, one at a time, from any thread.

    Parameters
    ----------
    file
        The file. Reads and writes move its own position.
    """

    def __init__(self, file: Seekable) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._state = threading.Lock()
        self._inside = 0
        self._left = False

    def size(self) -> int:
        """Return the length in bytes, found by seeking to the end."""
        with self._turn():
            end = self._file.seek(0, io.SEEK_END)
            # A memory map says where it is only when asked, before Python 3.13.
            return self._file.tell() if end is None else end

    def read_at(self, start: int, stop: int) -> bytes:
        """Read ``start <= i < stop``, or fewer bytes at the end of the file.

        Raises
        ------
        ValueError
            The file is closed.
        """
        parts = []
        with self._turn():
            self._file.seek(start)
            while start < stop and (part := self._file.read(stop - start)):
                if len(part) > stop - start:
                    raise OSError("a read returned more bytes than requested")
                parts.append(bytes(part))
                start += len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file after the read that is running, if there is one."""
        with self._lock:
            self._file.close()

    def leave(self) -> None:
        """Close the file without waiting: a read that is running closes it when it ends."""
        with self._state:
            self._left = True
            is_last = not self._inside
        if is_last:
            self._file.close()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._state:
            self._inside += 1
        try:
            with self._lock:
                if self._left:
                    raise ValueError("the file is closed")
                yield
        finally:
            with self._state:
                self._inside -= 1
                is_last = self._left and not self._inside
            if is_last:
                self._file.close()


class SharedFile:
    """One file descriptor that several readers share. The last reader to close closes it.

    Parameters
    ----------
    raw
        The file. Reads may move its own position.
    """

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self._lock = threading.Lock()
        self._readers = 1

    def facts(self) -> os.stat_result:
        """Return the current status of the file."""
        return os.fstat(self._raw.fileno())

    def reader(self) -> UnnamedFile:
        """Return one more reader, for the caller to close.

        Raises
        ------
        ValueError
            All readers are closed.
        """
        with self._lock:
            if not self._readers:
                raise ValueError("the file is closed")
            self._readers += 1
        return UnnamedFile(self)

    def read_at(self, position: int, count: int) -> bytes:
        """Read at most `count` bytes with one system call, from any thread."""
        if _READS_ANYWHERE:
            return os.pread(self._raw.fileno(), count, position)
        with self._lock:
            self._raw.seek(position)
            return self._raw.read(count)

    def leave(self) -> bool:
        """Close one reader without waiting, unless it is the last. Return whether it is closed."""
        with self._lock:
            is_last = self._readers == 1
            self._readers -= not is_last
        return not is_last

    def close(self) -> None:
        """Close one reader."""
        with self._lock:
            self._readers -= 1
            if not self._readers:
                self._raw.close()


class UnnamedFile(io.RawIOBase):
    """A blocking, read-only view of a file, with its own position and without a ``name``.

    FFmpeg uses the ``name`` of a file object to guess the format: it reads any bytes as a
    playlist if the name ends in ``.m3u8``.
    """

    def __init__(self, file: SharedFile) -> None:
        super().__init__()
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return self.readall()
        data = self._file.read_at(self._position, size)
        self._position += len(data)
        return data

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        if whence == io.SEEK_END:
            base = self._file.facts().st_size
        else:
            base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


async def open_in_thread(open_file: Callable[[], C], executor: Executor | None = None) -> C:
    """Open a file in a thread. If cancelled, wait for the call to end and close the file."""
    opening = in_thread(executor, open_file)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        await wait_until_done(opening)
        if opening.exception() is None:
            opening.result().close()
        raise


def as_library_error(exc: Exception, *, name: str) -> AsyncFramesError:
    """Translate an exception that a file raised."""
    reason = getattr(exc, "strerror", None) or type(exc).__name__
    match exc:
        case FileNotFoundError() | NotADirectoryError():
            return SourceNotFoundError("there is no such file", source=name)
        case IsADirectoryError():
            return SourceAccessError("the path is a directory: expected a video file", source=name)
        case PermissionError():
            return SourceAccessError(f"the file cannot be read: {reason}", source=name)
        case ValueError():  # raised by a closed file object
            return ClosedError(f"the file was closed during a read [{shortened(name)}]")
        case _:
            return SourceUnavailableError(f"reading the file failed: {reason}", source=name)
