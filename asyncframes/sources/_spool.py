"""Bytes that arrive once, stored in a temporary file so that they can be read by range."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable
from typing import IO, TypeVar

from asyncframes._model.quoting import shortened
from asyncframes._runtime.threads import in_thread, reading_executor
from asyncframes.errors import ClosedError, SourceError
from asyncframes.sources._files import PositionalFile, open_in_thread
from asyncframes.sources._limits import ByteLimit

T = TypeVar("T")


class Spool:
    """A temporary file that one task appends to and others read from.

    If the system allows, the file has no name, so that it disappears with the process
    even after a crash.

    Parameters
    ----------
    name
        Name of the source, for errors.
    limit
        Most bytes in the file.
    directory
        Directory of the file; ``None`` for the system's.
    """

    def __init__(self, *, name: str, limit: ByteLimit, directory: str | os.PathLike[str] | None) -> None:
        self._name = name
        self.limit: ByteLimit = limit
        self._directory = directory
        self._file: _SpoolFile | None = None
        self._arrived = 0
        self._finished = False
        self._error: Exception | None = None
        self._arrival = asyncio.Event()

    @property
    def size(self) -> int | None:
        """Length in bytes, ``None`` until all of them have arrived."""
        return self._arrived if self._finished else None

    async def open(self) -> None:
        """Create the file."""
        try:
            self._file = await open_in_thread(self._create)
        except OSError as exc:
            raise self._disk_error(exc) from exc

    async def append(self, data: bytes) -> None:
        """Add the next bytes. Only one task may call this.

        Raises
        ------
        SourceLimitError
            The file would be longer than its limit.
        """
        self.limit.check(self._arrived + len(data), self._name, "the bytes to store on disk are more than")
        file = self._open_file()
        await self._on_disk(lambda: file.write_at(self._arrived, data))
        self._arrived += len(data)
        self._wake_readers()

    def finish(self) -> None:
        """Mark the content as complete."""
        self._finished = True
        self._wake_readers()

    def fail(self, error: Exception) -> None:
        """Raise this error in all reads of bytes that have not arrived."""
        self._error = error
        self._wake_readers()

    async def read(self, start: int, stop: int) -> bytes:
        """Read ``start <= i < stop``. Wait for bytes that have not arrived.

        Returns
        -------
        bytes
            Fewer than requested only if the range reaches past the end.

        Raises
        ------
        SourceError
            The bytes cannot arrive any more.
        ClosedError
            The spool is closed, or was closed during the read.
        """
        while self._arrived < stop and not self._finished:
            if self._error is not None:
                raise self._error
            await self._arrival.wait()
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

    def _wake_readers(self) -> None:
        self._arrival.set()
        self._arrival = asyncio.Event()

    def _open_file(self) -> _SpoolFile:
        if self._file is None:
            raise self._closed_error()
        return self._file

    def _closed_error(self) -> ClosedError:
        return ClosedError(f"the source is closed [{shortened(self._name)}]")

    def _disk_error(self, exc: OSError) -> SourceError:
        return SourceError(f"the temporary file failed: {exc.strerror}", source=self._name)

    async def _on_disk(self, call: Callable[[], T]) -> T:
        try:
            return await in_thread(reading_executor(), call)
        except OSError as exc:
            raise self._disk_error(exc) from exc
        except ValueError as exc:  # the file was closed during the call
            raise self._closed_error() from exc


class _SpoolFile(PositionalFile):
    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self._writable = file

    def write_at(self, start: int, data: bytes) -> None:
        with self._lock:
            self._writable.seek(start)
            self._writable.write(data)
