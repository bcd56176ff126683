"""How the bytes of each kind of stream arrive, one piece at a time."""

from __future__ import annotations

import asyncio
import inspect
import io
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, BinaryIO, Protocol, TypeAlias

from asyncframes._model.quoting import a_kind
from asyncframes._runtime.threads import in_thread, reading_executor
from asyncframes.errors import (
    AsyncFramesError,
    ShortReadError,
    SourceTimeoutError,
    SourceUnavailableError,
)

_PIECE_BYTES = 64 * 1024


class AsyncReadable(Protocol):
    """An object with an asynchronous `read`, such as `asyncio.StreamReader`."""

    def read(self, n: int = -1, /) -> Awaitable[bytes]: ...


ByteStream: TypeAlias = AsyncIterable[bytes] | AsyncReadable | BinaryIO | Iterator[bytes]
"""Everything that `ForwardSource` accepts."""


class ByteInput(ABC):
    """Returns the next bytes of a stream on request."""

    @abstractmethod
    async def next(self) -> bytes:
        """Wait for the next bytes; return ``b""`` at the end."""

    async def aclose(self) -> None:  # noqa: B027 - most have nothing to release
        """Stop reading."""


def make_input(stream: ByteStream) -> ByteInput:
    """Choose how to read a stream.

    Raises
    ------
    TypeError
        The object is not a stream of bytes.
    """
    read = getattr(stream, "read", None)
    if isinstance(stream, io.TextIOBase):
        raise TypeError("the file object returns text: open it in binary mode, 'rb'")
    if read is not None and not _takes_a_size(read):
        raise TypeError(
            f"stream is {a_kind(stream)}, whose read() takes no size: pass its content, or an iterator of "
            "its bytes, such as aiter_bytes(), iter_bytes() or iter_content()"
        )
    # Readers of asyncio and aiohttp are also iterables, but of lines.
    if read is not None and inspect.iscoroutinefunction(read):
        return _Read(read)
    if isinstance(stream, AsyncIterable):
        return _Iterated(stream)
    if read is not None:
        return _Pipe(stream) if _can_be_awaited(stream) else _Blocking(stream)
    if isinstance(stream, Iterator):
        return _IteratedInThread(stream)
    raise TypeError(
        f"stream is {a_kind(stream)}: expected an asynchronous iterable of bytes, "
        "an object with read(), a binary file, or an iterator of bytes"
    )


def _takes_a_size(read: Callable[..., Any]) -> bool:
    try:
        inspect.signature(read).bind(_PIECE_BYTES)
    except TypeError:
        return False
    except ValueError:  # functions written in C need not tell
        return True
    return True


class _Iterated(ByteInput):
    def __init__(self, stream: AsyncIterable[Any]) -> None:
        self._pieces: AsyncIterator[Any] = aiter(stream)

    async def next(self) -> bytes:
        async for piece in self._pieces:
            if data := as_bytes(piece):
                return data
        return b""

    async def aclose(self) -> None:
        if inspect.isasyncgen(self._pieces):
            await self._pieces.aclose()


class _Read(ByteInput):
    def __init__(self, read: Callable[[int], Awaitable[Any]]) -> None:
        self._read = read

    async def next(self) -> bytes:
        return as_bytes(await self._read(_PIECE_BYTES))


class _Blocking(ByteInput):
    """A file object whose read may block, and its thread with it."""

    def __init__(self, file: Any) -> None:
        self._read: Callable[[int], Any] = getattr(file, "read1", file.read)

    async def next(self) -> bytes:
        return as_bytes(await in_thread(reading_executor(), self._read, _PIECE_BYTES) or b"")


class _IteratedInThread(ByteInput):
    """An iterator whose next piece may block, such as the body of a response of requests."""

    def __init__(self, pieces: Iterator[Any]) -> None:
        self._pieces = pieces
        self._waits = False

    async def next(self) -> bytes:
        self._waits = True
        data = await in_thread(reading_executor(), self._next)
        self._waits = False
        return data

    def _next(self) -> bytes:
        # In the thread, because a `StopIteration` cannot leave a future.
        return next((data for piece in self._pieces if (data := as_bytes(piece))), b"")

    async def aclose(self) -> None:
        # A generator cannot be closed while a thread waits in it.
        if inspect.isgenerator(self._pieces) and not self._waits:
            await in_thread(reading_executor(), self._pieces.close)


class _Pipe(_Blocking):
    """A pipe, read only when bytes are available, so that no thread waits."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self._descriptor: int = file.fileno()

    async def next(self) -> bytes:
        # A selector of Windows accepts a pipe, and then ends the event loop with an error.
        if sys.platform == "win32":
            return await super().next()
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except (NotImplementedError, OSError):  # on a loop without readers, or for a regular file
            return await super().next()
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._descriptor)
        return await super().next()


def _can_be_awaited(file: Any) -> bool:
    """Whether waiting for the descriptor is enough to know that bytes are available."""
    raw = file.raw if isinstance(file, io.BufferedReader) else file
    return isinstance(raw, io.FileIO)


def as_bytes(piece: Any) -> bytes:
    """Return a piece as bytes.

    Raises
    ------
    TypeError
        The piece is not a bytes-like object.
    """
    if isinstance(piece, bytes):
        return piece
    if isinstance(piece, (bytearray, memoryview)):
        return bytes(piece)
    raise TypeError(f"the stream returned {a_kind(piece)}: expected bytes")


def as_source_error(exc: Exception, *, name: str) -> Exception:
    """Translate an exception of the sender; a `TypeError` is returned unchanged."""
    match exc:
        case AsyncFramesError() | TypeError():
            return exc
        case TimeoutError():
            return SourceTimeoutError("the sender timed out", source=name)
        case EOFError():
            return ShortReadError("the stream ended early", source=name)
        case _:
            return SourceUnavailableError(f"the stream ended early: {type(exc).__name__}", source=name)
