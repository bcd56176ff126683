"""Bytes that arrive once, in order."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import Any

from asyncframes._model.quoting import a_kind, quoted, shortened
from asyncframes._policy.policy import Policy
from asyncframes._runtime.life import OneProcess
from asyncframes._runtime.tasks import begin
from asyncframes.errors import NotPicklableError, SourceError, SourceUnavailableError
from asyncframes.sources._forward.arrival import ByteStream, as_source_error, make_input
from asyncframes.sources._forward.sequential import ForwardBytes, dropped
from asyncframes.sources._http.pace import Pace, Rate
from asyncframes.sources._limits import ByteLimit
from asyncframes.sources._names import harmless_cause, public_name
from asyncframes.sources._spool import Spool

_log = logging.getLogger("asyncframes")


class ForwardSource(OneProcess, ForwardBytes):
    """Bytes that arrive once: an upload, a pipe, the body of a response.

    Frames are decoded while bytes arrive, if they are requested as a range (`start`,
    `end` and `step`, none negative). The sender is asked for more only when the decoder
    needs it. If a request has to look back (it needs a frame table, the header of an MP4
    comes last, or the file is AVIF, AVI, MXF or RealMedia), the bytes are stored in a
    temporary file, and the log says so. Once a range has been requested, the bytes before
    it are gone, unless ``keep=True``.

    Parameters
    ----------
    stream
        An asynchronous iterable of bytes, an object with an asynchronous `read` such as
        `asyncio.StreamReader`, a binary file, seekable or not, or an iterator of bytes.
        Files and iterators are read in a thread. It is not closed, unless it is a
        generator, asynchronous or not.
    keep
        Whether to store all bytes from the start, so that any number of requests can
        be made.
    max_spool_bytes
        Most bytes to store.
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
        self._name = public_name(name) if isinstance(name, str) else f"{a_kind(stream)} of bytes"
        self._input = make_input(stream)
        self._stores = keep
        self._spool: Spool | None = Spool(
            name=self._name,
            limit=ByteLimit(max_spool_bytes, "max_spool_bytes"),
            directory=spool_directory,
        )
        self._rate = Rate()
        self._pace = Pace(self._rate, name=self._name)
        self._longest = ByteLimit()
        self._opened = False
        self._opening = asyncio.Lock()
        self._last = (0, b"")
        self._arrived = 0
        self._ended = False
        self._error: Exception | None = None
        self._pulling: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"ForwardSource({quoted(self._name)})"

    def __reduce__(self) -> tuple[Any, ...]:
        raise NotPicklableError(
            f"{self!r} cannot be pickled, because its bytes arrive once, in this process: "
            "store them in a file and pass its path, or pass them as bytes"
        )

    @property
    def name(self) -> str:
        return self._name

    @property
    def size(self) -> int | None:
        return self._arrived if self._ended else None

    def _limit(self, policy: Policy) -> None:
        self._rate = self._rate.limited_by(policy)
        self._pace = Pace(self._rate, name=self._name)
        self._longest = self._longest.limited_by(policy)
        if self._spool is not None:
            self._spool.limit = self._spool.limit.limited_by(policy)

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
        self._bind_to_process()
        self.check_open()
        await self._wait_for(position + 1)
        return await self._arrived_bytes(position, min(position + count, self._arrived))

    def arrived(self, start: int, stop: int) -> bytes:
        begin, data = self._last
        return data[start - begin : stop - begin] if start >= begin else b""

    @property
    def can_store(self) -> bool:
        return self._spool is not None

    def store(self, why: str) -> None:
        if self._spool is None:
            raise dropped(why, self.name)
        if not self._stores:
            _log.info("%s is stored in a temporary file: %s", shortened(self.name), why)
        self._stores = True

    async def receive(self, policy: Policy | None = None) -> int:
        """Receive all bytes and store them, before a video is opened.

        A decoding process is taken when its video is opened, and waits with it for a slow sender. If all
        bytes are needed anyway, receive them first: then nothing but the temporary file is held meanwhile.

        Parameters
        ----------
        policy
            What its `max_source_bytes` and `min_bytes_per_second` allow. It sets no deadline: use
            ``asyncio.timeout``.

        Returns
        -------
        int
            The number of bytes.

        Raises
        ------
        SourceLimitError
            They are more, or come more slowly, than `policy` or `max_spool_bytes` allows.
        SourceError
            The sender failed, or some bytes were read and dropped before.
        """
        if policy is not None:
            self._limit(policy)
        await self.open()
        if not self._stores:
            self.store("it is received before it is opened")
        await self._wait_for(sys.maxsize)
        return self._arrived

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
        except Exception as exc:  # noqa: BLE001 - the sender's own clean-up; all reads are over
            _log.warning("%s could not be closed: %s", shortened(self.name), type(exc).__name__)
        if self._spool is not None:
            await self._spool.aclose()
        self._last = (self._arrived, b"")

    async def _wait_for(self, stop: int) -> None:
        while self._arrived < stop and not self._ended:
            if self._error is not None:
                raise self._error
            # In a task of its own: cancelling a reader must not cancel an asynchronous generator.
            if self._pulling is None:
                self._pulling = begin(self._pull(), "asyncframes receive")
            await asyncio.wait([self._pulling])
            self.check_open()

    async def _pull(self) -> None:
        try:
            piece = await self._pace.next(self._input.next())
            self._longest.check(self._arrived + len(piece), self.name)
            if piece and self._spool is not None:
                await self._spool.append(piece)
        except asyncio.CancelledError:
            if not self._closed:  # the sender cancelled itself, so the stream is incomplete
                self._error = SourceUnavailableError(
                    "the stream ended early: the sender was cancelled", source=self.name
                )
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
                f"the bytes before {begin} are gone: pass ForwardSource(stream, keep=True) to keep them",
                source=self.name,
            )
        return await self._spool.read(start, stop)
