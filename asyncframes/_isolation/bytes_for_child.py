"""Reads the source for the decoding process, and stores its frame table."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any

from asyncframes._isolation.stored_table import StoredTable
from asyncframes._isolation.wire.channel import Channel
from asyncframes._isolation.wire.error_values import error_as_facts
from asyncframes._isolation.wire.messages import Kind, MalformedError, Message
from asyncframes._isolation.wire.plain_values import number, text, whole
from asyncframes._requests.inputs import VideoInput
from asyncframes._runtime.tasks import begin
from asyncframes.errors import AsyncFramesError, ClosedError, SourceError
from asyncframes.sources import CachedSource
from asyncframes.sources._forward.sequential import ForwardBytes

_MOST_READS = 64
_MOST_RANGE = 64 * 1024**2
_MOST_ERRORS = 16

# What was read and not sent yet is held in memory, so few long ranges are read at once.
_LARGE_RANGE = 4 * 1024**2
_MOST_LARGE = 4

# A request may read a source many times over if its frames are in disorder.
_MOST_SHARE = 64.0


class BytesForChild:
    """Answers what one decoding process asks about the source of its video.

    Parameters
    ----------
    video_input
        The source, open.
    cached
        The source behind its limits.
    channel
        Leads to the process.
    table
        The stored frame table, ``None`` if none is stored.
    """

    def __init__(
        self, video_input: VideoInput, cached: CachedSource, channel: Channel, table: StoredTable | None
    ) -> None:
        self._input = video_input
        self._cached = cached
        self._channel = channel
        self._table = table
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._errors: dict[int, BaseException] = {}
        self._failed = 0
        self._large = asyncio.Semaphore(_MOST_LARGE)
        self._storing = asyncio.Lock()
        self.requests = 0
        """How many requests for frames may still read more than once."""

    @property
    def are_awaited(self) -> bool:
        """Whether the process waits for bytes."""
        return bool(self._tasks) and self._channel.is_being_read

    def error(self, origin: object) -> BaseException | None:
        """Return the error that the process got for a read, by its number."""
        return self._errors.get(origin) if isinstance(origin, int) else None

    def take(self, message: Message) -> None:
        """Begin to answer a message.

        Raises
        ------
        MalformedError
            It asks for something impossible, or for too much at once.
        """
        facts = message.facts()
        what = text(facts.get("what"))
        if what in {"store", "allow"}:
            self._told(what, facts)
            return
        if len(self._tasks) >= _MOST_READS or message.number in self._tasks:
            raise MalformedError(f"a read of {what[:20]!r} is not possible now")
        if message.body and (what != "save table" or self._storing.locked()):
            raise MalformedError("more than one frame table at once, or bytes that nobody asked for")
        read = self._read(what, message, facts)
        self._tasks[message.number] = begin(
            self._answer(message.number, read), "asyncframes read for a process"
        )

    def cancel(self, read: int) -> None:
        """Stop to answer."""
        if task := self._tasks.get(read):
            task.cancel()

    def _told(self, what: str, facts: dict[str, Any]) -> None:
        if what == "allow":
            share = number(facts.get("share"))
            if self.requests and 0 <= share < math.inf:
                self.requests -= 1
                self._input.allow_request(min(share, _MOST_SHARE))
        elif source := self._input.sequential:
            try:
                source.store(text(facts.get("why")))
            except SourceError:
                return  # the next read raises it

    def _read(self, what: str, message: Message, facts: dict[str, Any]) -> Callable[[], Awaitable[bytes]]:
        """Return what reads the bytes that are asked for."""
        match what:
            case "range":
                return partial(self._range, message.number, *_bounds(facts))
            case "some":
                return partial(self._some, *_bounds(facts))
            case "drop":
                return partial(self._drop, _bounds(facts)[0])
            case "load table":
                return self._load
            case "save table":
                return partial(self._save, message.body)
        raise MalformedError(f"a read of {what[:20]!r} is not possible")

    async def _answer(self, read: int, bytes_of: Callable[[], Awaitable[bytes]]) -> None:
        try:
            data = await bytes_of()
        except asyncio.CancelledError:
            raise
        except MalformedError as exc:
            self._channel.refuse(exc)
        except Exception as exc:  # noqa: BLE001 - the process raises it where it reads
            self._refuse(read, exc)
        else:
            self._channel.send(Kind.BYTES, read, self._facts(is_last=True), data)
        finally:
            self._tasks.pop(read, None)

    def _facts(self, *, is_last: bool) -> dict[str, Any]:
        return {"size": self._cached.size, "is_last": is_last}

    def _refuse(self, read: int, error: Exception) -> None:
        self._failed += 1
        self._errors[self._failed] = error
        self._errors.pop(self._failed - _MOST_ERRORS, None)
        told = error if isinstance(error, AsyncFramesError) else SourceError(type(error).__name__)
        # The process has only our own errors to look at. The caller gets the one that was raised.
        self._channel.send(Kind.UNREADABLE, read, {**error_as_facts(told), "origin": self._failed})

    async def _range(self, read: int, start: int, stop: int) -> bytes:
        def arrived(piece: bytes) -> None:
            self._channel.send(Kind.BYTES, read, self._facts(is_last=False), piece)

        async with self._room_for(stop - start):
            # The process may not know yet where the source ends.
            end = self._cached.size
            stop = stop if end is None else min(stop, end)
            if start < stop:
                await self._cached.receive_uncached(start, stop, arrived)
        return b""

    @asynccontextmanager
    async def _room_for(self, length: int) -> AsyncIterator[None]:
        """Wait until little enough is held in memory for a range of a length."""
        async with self._large if length > _LARGE_RANGE else nullcontext():
            await self._channel.has_room()
            yield

    async def _some(self, start: int, stop: int) -> bytes:
        source = self._forward()
        async with self._room_for(stop - start):
            return await source.read_some(start, stop - start)

    async def _drop(self, before: int) -> bytes:
        await self._forward().drop_before(before)
        return b""

    def _forward(self) -> ForwardBytes:
        source = self._input.source
        if not isinstance(source, ForwardBytes):
            raise ClosedError("the source does not arrive once")
        return source

    async def _load(self) -> bytes:
        if self._table is None:
            return b""
        async with self._storing:
            await self._channel.has_room()
            return await self._table.load()

    async def _save(self, data: bytes) -> bytes:
        if self._table is not None:
            async with self._storing:
                await self._table.save(data)
        return b""

    async def aclose(self) -> None:
        """Stop to answer, and wait for the reads that are running."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _bounds(facts: dict[str, Any]) -> tuple[int, int]:
    start, stop = whole(facts.get("start")), whole(facts.get("stop"))
    if not start <= stop <= start + _MOST_RANGE:
        raise MalformedError(f"a range from {start} to {stop} is not possible")
    return start, stop
