"""Frames from worker threads to one consumer, through a bounded queue.

The thread takes one bounded step at a time and never waits for the consumer:
the task does, so a video whose consumer is slow holds no thread.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from traceback import clear_frames
from typing import ParamSpec, Protocol, TypeVar

from asyncframes._runtime.threads import in_thread, wait_until_done
from asyncframes._types import Frame
from asyncframes.errors import ClosedError, CorruptMediaError

# So long after its last frame a request keeps its turn, unless its consumer leaves it before.
_GRACE_SECONDS = 0.05

P = ParamSpec("P")
T = TypeVar("T")


# More decoders side by side cost memory and threads, and bring little.
_MOST_AT_ONCE = 8


class Turns:
    """So many may decode at once; who comes first is served first.

    Parameters
    ----------
    at_once
        How many; as many as there are CPUs by default, from 2 to 8.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self.at_once = at_once or max(2, min(_MOST_AT_ONCE, os.cpu_count() or 1))
        self._free = asyncio.Semaphore(self.at_once)
        self._waiting = 0

    @property
    def are_awaited(self) -> bool:
        """Whether anybody waits."""
        return self._waiting > 0

    @property
    def are_all_taken(self) -> bool:
        """Whether a further one would wait."""
        return self._free.locked()

    async def take(self) -> None:
        """Wait for a turn."""
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    def give_back(self) -> None:
        """Let the next one decode."""
        self._free.release()


class Turn:
    """One decoder's turn.

    A request keeps it until its consumer is behind, so nobody waits for a consumer.
    Once it has delivered frames it lets others go first after each step.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._is_held = False

    async def take(self) -> None:
        """Wait for the turn; at once where it is held."""
        if not self._is_held:
            await self._turns.take()
            self._is_held = True

    def end(self) -> None:
        """Let others decode; nothing happens where the turn is not held."""
        if self._is_held:
            self._is_held = False
            self._turns.give_back()

    def share(self) -> None:
        """End the turn if others wait for one."""
        if self._turns.are_awaited:
            self.end()


class Worker:
    """Runs calls on one decoder in an executor, one at a time.

    A cancelled call is aborted and waited for, so that nothing runs on behind
    the back of whoever cancelled it.

    Attributes
    ----------
    aborted
        Whether a call was aborted; what it worked on is in no defined state then.
    """

    def __init__(self, executor: Executor, abort: Callable[[], None]) -> None:
        self._executor = executor
        self._abort = abort
        self.aborted = False

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the executor."""
        process = os.getpid()
        future = in_thread(self._executor, _called, partial(function, *args, **kwargs))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if os.getpid() != process:
                raise  # the thread is the parent's
            if not future.done():
                self.aborted = True
                self._abort()
            await wait_until_done(future)
            raise


def _called(function: Callable[[], T]) -> T:
    """Call a function; an error keeps nothing alive but itself.

    Whoever holds an error holds the variables on its way: a packet among them keeps its
    codec, with all threads, and errors in reference cycles wait for the collector.
    """
    try:
        return function()
    except BaseException as exc:
        _clear(exc)
        del function
        raise


def _clear(error: BaseException) -> None:
    """Drop the variables on the way of an error and of what led to it, but those of whoever still runs."""
    for link in _chained(error):
        clear_frames(link.__traceback__)


def _chained(error: BaseException) -> list[BaseException]:
    """List an error and all that led to it."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        known = waiting.pop()
        if known is not None and known not in found:
            found.append(known)
            waiting += [known.__cause__, known.__context__]
    return found


# Frames of more bytes than this do not wait in a queue, but for one.
_QUEUE_BYTES = 256 * 1024 * 1024


class Job(Protocol):
    """Something that makes frames in bounded steps; see `asyncframes._requests.jobs.FrameJob`."""

    def step(
        self, room: Callable[[], int], deliver: Callable[[list[Frame]], None], stopped: Callable[[], bool]
    ) -> bool:
        """Make and deliver frames while there is room; whether there may be more."""
        ...


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


class Pump:
    """A task that steps a job and queues its frames until it is done or closed.

    A step goes on as long as there is room, and hands frames over as they come,
    without waiting and without losing any: a thread that had to ask the loop for
    each queue of frames would be idle half the time with small ones. At most
    ``queue_maxsize + 1`` frames exist between the job and the consumer, and of large
    ones no more than fit into 256 MiB.

    Parameters
    ----------
    worker
        Steps the job.
    turn
        To be held while it does.
    job
        Makes the frames.
    queue_maxsize
        How many frames may wait for the consumer.
    keeps_turn
        Whether to keep the turn from the first frame to the last, for a consumer
        that is never behind.
    """

    def __init__(
        self, worker: Worker, turn: Turn, job: Job, queue_maxsize: int, *, keeps_turn: bool = False
    ) -> None:
        self._worker = worker
        self._turn = turn
        self._job = job
        self._queue: asyncio.Queue[list[Frame] | _Failure | None] = asyncio.Queue()
        self._first: list[Frame] = []
        """The first of the queue, last frame first."""
        self._delivered = 0
        self._taken = 0
        # Two sums, as one thread writes each: the bytes of the frames handed over, and of those taken.
        self._delivered_bytes = 0
        self._taken_bytes = 0
        self._image_bytes = 0
        self._maxsize = queue_maxsize
        self._keeps_turn = keeps_turn
        self._has_room = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._ended = False
        self._task: asyncio.Task[None] | None = asyncio.create_task(self._run(), name="asyncframes decode")

    async def _run(self) -> None:
        end: _Failure | None = None
        try:
            more = True
            while more:
                await self._wait_for_room()
                await self._turn.take()
                more = await self._worker.run(
                    self._job.step, self._room, self._deliver, lambda: self._stopped
                )
                if more and self._delivered and not self._keeps_turn:
                    self._turn.share()
        except Exception as exc:  # noqa: BLE001 - it is raised again where the frames are consumed
            end = _Failure(exc)
        # The next request goes on with this decoder, if this one is left soon.
        self._loop.call_later(_GRACE_SECONDS, self._turn.end)
        self._queue.put_nowait(end)

    async def _wait_for_room(self) -> None:
        while not self._room():
            if not self._keeps_turn:
                self._turn.end()
            self._has_room.clear()
            await self._has_room.wait()

    def _room(self) -> int:
        """How many frames more may be made, none while less than half is free; any thread.

        A thread hop for each would cost more than small frames do.
        """
        queued = self._delivered - self._taken
        free = self._maxsize - queued
        if free < (self._maxsize + 1) // 2:
            return 0
        if not self._image_bytes:
            return 1
        fitting = (_QUEUE_BYTES - (self._delivered_bytes - self._taken_bytes)) // self._image_bytes
        return min(free, max(fitting, 0 if queued else 1))

    def _deliver(self, frames: list[Frame]) -> None:
        self._image_bytes = frames[-1].image.nbytes
        self._delivered_bytes += sum(frame.image.nbytes for frame in frames)
        self._delivered += len(frames)
        self._loop.call_soon_threadsafe(self._queue.put_nowait, frames)

    async def get(self) -> Frame | None:
        """Return the next frame, ``None`` after the last one.

        Raises
        ------
        AsyncFramesError
            Whatever ended the job.
        ClosedError
            The pump was closed.
        """
        if not self._first and not await self._advance():
            return None
        frame = self._first.pop()
        self._taken += 1
        self._taken_bytes += frame.image.nbytes
        if self._room():
            self._has_room.set()
        return frame

    async def _advance(self) -> bool:
        """Wait for more frames; whether there are any."""
        if self._ended:
            return False
        item = await self._queue.get()
        if isinstance(item, list):
            item.reverse()
            self._first = item
            return True
        self._ended = True
        if isinstance(item, _Failure):
            raise item.error
        return False

    async def aclose(self) -> None:
        """Stop at once; on return no thread works for the job any more."""
        self._stopped = True
        if (task := self._task) is not None:
            task.cancel()
            await wait_until_done(task)
            # A cancelled task holds a traceback that leads back here: decoders would wait for the collector.
            self._task = None
        self._first.clear()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(_Failure(ClosedError("the video was closed while its frames were read")))


async def only_frame(frames: AsyncGenerator[Frame, None], what: str) -> Frame:
    """Return the one frame of a request, which is called so in errors."""
    # To the end, for to leave a request while a thread works on it takes the decoder along.
    found = [frame async for frame in frames]
    if found:
        return found[0]
    raise CorruptMediaError(f'{what} is damaged, and on_corrupt="skip" leaves it out')
