"""A local file."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from contextlib import closing
from dataclasses import dataclass
from io import FileIO
from typing import BinaryIO, cast

from asyncframes._model.quoting import quoted, shortened
from asyncframes._model.ranges import exactly
from asyncframes._runtime.life import OneProcess
from asyncframes._runtime.threads import in_thread, reading_executor, shared_executor
from asyncframes.abc import StreamSource
from asyncframes.errors import ClosedError, SourceAddressError, SourceChangedError
from asyncframes.sources._files import SharedFile, as_library_error, open_in_thread
from asyncframes.sources._names import harmless_cause


@dataclass(frozen=True, slots=True)
class _Handle:
    file: SharedFile
    size: int
    validator: str

    def close(self) -> None:
        self.file.close()


class LocalSource(OneProcess, StreamSource):
    """A regular file.

    Parameters
    ----------
    path
        Path of the file. The file is opened once, so renaming or deleting it afterwards
        has no effect. After a write to it, the next read raises `SourceChangedError`.

    Raises
    ------
    SourceAddressError
        `path` contains a null character, or one that the system cannot encode.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = _possible(os.fspath(path))
        self._handle: _Handle | None = None
        self._opening = asyncio.Lock()
        self._handing_over = threading.Lock()

    def __repr__(self) -> str:
        return f"LocalSource({quoted(self.name)})"

    @property
    def name(self) -> str:
        return self._path

    @property
    def _schemes(self) -> tuple[str, ...]:
        return ("file",)

    @property
    def size(self) -> int | None:
        return None if self._handle is None else self._handle.size

    @property
    def validator(self) -> str | None:
        return None if self._handle is None else self._handle.validator

    async def open(self) -> None:
        self._bind_to_process()
        async with self._opening:
            self.check_open()
            if self._handle is None:
                self._handle = await open_in_thread(self._open_file, shared_executor())

    def bind(self) -> None:
        """Bind the source to this process, before `open_here` opens it."""
        self._bind_to_process()
        self.check_open()

    def open_here(self) -> None:
        """Open the file in the calling thread, unless it is open. Blocks on the disk."""
        if self._handle is not None:
            return
        handle = self._open_file()
        with self._handing_over:
            if self._handle is None and not self._closed:
                self._handle = handle
                return
        handle.close()

    async def read_range(self, start: int, stop: int) -> bytes:
        await self.prepare_range(start, stop)
        if self._handle is None:
            raise ClosedError(f"{self!r} is closed")
        return await in_thread(reading_executor(), self._read, self._handle, start, stop)

    def local_file(self) -> BinaryIO | None:
        """Return an unnamed, unbuffered view of the file over the same descriptor. Blocks on the disk.

        Raises
        ------
        SourceChangedError
            The file has changed since it was opened.
        ClosedError
            The source is closed.
        """
        self.check_open()
        if self._handle is None:
            with closing(self._open_file()) as handle:
                return cast("BinaryIO", handle.file.reader())
        try:
            view = self._handle.file.reader()
            validator = _validator(self._handle.file.facts())
        except (OSError, ValueError) as exc:
            raise as_library_error(exc, name=self.name) from harmless_cause(exc)
        if validator != self._handle.validator:
            view.close()
            raise self._changed()
        return cast("BinaryIO", view)

    async def aclose(self) -> None:
        if self._is_forked:
            return
        async with self._opening:
            with self._handing_over:
                self._closed = True
                handle, self._handle = self._handle, None
            # Closing may wait for a file server. The last reader does it, in its own thread.
            if handle is not None and not handle.file.leave():
                await in_thread(shared_executor(), handle.close)

    def _open_file(self) -> _Handle:
        try:
            raw = self._open_raw()
            facts = os.fstat(raw.fileno())
        except OSError as exc:
            raise as_library_error(exc, name=self.name) from harmless_cause(exc)
        return _Handle(SharedFile(raw), facts.st_size, _validator(facts))

    def _open_raw(self) -> FileIO:
        # Opening a pipe blocks until another process writes to it.
        refuse_irregular(os.stat(self._path).st_mode)  # noqa: PTH116 - a stat, not a path to compute with
        return FileIO(self._path)

    def _read(self, handle: _Handle, start: int, stop: int) -> bytes:
        try:
            with handle.file.reader() as view:
                view.seek(start)
                data = b"".join(iter(lambda: view.read(stop - view.tell()), b""))
                validator = _validator(handle.file.facts())
        except (OSError, ValueError) as exc:
            raise as_library_error(exc, name=self.name) from harmless_cause(exc)
        exactly(data, start, stop, name=self.name)
        if validator != handle.validator:
            raise self._changed()
        return data

    def _changed(self) -> SourceChangedError:
        return SourceChangedError("the file has changed since it was opened", source=self.name)


def _possible(path: str | bytes) -> str:
    try:
        text = os.fsdecode(path)
        os.fsencode(text)
    except UnicodeError as exc:
        raise SourceAddressError("the path contains a character that the file system cannot encode") from exc
    if "\0" in text:
        raise SourceAddressError(f"the path contains a null character: {shortened(text)}")
    return text


def refuse_irregular(mode: int) -> None:
    """Refuse what is no regular file.

    Raises
    ------
    IsADirectoryError, PermissionError
        `mode` is that of something else.
    """
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(mode):
        raise PermissionError(errno.EPERM, "not a regular file")


def identity_of(path: str) -> tuple[int, str]:
    """Return the size and the validator that a `LocalSource` of this path has once it is open.

    Raises
    ------
    OSError
        There is no regular file, or its facts cannot be read.
    """
    facts = os.stat(path)  # noqa: PTH116 - a stat, not a path to compute with
    refuse_irregular(facts.st_mode)
    return facts.st_size, _validator(facts)


def _validator(facts: os.stat_result) -> str:
    return f"{facts.st_mtime_ns:x}-{facts.st_size:x}"
