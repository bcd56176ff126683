"""Bytes that come once, forward only, kept on disk so that they can be read by range."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from typing import IO, TypeVar

from asyncframes._model.quoting import shortened
from asyncframes._runtime.threads import in_thread, reading_executor
from asyncframes.errors import ClosedError, SourceError, SourceLimitError
from asyncframes.sources._files import PositionalFile, open_in_thread

T = TypeVar("T")


class Spool:
    """A temporary file that one task appends to and others read from.

    The file has no name where the system allows it, so it is gone with the
    process whatever happens.

    Parameters
    ----------
    name
        What to call the source in errors.
    max_bytes
        Longest content.
    directory
        Directory of the file; ``None`` for the system's.
    """

    def __init__(self, *, name: str, max_bytes: int, directory: str | os.PathLike[str] | None) -> None:
        self._name = name
        self._max_bytes = max_bytes
        self._directory = directory
        self._file: _SpoolFile | None = None
        self._arrived = 0
        self._finished = False
        self._error: Exception | None = None
        self._news = asyncio.Event()

    @property
    def size(self) -> int | None:
        """Length of the content, ``None`` until it has come wholly."""
        return self._arrived if self._finished else None

    async def open(self) -> None:
        """Create the file."""
        try:
            self._file = await open_in_thread(self._create)
        except OSError as exc:
            raise self._disk_error(exc) from exc

    async def append(self, data: bytes) -> None:
        """Add the next bytes; called by one task.

        Raises
        ------
        SourceLimitError
            The content is longer than `max_bytes`.
        """
        if self._arrived + len(data) > self._max_bytes:
            raise SourceLimitError(
                f"more than the {self._max_bytes} bytes that may be spooled to disk", source=self._name
            )
        file = self._open_file()
        await self._on_disk(lambda: file.write_at(self._arrived, data))
        self._arrived += len(data)
        self._tell()

    def finish(self) -> None:
        """Declare that everything has come."""
        self._finished = True
        self._tell()

    def fail(self, error: Exception) -> None:
        """Give readers of bytes that have not come this error."""
        self._error = error
        self._tell()

    async def read(self, start: int, stop: int) -> bytes:
        """Read ``start <= i < stop``, waiting for what has not come yet.

        Returns
        -------
        bytes
            Shorter than asked only past the end.

        Raises
        ------
        SourceError
            The bytes will not come.
        ClosedError
            The spool is closed, maybe while this read waited.
        """
        while self._arrived < stop and not self._finished:
            if self._error is not None:
                raise self._error
            await self._news.wait()
        file = self._open_file()
        if start >= self._arrived:
            return b""
        return await self._on_disk(lambda: file.read_at(start, min(stop, self._arrived)))

    async def aclose(self) -> None:
        """Delete the file; waiting reads raise `ClosedError`."""
        self.fail(self._closed_error())
        file, self._file = self._file, None
        if file is not None:
            await in_thread(reading_executor(), file.close)

    def _create(self) -> _SpoolFile:
        return _SpoolFile(tempfile.TemporaryFile(dir=self._directory))

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _open_file(self) -> _SpoolFile:
        if self._file is None:
            raise self._closed_error()
        return self._file

    def _closed_error(self) -> ClosedError:
        return ClosedError(f"the source is closed [{shortened(self._name)}]")

    def _disk_error(self, exc: OSError) -> SourceError:
        return SourceError(f"the spool on disk failed: {exc.strerror}", source=self._name)

    async def _on_disk(self, call: Callable[[], T]) -> T:
        try:
            return await in_thread(reading_executor(), call)
        except OSError as exc:
            raise self._disk_error(exc) from exc
        except ValueError as exc:  # closed meanwhile
            raise self._closed_error() from exc


class _SpoolFile(PositionalFile):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self._writable = file

    def write_at(self, start: int, data: bytes) -> None:
        with self._lock:
            self._writable.seek(start)
            self._writable.write(data)
