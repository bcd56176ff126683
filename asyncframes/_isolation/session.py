"""One video in a decoding process: its calls and frames, and the end of a process that fails."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from asyncframes._isolation.bytes_for_child import BytesForChild
from asyncframes._isolation.calls import Call, Patience, crashed, failed
from asyncframes._isolation.wire.channel import Channel
from asyncframes._isolation.wire.error_values import error_from_facts
from asyncframes._isolation.wire.frame_records import FrameRecord, records_from
from asyncframes._isolation.wire.messages import Kind, MalformedError, Message
from asyncframes._isolation.wire.opening import Opening
from asyncframes._isolation.wire.plain_values import line, whole
from asyncframes._isolation.wire.shared_memory import Memory, descriptor_of
from asyncframes._isolation.wire.told import Told
from asyncframes._isolation.worker import Worker
from asyncframes._isolation.workers import Workers
from asyncframes._model.rendering import Rendering
from asyncframes._requests.pump import closed_in_the_middle
from asyncframes._runtime.tasks import begin
from asyncframes._runtime.threads import in_own_thread, wait_until_done
from asyncframes._types import Image
from asyncframes.errors import ClosedError, DecoderCrashedError

# A cancelled call that is not answered so soon belongs to a process that computes and does not listen.
_ANSWER_SECONDS = 0.2
# It may also be that the system is busy: then the process has had no CPU.
_LATEST_ANSWER_SECONDS = 5.0

# For a call that was cancelled and answered, to end, and for closing: less for a process that computes.
_BUSY_END_SECONDS, _END_SECONDS = 3.0, 10.0

# Without a sign of progress for so long, while there is work and nothing to wait for, a process hangs.
STALL_SECONDS = 30.0
_WATCH_SECONDS = 1.0


class Session:
    """One video in one decoding process.

    Parameters
    ----------
    workers
        Lend the process, and take it back.
    worker
        The process.
    name
        Name of the source, for errors.
    most_bytes
        Longest body of a message to receive.
    """

    def __init__(self, workers: Workers, worker: Worker, name: str, *, most_bytes: int) -> None:
        self._workers = workers
        self._worker = worker
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._channel = Channel(worker.socket, self._take, self._lost, most_bytes=most_bytes, is_limited=True)
        self._memory: Memory | None = None
        self._calls: dict[int, Call] = {}
        # Also those that are answered, whose frames may wait for their consumer.
        self._streams: WeakSet[Call] = WeakSet()
        self._number = 0
        self._is_clean = True
        self._is_closing = False
        self._ending: asyncio.Task[None] | None = None
        self._reason: DecoderCrashedError | None = None
        self._error: BaseException | None = None
        self._watching: asyncio.Task[None] | None = None
        self._progress = self._loop.time()
        self.source: BytesForChild | None = None
        self.told = Told()

    @property
    def channel(self) -> Channel:
        """The way to the process."""
        return self._channel

    def open(self, opening: Opening) -> Call:
        """Have the process open a video."""
        self._number += 1
        call = self._calls[self._number] = Call()
        descriptor = descriptor_of(opening.memory_bytes)
        try:
            self._memory = Memory(descriptor, opening.memory_bytes)
            self._channel.send_with_descriptor(Kind.OPEN, self._number, pickle.dumps(opening), descriptor)
        finally:
            os.close(descriptor)
        self._watch()
        return call

    def call(self, method: str, *arguments: Any, rendering: Rendering | None = None, credit: int = 0) -> Call:
        """Have the process call a method.

        Parameters
        ----------
        method, *arguments
            What to call.
        rendering, credit
            Of a request for frames: how they are made, and how many may come.

        Raises
        ------
        DecoderCrashedError
            The process has ended.
        """
        if self._error is not None:
            raise self._error
        self._number += 1
        call = self._calls[self._number] = Call(rendering, credit)
        if rendering is not None:
            self._streams.add(call)
        self._channel.send(Kind.CALL, self._number, None, pickle.dumps((method, arguments)))
        self._watch()
        return call

    async def result(self, call: Call) -> tuple[dict[str, Any], bytes]:
        """Wait for an answer; if the caller is cancelled, end the call.

        Raises
        ------
        BaseException
            What the call raised.
        """
        try:
            return await asyncio.shield(call.result)
        except asyncio.CancelledError:
            if not call.result.done():
                await self.leave(call)
            raise

    async def leave(self, call: Call) -> None:
        """End a call, and wait until the process has heard of it; kill the process if it does not listen."""
        call.is_left = True
        self._drop(call)
        if call.result.done():
            return
        number = next(number for number, known in self._calls.items() if known is call)
        self._channel.send(Kind.CANCEL, number)
        patience = Patience(self._worker, _LATEST_ANSWER_SECONDS)
        while not call.answering.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(call.answering.wait(), _ANSWER_SECONDS)
                break
            if patience.is_over:
                self.kill("it did not answer a cancellation")
                return
        self._loop.call_later(_BUSY_END_SECONDS, self._check_left, call, Patience(self._worker, _END_SECONDS))

    def _check_left(self, call: Call, patience: Patience) -> None:
        """Kill the process if a call that was cancelled and answered does not end."""
        if call.result.done() or self._error is not None:
            return
        if patience.is_over:
            self.kill("a cancelled request did not end")
            return
        self._loop.call_later(_BUSY_END_SECONDS, self._check_left, call, patience)

    async def _answers_closing(self, call: Call) -> bool:
        """Wait for the process to close the video, and return whether it does."""
        patience = Patience(self._worker, _END_SECONDS)
        while not call.result.done():
            await asyncio.wait([call.result], timeout=_BUSY_END_SECONDS)
            if not call.result.done() and patience.is_over:
                return False
        return call.result.exception() is None

    def _drop(self, call: Call) -> None:
        """Give the memory of frames back that nobody will take."""
        while call.records and self._memory is not None:
            with suppress(DecoderCrashedError):
                self.view(call, call.records.popleft())
        self._tell_freed()

    def _tell_freed(self) -> None:
        """Tell the process which memory is free, while no frame is taken that could tell it."""
        if self._memory is not None and (freed := self._memory.freed()):
            self._channel.send(Kind.TAKEN, 0, {"frames": 0, "free": freed})

    def limit_cpu(self, seconds: float) -> None:
        """Have the kernel end the process after some more seconds of CPU time."""
        self._worker.limit_cpu(seconds)

    def kill(self, why: str, *, limit: str | None = "progress") -> None:
        """Kill the process, and have every call raise an error."""
        if self._reason is None and self._ending is None:
            self._reason = DecoderCrashedError(
                f"the decoding process was ended: {why}", source=self._name, limit=limit
            )
        self._is_clean = False
        self._worker.kill()

    # What the process sends.

    def _take(self, message: Message) -> None:
        self._progress = self._loop.time()
        match message.kind:
            case Kind.FRAMES:
                self._take_frames(message)
            case Kind.RESULT:
                # Read before the call is forgotten, which otherwise nobody would end.
                facts = message.facts()
                self._answered(message).settle(facts, message.body)
            case Kind.CANCELLED:
                self._answered(message).fail(closed_in_the_middle())
            case Kind.FAILED:
                error = self._error_of(message)
                self._answered(message).fail(error)
            case Kind.CANCELLING:
                if call := self._calls.get(message.number):
                    call.answering.set()
            case Kind.READ if self.source is not None:
                self.source.take(message)
            case Kind.CANCEL if self.source is not None:
                self.source.cancel(message.number)
            case Kind.TELL:
                self.told.take(message.facts())
            case Kind.ALIVE:
                pass
            case _:
                raise MalformedError(f"a message of kind {message.kind} is not expected")

    def _answered(self, message: Message) -> Call:
        call = self._calls.pop(message.number, None)
        if call is None:
            raise MalformedError("an answer to no call")
        return call

    def _take_frames(self, message: Message) -> None:
        call = self._calls.get(message.number)
        if call is None or call.rendering is None:
            raise MalformedError("frames that nobody asked for")
        call.dropped = whole(message.facts().get("dropped"))
        # Without frames, it only tells how many were dropped.
        for record in records_from(message.body, call.rendering) if message.body else ():
            call.take(record)
        if call.is_left:
            self._drop(call)
        call.arrived.set()

    def _error_of(self, message: Message) -> BaseException:
        # What went wrong may have left something behind, so the process does not serve another video.
        self._is_clean = False
        facts = message.facts()
        raised = None if self.source is None else self.source.error(facts.get("origin"))
        error = raised or error_from_facts(facts)
        if error is not None:
            return error
        return failed(line(facts.get("type")), line(facts.get("text")), self._name)

    # Frames.

    async def next_record(self, call: Call) -> FrameRecord | None:
        """Wait for the next frame of a call; ``None`` after the last one.

        Raises
        ------
        BaseException
            The error that ended the call, after the frames before it.
        """
        while not call.records or self._is_closing:
            if self._is_closing:
                raise closed_in_the_middle()
            if call.result.done():
                call.result.result()
                return None
            call.arrived.clear()
            await call.arrived.wait()
        return call.records.popleft()

    def view(self, call: Call, record: FrameRecord) -> Image:
        """Return the image of a frame, where it is in the shared memory.

        Raises
        ------
        DecoderCrashedError
            It cannot be there.
        """
        if self._memory is None or call.rendering is None:
            raise RuntimeError("this call has no frames")
        if record.image is not None:
            return record.image
        with self.believed():
            return self._memory.take(record.offset, record.shape, call.rendering.dtype)

    def is_lent(self, record: FrameRecord) -> bool:
        """Whether the caller may keep the image of a frame where it is."""
        return record.image is not None or (self._memory is not None and self._memory.lends(record.offset))

    @contextmanager
    def believed(self) -> Iterator[None]:
        """Read what the process has sent, and kill it if that is malformed.

        Raises
        ------
        DecoderCrashedError
            It is.
        """
        try:
            yield
        except MalformedError as exc:
            self.kill(f"it broke the protocol: {exc}", limit="protocol")
            raise (self._reason or self._error or exc) from exc

    def taken(self, call: Call, frames: int) -> None:
        """Tell the process that the consumer took frames, and which memory is free."""
        if self._memory is None or call.result.done():
            return
        number = next((number for number, known in self._calls.items() if known is call), 0)
        call.credit += frames
        # Until now the process may have had nothing to do.
        self._progress = self._loop.time()
        self._channel.send(Kind.TAKEN, number, {"frames": frames, "free": self._memory.freed()})

    # The end.

    def _lost(self, error: Exception | None) -> None:
        """Note that the process has closed its end of the socket, or broken the protocol."""
        self._is_clean = False
        if isinstance(error, MalformedError):
            self.kill(f"it broke the protocol: {error}", limit="protocol")
        self._ending = begin(self._end(), "asyncframes end of a process")

    async def _end(self) -> None:
        code, is_ended_here = await in_own_thread(self._worker.ended)
        if is_ended_here and self._reason is None:
            self._reason = DecoderCrashedError(
                "the decoding process was ended: it closed its socket", source=self._name, limit="protocol"
            )
        self._fail(self._reason or crashed(code, self._name))

    def _fail(self, error: BaseException) -> None:
        self._error = error
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.fail(error)

    async def aclose(self) -> None:
        """Close the video, and give the process back or end it."""
        self._is_closing = True
        for call in list(self._calls.values()):
            call.is_left = True
            self._drop(call)
            call.fail(closed_in_the_middle())
        if self._error is None and self._ending is None:
            is_closed = False
            with suppress(asyncio.CancelledError):  # the process is ended below
                is_closed = await self._answers_closing(self.call("close"))
            self._is_clean &= is_closed
        if self._watching is not None:
            self._watching.cancel()
        if self.source is not None:
            await self.source.aclose()
        is_clean = self._is_clean and not self._calls and self._channel.is_clean
        self._channel.detach()
        if self._ending is not None:
            await wait_until_done(self._ending)
        self._fail(ClosedError(f"the video is closed [{self._name}]"))
        self._workers.give_back(self._worker, is_clean=is_clean)
        memory, self._memory = self._memory, None
        if memory is not None:
            memory.rest()

    # Progress.

    def _watch(self) -> None:
        self._progress = self._loop.time()
        if self._watching is None or self._watching.done():
            self._watching = begin(self._watched(), "asyncframes watch")

    def _make_room(self) -> None:
        """Copy images that wait for their consumer: other requests may wait for their memory."""
        if self._memory is not None:
            with suppress(DecoderCrashedError), self.believed():
                for call in list(self._streams):
                    call.set_aside(self._memory)

    async def _watched(self) -> None:
        """Kill the process if it makes no progress while it has work, and all it waits for."""
        while self._calls and self._error is None:
            await asyncio.sleep(_WATCH_SECONDS)
            if self._loop.time() - self._progress > _WATCH_SECONDS:
                self._make_room()
            self._tell_freed()
            if self._worker.ignores_cpu_limit:
                self.kill("it used more CPU time than cpu_seconds allows", limit="cpu")
            waits = self.source is not None and self.source.are_awaited
            if waits or all(call.waits_for_consumer for call in self._calls.values()):
                self._progress = self._loop.time()
            elif self._loop.time() - self._progress > STALL_SECONDS:
                self.kill(f"it made no progress for {STALL_SECONDS:g} s")
