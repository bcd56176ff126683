"""The bytes of a source that the process of the video reads, as the decoding process asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, BinaryIO

from asyncframes._isolation.wire.channel import Channel
from asyncframes._isolation.wire.error_values import error_from_facts
from asyncframes._isolation.wire.messages import Kind, Message
from asyncframes._isolation.wire.opening import Opening
from asyncframes._model.ranges import check_range
from asyncframes._model.table import FrameTable
from asyncframes._requests.inputs import CachedInput
from asyncframes.abc import StreamSource
from asyncframes.errors import ClosedError, SourceError
from asyncframes.sources._cache.source import CachedSource
from asyncframes.sources._forward.sequential import ForwardBytes, dropped

_MOST_AT_ONCE = 1024**2


class Reads:
    """Asks the process of the video for bytes, several reads at a time."""

    def __init__(self, channel: Channel, size: int | None) -> None:
        self._channel = channel
        self._pending: dict[int, tuple[asyncio.Future[None], Callable[[bytes], object]]] = {}
        self._number = 0
        self.size = size

    async def ask(self, arrived: Callable[[bytes], object], body: bytes = b"", **facts: Any) -> None:
        """Ask for something, and pass on what arrives.

        Raises
        ------
        AsyncFramesError
            The process of the video could not read it.
        """
        self._number += 1
        number, done = self._number, asyncio.get_running_loop().create_future()
        self._pending[number] = done, arrived
        self._channel.send(Kind.READ, number, facts, body)
        try:
            await done
        finally:
            self._pending.pop(number, None)
            if done.cancelled():
                self._channel.send(Kind.CANCEL, number)

    async def bytes_of(self, body: bytes = b"", **facts: Any) -> bytes:
        """Ask for bytes, and return them all."""
        found = bytearray()
        await self.ask(found.extend, body, **facts)
        return bytes(found)

    def tell(self, **facts: Any) -> None:
        """Tell something that has no answer, which the process of the video learns before later reads."""
        self._channel.send(Kind.READ, 0, facts)

    def answer(self, message: Message) -> None:
        """Take in an answer."""
        done, arrived = self._pending.get(message.number, (None, None))
        if done is None or arrived is None or done.done():
            return
        if message.kind == Kind.UNREADABLE:
            done.set_exception(_unreadable(message.facts()))
            return
        facts = message.facts()
        self.size = facts["size"]
        if message.body:
            arrived(message.body)
        if facts["is_last"]:
            done.set_result(None)

    def close(self) -> None:
        """End all reads."""
        for done, _arrived in list(self._pending.values()):
            if not done.done():
                done.set_exception(ClosedError("the video is closed"))


def _unreadable(facts: dict[str, Any]) -> Exception:
    """Return the error for a read, which knows the number of the one that was raised."""
    error = error_from_facts(facts) or SourceError("the source cannot be read")
    error.__dict__["_origin"] = facts["origin"]
    return error


class ParentsSource(StreamSource):
    """A source that the process of the video reads.

    Parameters
    ----------
    opening
        What is known of it.
    reads
        Asks for its bytes.
    """

    def __init__(self, opening: Opening, reads: Reads) -> None:
        self._opening = opening
        self._reads = reads

    @property
    def name(self) -> str:
        return self._opening.name

    @property
    def size(self) -> int | None:
        return self._reads.size

    @property
    def validator(self) -> str | None:
        return self._opening.validator

    async def read_range(self, start: int, stop: int) -> bytes:
        # Where the source ends, the process of the video knows best.
        check_range(start, stop)
        parts = [
            await self._reads.bytes_of(what="range", start=begin, stop=min(begin + _MOST_AT_ONCE, stop))
            for begin in range(start, stop, _MOST_AT_ONCE)
        ]
        return b"".join(parts)

    async def receive_range(self, start: int, stop: int, arrived: Callable[[bytes], object]) -> None:
        # Where the source ends, the process of the video knows best.
        check_range(start, stop)
        await self._reads.ask(arrived, what="range", start=start, stop=stop)


class ParentsForwardSource(ParentsSource, ForwardBytes):
    """A source whose bytes arrive once, in the process of the video, which stores them if need be."""

    def __init__(self, opening: Opening, reads: Reads) -> None:
        super().__init__(opening, reads)
        self._stores = False
        self._can_store = opening.can_store
        self._last = (0, b"")

    @property
    def stores(self) -> bool:
        return self._stores

    @property
    def can_store(self) -> bool:
        return self._can_store

    def store(self, why: str) -> None:
        if not self._can_store:
            raise dropped(why, self.name)
        # Later messages arrive later, so the process of the video has stored before it reads again.
        self._reads.tell(what="store", why=why)
        self._stores = True

    async def drop_before(self, position: int) -> None:
        if not self._stores:
            self._can_store = False
            await self._reads.bytes_of(what="drop", start=position, stop=position)

    async def read_some(self, position: int, count: int) -> bytes:
        self.check_open()
        if data := self.arrived(position, position + count):
            return data
        data = await self._reads.bytes_of(what="some", start=position, stop=position + _MOST_AT_ONCE)
        self._last = (position, data)
        return data[:count]

    def arrived(self, start: int, stop: int) -> bytes:
        begin, data = self._last
        return data[start - begin : stop - begin] if start >= begin else b""


class ParentsInput(CachedInput):
    """The source of the process of the video, as decoders read it."""

    def __init__(self, opening: Opening, reads: Reads) -> None:
        kind = ParentsForwardSource if opening.arrives_once else ParentsSource
        source = kind(opening, reads)
        # The process of the video counts the bytes: it does not rely on this one.
        cached = CachedSource(
            source,
            cache_bytes=opening.cache_bytes,
            read_ahead_bytes=opening.read_ahead_bytes,
            max_read_bytes=2**62,
        )
        super().__init__(source, cached)
        self._reads = reads

    def allow_request(self, share: float = 1.0) -> None:
        if share != 1.0:
            self._reads.tell(what="allow", share=share)

    def local_file(self) -> BinaryIO | None:
        return None


class ParentsTables:
    """The table cache of the process of the video, which finds the table of this video itself."""

    def __init__(self, reads: Reads, loop: asyncio.AbstractEventLoop) -> None:
        self._reads = reads
        self._loop = loop

    def load(self, _key: str) -> FrameTable | None:
        """Return the stored table. Blocks; call it in a worker thread."""
        asked = self._reads.bytes_of(what="load table")
        data = asyncio.run_coroutine_threadsafe(asked, self._loop).result()
        return FrameTable.from_bytes(data) if data else None

    def save(self, _key: str, table: FrameTable) -> None:
        """Store a table. Blocks; call it in a worker thread."""
        asked = self._reads.bytes_of(what="save table", body=table.to_bytes())
        asyncio.run_coroutine_threadsafe(asked, self._loop).result()
