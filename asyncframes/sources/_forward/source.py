"""Bytes that are still arriving, once and in order."""

from __future__ import annotations

import asyncio
import logging
import os
from abc import abstractmethod
from collections.abc import Sequence

from asyncframes._model.quoting import quoted, shortened
from asyncframes._model.ranges import ByteRange
from asyncframes._runtime.life import OneProcess
from asyncframes.abc import Source, StreamSource
from asyncframes.errors import SourceError, SourceUnavailableError
from asyncframes.sources._forward.arrival import ByteStream, as_source_error, make_input
from asyncframes.sources._names import harmless_cause, public_name
from asyncframes.sources._spool import Spool

_log = logging.getLogger("asyncframes")


class SequentialSource(Source):
    """A source whose bytes arrive once, in order: those already read are gone unless it stores them."""

    @property
    @abstractmethod
    def stores(self) -> bool:
        """Whether all bytes stay readable."""

    @property
    def can_store(self) -> bool:
        """Whether the source can still start to store its bytes."""
        return False

    @abstractmethod
    def store(self, why: str) -> None:
        """Store all bytes from now on.

        Parameters
        ----------
        why
            What needs stored bytes, for the log or the error.

        Raises
        ------
        SourceError
            The source cannot store its bytes, or has dropped some of them.
        """

    async def drop_before(self, position: int) -> None:
        """Drop the bytes before a position, unless the source stores its bytes."""


class ForwardSource(OneProcess, SequentialSource, StreamSource):
    """An upload, a pipe, the body of a response: bytes that come once.

    Frames come out while bytes come in: a range of them (`start`, `end` and
    `step`, none negative) is decoded as it arrives, and the sender is asked for
    more only when the decoder needs it. What needs to look back (a frame table,
    an MP4 whose header comes last) has the bytes kept in a temporary file, and
    says so in the log. Once a range is under way the bytes before it are gone;
    ``keep=True`` keeps them all.

    Parameters
    ----------
    stream
        An asynchronous iterable of bytes, an `asyncio.StreamReader` or the
        like, or a binary file that need not seek. It is not closed, except for
        an asynchronous generator.
    keep
        Keep everything from the beginning on, so that any number of requests
        can be made.
    max_spool_bytes
        Most bytes to keep.
    spool_directory
        Directory of the temporary file; ``None`` for the system's.

    Raises
    ------
    TypeError
        `stream` is none of these.
    """

    def __init__(
        self,
        stream: ByteStream,
        *,
        keep: bool = False,
        max_spool_bytes: int = 8 * 1024**3,
        spool_directory: str | os.PathLike[str] | None = None,
    ) -> None:
        name = getattr(stream, "name", None)
        self._name = public_name(name) if isinstance(name, str) else f"a {type(stream).__name__} of bytes"
        self._input = make_input(stream)
        self._stores = keep
        self._spool: Spool | None = Spool(
            name=self._name, max_bytes=max_spool_bytes, directory=spool_directory
        )
        self._opened = False
        self._opening = asyncio.Lock()
        self._last = (0, b"")
        self._arrived = 0
        self._ended = False
        self._error: Exception | None = None
        self._pulling: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"ForwardSource({quoted(self._name)})"

    @property
    def name(self) -> str:
        return self._name

    @property
    def size(self) -> int | None:
        return self._arrived if self._ended else None

    @property
    def stores(self) -> bool:
        return self._stores

    async def open(self) -> None:
        self._bind_to_process()
        async with self._opening:
            self.check_open()
            if not self._opened and self._spool is not None:
                await self._spool.open()
                self._opened = True

    async def read_range(self, start: int, stop: int) -> bytes:
        await self.prepare_range(start, stop)
        await self._wait_for(stop)
        return await self._arrived_bytes(start, min(stop, self._arrived))

    async def read_some(self, position: int, count: int) -> bytes:
        """Read what has arrived at a position, waiting for the first byte of it.

        Returns
        -------
        bytes
            At most `count`; ``b""`` at the end.

        Raises
        ------
        SourceError
            The sender failed, or the bytes were let go.
        """
        self._bind_to_process()
        self.check_open()
        await self._wait_for(position + 1)
        return await self._arrived_bytes(position, min(position + count, self._arrived))

    def arrived(self, start: int, stop: int) -> bytes:
        """Read from the latest piece, without waiting; any thread."""
        begin, data = self._last
        return data[start - begin : stop - begin] if start >= begin else b""

    @property
    def can_store(self) -> bool:
        return self._spool is not None

    def store(self, why: str) -> None:
        if self._spool is None:
            raise SourceError(
                f"{why}, and the first bytes have passed: make requests before a range is read, "
                "or pass ForwardSource(stream, keep=True)",
                source=self.name,
            )
        if not self._stores:
            _log.info("%s is stored in a temporary file: %s", shortened(self.name), why)
        self._stores = True

    async def drop_before(self, position: int) -> None:
        if self._stores or self._spool is None:
            return
        rest = await self._arrived_bytes(position, self._arrived)
        self._last = (self._arrived - len(rest), rest)
        spool, self._spool = self._spool, None
        await spool.aclose()

    async def aclose(self) -> None:
        if self._is_forked:
            return
        if self._closed:
            return
        self._closed = True
        if self._pulling is not None:
            self._pulling.cancel()
            await asyncio.wait([self._pulling])
        try:
            await self._input.aclose()
        except Exception as exc:  # noqa: BLE001 - the sender's own clean-up; nothing is read any more
            _log.warning("%s could not be closed: %s", shortened(self.name), type(exc).__name__)
        if self._spool is not None:
            await self._spool.aclose()
        self._last = (self._arrived, b"")

    async def _wait_for(self, stop: int) -> None:
        while self._arrived < stop and not self._ended:
            if self._error is not None:
                raise self._error
            # A reader that is cancelled must not take an asynchronous generator along.
            if self._pulling is None:
                self._pulling = asyncio.create_task(self._pull(), name="asyncframes receive")
            await asyncio.wait([self._pulling])
            self.check_open()

    async def _pull(self) -> None:
        try:
            piece = await self._input.next()
            if piece and self._spool is not None:
                await self._spool.append(piece)
        except asyncio.CancelledError:
            if not self._closed:  # the sender cancelled itself, which is no end of the stream
                self._error = SourceUnavailableError("the stream broke off: cancelled", source=self.name)
            raise
        except Exception as exc:  # noqa: BLE001 - every reader raises it
            self._error = as_source_error(exc, name=self.name)
            if self._error is not exc:
                self._error.__cause__ = harmless_cause(exc)
        else:
            if piece:
                self._last = (self._arrived, piece)
                self._arrived += len(piece)
            self._ended = not piece
        finally:
            self._pulling = None

    async def _arrived_bytes(self, start: int, stop: int) -> bytes:
        begin, data = self._last
        if start >= begin or start >= stop:
            return data[start - begin : stop - begin] if stop > start else b""
        if self._spool is None:
            raise SourceError(
                f"the bytes before {begin} have passed and were not kept; ForwardSource(stream, keep=True) "
                "keeps them",
                source=self.name,
            )
        return await self._spool.read(start, stop)


class ForwardReader:
    """One pass over a forward source, in the shape of a cached one and its cursor."""

    def __init__(self, source: ForwardSource) -> None:
        self._source = source

    @property
    def name(self) -> str:
        """Name of the source."""
        return self._source.name

    @property
    def size(self) -> int | None:
        """Length, once the end has come."""
        return self._source.size

    def cached(self, start: int, stop: int) -> bytes:
        """Read what is in memory already; any thread."""
        return self._source.arrived(start, stop)

    def cursor(self) -> ForwardReader:
        """Return itself: there is one position."""
        return self

    async def fetch(self, start: int, stop: int) -> bytes:
        """Wait for the first byte and read what there is."""
        return await self._source.read_some(start, stop - start)

    def touch(self, position: int) -> None:
        """Nothing is read ahead: the sender waits for the reader."""

    def prefetch(self, ranges: Sequence[ByteRange]) -> None:
        """Nothing is read ahead."""

    def unlimit(self) -> None:
        """Nothing is read ahead."""

    async def aclose(self) -> None:
        """There is nothing to close: the source is the video's."""
