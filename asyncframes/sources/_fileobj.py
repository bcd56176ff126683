"""A binary file object that the caller has opened."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from mmap import mmap
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

from asyncframes._model.quoting import a_kind, quoted
from asyncframes._model.ranges import exactly
from asyncframes._runtime.life import OneProcess
from asyncframes._runtime.threads import in_thread, reading_executor
from asyncframes.abc import StreamSource
from asyncframes.errors import ClosedError, NotPicklableError
from asyncframes.sources._files import PositionalFile, Seekable, as_library_error
from asyncframes.sources._names import harmless_cause, public_name

P = ParamSpec("P")
T = TypeVar("T")


class FileObjectSource(OneProcess, StreamSource):
    """A seekable binary file object, or a memory map.

    Parameters
    ----------
    file
        Read from its byte 0 on, in a thread, one read at a time. Reads move its
        position, so nothing else may use it at the same time.
    close
        Whether `aclose` closes `file`.

    Raises
    ------
    TypeError
        `file` returns text.
    ClosedError
        `file` is closed.
    ValueError
        `file` cannot seek.
    """

    def __init__(self, file: BinaryIO | mmap, *, close: bool = False) -> None:
        if isinstance(file, io.TextIOBase):
            raise TypeError("the file object returns text: open it in binary mode, 'rb'")
        if not can_seek(file):
            raise ValueError(
                "the file object cannot seek: pass the bytes or a path, or use ForwardSource(file)"
            )
        name = getattr(file, "name", None)
        self._name = public_name(name) if isinstance(name, str) else f"{a_kind(file)} object"
        self._is_in_memory = isinstance(file, io.BytesIO)
        self._file = PositionalFile(cast("Seekable", file))
        self._close_file = close
        self._size: int | None = None
        self._opening = asyncio.Lock()

    def __repr__(self) -> str:
        return f"FileObjectSource({quoted(self._name)})"

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._is_in_memory:
            raise NotPicklableError(
                f"{self!r} cannot be pickled, because an open file belongs to this process: "
                "pass its path, or its bytes"
            )
        return super().__reduce__()

    @property
    def name(self) -> str:
        return self._name

    @property
    def size(self) -> int | None:
        return self._size

    async def open(self) -> None:
        self._bind_to_process()
        async with self._opening:
            self.check_open()
            if self._size is None:
                self._size = await self._in_thread(self._file.size)

    async def read_range(self, start: int, stop: int) -> bytes:
        await self.prepare_range(start, stop)
        data = await self._in_thread(self._file.read_at, start, stop)
        return exactly(data, start, stop, name=self.name)

    async def aclose(self) -> None:
        if self._is_forked:
            return
        async with self._opening:
            was_open, self._closed = not self._closed, True
            if self._close_file and was_open:
                await self._in_thread(self._file.leave)

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await in_thread(reading_executor(), call, *args, **kwargs)
        except Exception as exc:  # noqa: BLE001 - the caller's object may raise anything
            raise as_library_error(exc, name=self.name) from harmless_cause(exc)


def can_seek(file: BinaryIO | mmap) -> bool:
    """Return whether a file object can seek.

    Raises
    ------
    ClosedError
        The object is closed.
    """
    seekable = getattr(file, "seekable", None)
    try:
        return hasattr(file, "seek") if seekable is None else bool(seekable())
    except ValueError as exc:
        raise ClosedError(f"the {type(file).__name__} is closed") from exc
