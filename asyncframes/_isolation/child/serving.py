"""The decoding process: serves the requests for one video after another."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import os
import pickle
import socket
from dataclasses import replace
from typing import Any

from asyncframes._isolation.child.frame_stream import FrameStream
from asyncframes._isolation.child.parents_bytes import ParentsInput, ParentsTables, Reads
from asyncframes._isolation.wire.channel import Channel
from asyncframes._isolation.wire.error_values import error_as_facts
from asyncframes._isolation.wire.info_values import info_as_facts
from asyncframes._isolation.wire.messages import Kind, Message
from asyncframes._isolation.wire.opening import Opening
from asyncframes._isolation.wire.shared_memory import Space
from asyncframes._model.rendering import Rendering
from asyncframes._model.selection import Selection
from asyncframes._model.table import FrameTable
from asyncframes._requests.decoder_session import ReadOptions
from asyncframes._requests.request import Request
from asyncframes._requests.requests import Requests
from asyncframes._runtime.threads import in_thread, shared_executor

_HEARTBEAT_SECONDS = 0.5

# A frame table that the caller passes is the longest message.
_MOST_BYTES = 2**31


class Serving:
    """Serves the requests for one video.

    Parameters
    ----------
    channel
        Leads to the process of the video.
    opening
        The video.
    space
        The shared memory.
    """

    def __init__(self, channel: Channel, opening: Opening, space: Space) -> None:
        self._channel = channel
        self._space = space
        self._loop = asyncio.get_running_loop()
        self._reads = Reads(channel, opening.size)
        self._packets: dict[tuple[str, int | None], int] = {}
        self._tells_packets = opening.tells_packets
        self._calls: dict[int, asyncio.Task[None]] = {}
        self._streams: dict[int, FrameStream] = {}
        self._known_table = opening.options.frame_table
        self._table_number = 0
        """Counts the tables. 0 is the caller's, if there is one."""
        tables: Any = ParentsTables(self._reads, self._loop) if opening.stores_tables else None
        self._requests = Requests(
            ParentsInput(opening, self._reads),
            ReadOptions(
                executor=shared_executor(),
                read_timeout_seconds=opening.read_timeout_seconds,
                container=opening.container,
                packet_progress=self._count_packet,
                cpu_seconds=opening.cpu_seconds,
            ),
            replace(opening.options, table_cache=tables),
        )
        self._heart = self._loop.create_task(self._beat())

    def take(self, message: Message) -> None:
        """Take in a message."""
        match message.kind:
            case Kind.CALL:
                method, arguments = pickle.loads(message.body)  # noqa: S301 - from the process of the video
                work = self._answered(message.number, getattr(self, f"_{method}"), arguments)
                self._calls[message.number] = self._loop.create_task(work)
            case Kind.CANCEL:
                self._channel.send(Kind.CANCELLING, message.number)
                if task := self._calls.get(message.number):
                    task.cancel()
            case Kind.TAKEN:
                facts = message.facts()
                self._space.free(facts["free"])
                if stream := self._streams.get(message.number):
                    stream.credit += facts["frames"]
                for stream in self._streams.values():
                    stream.changed.set()
            case Kind.BYTES | Kind.UNREADABLE:
                self._reads.answer(message)

    def start(self, number: int) -> None:
        """Open the video, as the answer to a message."""
        self._calls[number] = self._loop.create_task(self._answered(number, self._open, ()))

    async def _answered(self, number: int, method: Any, arguments: tuple[Any, ...]) -> None:
        try:
            try:
                facts, body = await method(number, *arguments)
            finally:
                self._tell_packets()
            if method != self._close:
                facts |= {"known": self._requests.known_count, "has_table": self._requests.has_table}
        except asyncio.CancelledError:
            self._channel.send(Kind.CANCELLED, number)
        except BaseException as exc:  # noqa: BLE001 - the caller raises it
            self._channel.send(Kind.FAILED, number, _told(exc))
        else:
            self._channel.send(Kind.RESULT, number, facts, body)
        finally:
            self._calls.pop(number, None)

    async def _open(self, _number: int) -> tuple[dict[str, Any], bytes]:
        await self._requests.open()
        return {"info": info_as_facts(self._requests.info)}, b""

    async def _table(self, _number: int, held: int) -> tuple[dict[str, Any], bytes]:
        return await self._packed(await self._requests.table(), held)

    async def _rows(
        self, _number: int, selection: Selection | None, held: int
    ) -> tuple[dict[str, Any], bytes]:
        return await self._packed(await self._requests.rows(selection), held)

    async def _packed(self, table: FrameTable, held: int) -> tuple[dict[str, Any], bytes]:
        """Return a table, unless the process of the video holds it: it knows the number of the last one."""
        if table is not self._known_table:
            self._known_table = table
            self._table_number += 1
        number = self._table_number
        if number == held:
            return {"table": number}, b""
        return {"table": number}, await in_thread(self._requests.executor, table.to_bytes)

    async def _resolve(
        self, _number: int, selection: Selection, distinct: bool
    ) -> tuple[dict[str, Any], bytes]:
        found = await self._requests.resolve(selection, distinct=distinct)
        return {}, found.astype("<i8").tobytes()

    async def _prefetch(self, _number: int, selection: Selection) -> tuple[dict[str, Any], bytes]:
        await self._requests.prefetch(selection)
        return {}, b""

    async def _frames(
        self, number: int, request: Request, credit: int, is_kept: bool
    ) -> tuple[dict[str, Any], bytes]:
        stream = self._streams[number] = FrameStream(self._channel, self._space, number, credit)
        try:
            await stream.send(self._requests.frames(request, stream.images(is_kept=is_kept)), is_kept=is_kept)
        finally:
            del self._streams[number]
        return {}, b""

    async def _latest(self, number: int, rendering: Rendering) -> tuple[dict[str, Any], bytes]:
        latest = self._requests.latest(rendering)
        stream = self._streams[number] = FrameStream(
            self._channel, self._space, number, 1, count_dropped=lambda: latest.dropped
        )
        try:
            await stream.send(latest, is_kept=False)
        finally:
            del self._streams[number]
        return {"dropped": latest.dropped}, b""

    async def _close(self, _number: int) -> tuple[dict[str, Any], bytes]:
        await self.aclose()
        # Once the answer is sent, which the caller waits for.
        asyncio.get_running_loop().call_soon(_give_memory_back)
        return {}, b""

    async def aclose(self) -> None:
        """End every request and close the video."""
        self._heart.cancel()
        others = [task for task in self._calls.values() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        self._reads.close()
        await asyncio.gather(*others, return_exceptions=True)
        await self._requests.aclose()
        try:
            self._space.close()
        except BufferError:
            # Images in a cycle, such as that of an error and its traceback.
            gc.collect()
            self._space.close()

    def _count_packet(self, phase: str, total: int | None) -> None:
        """Count a packet; worker threads call it."""
        self._packets[phase, total] = self._packets.get((phase, total), 0) + 1

    async def _beat(self) -> None:
        """Tell now and then that packets are read, and how many frames are dropped."""
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            if self._packets:
                self._channel.send(Kind.ALIVE)
            self._tell_packets()
            for stream in self._streams.values():
                stream.tell_dropped()

    def _tell_packets(self) -> None:
        counted, self._packets = self._packets, {}
        if self._tells_packets:
            for (phase, total), packets in counted.items():
                self._channel.send(Kind.TELL, 0, {"phase": phase, "total": total, "packets": packets})


def _give_memory_back() -> None:
    """Return freed memory to the system: glibc keeps some pictures for each thread that has decoded."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def _told(error: BaseException) -> dict[str, Any]:
    """Return an error as facts: its number if the process of the video raised it."""
    return {**error_as_facts(error), "origin": vars(error).get("_origin")}


class _ToParent(logging.Handler):
    """Sends what is logged to the process of the video."""

    def __init__(self, channel: Channel, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(logging.INFO)
        self._channel = channel
        self._loop = loop

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record, from any thread."""
        facts = {"level": record.levelno, "text": record.getMessage()}
        self._loop.call_soon_threadsafe(self._channel.send, Kind.TELL, 0, facts)


def _opened(channel: Channel, message: Message) -> Serving:
    """Begin to open a video."""
    descriptor = channel.descriptors.pop()
    try:
        opening: Opening = pickle.loads(message.body)  # noqa: S301 - from the process of the videos
        space = Space(descriptor, opening.memory_bytes)
    finally:
        os.close(descriptor)
    serving = Serving(channel, opening, space)
    serving.start(message.number)
    return serving


async def serve(sock: socket.socket, report: dict[str, Any]) -> None:
    """Serve videos until the other side is gone."""
    serving: Serving | None = None
    gone = asyncio.Event()

    def receive(message: Message) -> None:
        nonlocal serving
        try:
            if message.kind == Kind.OPEN:
                serving = _opened(channel, message)
            elif serving is not None:
                serving.take(message)
        except BaseException as exc:  # noqa: BLE001 - the process of the videos raises it
            channel.send(Kind.FAILED, message.number, error_as_facts(exc))

    loop = asyncio.get_running_loop()
    channel = Channel(
        sock, receive, lambda _error: gone.set(), most_bytes=_MOST_BYTES, takes_descriptors=True
    )
    log = logging.getLogger("asyncframes")
    log.addHandler(_ToParent(channel, loop))
    log.setLevel(logging.INFO)
    log.propagate = False
    channel.send(Kind.READY, 0, report)
    await gone.wait()
