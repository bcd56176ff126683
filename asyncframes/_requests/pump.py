"""Frames from worker threads to one consumer, through a bounded queue.

A worker thread runs one bounded step at a time and never waits for the consumer. The
asyncio task waits, so a slow consumer holds no thread.
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

from asyncframes._frames.frame import Frame
from asyncframes._requests.limits import Meter
from asyncframes._runtime.tasks import begin
from asyncframes._runtime.threads import cpus, result_of, wait_until_done
from asyncframes.errors import ClosedError, CorruptMediaError

# A request holds its turn this long after its last frame, so that the next request can reuse its decoder.
# Without this, a request that waits would open another decoder.
_GRACE_SECONDS = 0.05

P = ParamSpec("P")
T = TypeVar("T")


# More parallel decoders cost memory and threads but gain little.
_MOST_AT_ONCE = 8


class Turns:
    """Limits how many decoders work at once, first come, first served.

    Parameters
    ----------
    at_once
        The limit. By default the number of CPUs, but at least 2 and at most 8.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self.at_once = at_once or max(2, min(_MOST_AT_ONCE, cpus()))
        self._free = asyncio.Semaphore(self.at_once)
        self._waiting = 0

    @property
    def are_awaited(self) -> bool:
        """Whether a decoder waits for a turn."""
        return self._waiting > 0

    @property
    def are_all_taken(self) -> bool:
        """Whether another decoder would have to wait."""
        return self._free.locked()

    async def take(self) -> None:
        """Wait for a turn."""
        # Counted here, because a semaphore does not reveal how many wait.
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    def give_back(self) -> None:
        """Pass the turn to the decoder that has waited longest."""
        self._free.release()


class Turn:
    """One decoder's turn.

    A request gives up its turn while its queue is full, so other requests never wait for a
    slow consumer. Once it has delivered a frame, it also gives way to waiting requests
    after each step.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._is_held = False

    async def take(self) -> None:
        """Wait for the turn; return at once if it is held already."""
        if not self._is_held:
            await self._turns.take()
            self._is_held = True

    def end(self) -> None:
        """Give the turn back; do nothing if it is not held."""
        if self._is_held:
            self._is_held = False
            self._turns.give_back()

    def share(self) -> None:
        """Give the turn back if another decoder is waiting for one."""
        if self._turns.are_awaited:
            self.end()


class Worker:
    """Runs calls on one decoder in an executor, one at a time.

    Cancelling a call aborts it and waits until it has returned: no thread works on the
    decoder afterwards.

    Attributes
    ----------
    aborted
        Whether a call was aborted. If so, the state of the decoder is undefined.
    meter
        Charges the CPU time of calls to a budget, if set.
    """

    def __init__(self, executor: Executor, abort: Callable[[], None]) -> None:
        self._executor = executor
        self._abort = abort
        self.aborted = False
        self.meter: Meter | None = None

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the executor.

        Raises
        ------
        PolicyLimitError
            The CPU time of its budget is used up.
        """
        process = os.getpid()
        work = partial(function, *args, **kwargs)
        if self.meter is not None:
            self.meter.budget.check()
            work = partial(self.meter.run, work)
        call = self._executor.submit(_called, work)
        try:
            return await result_of(call)
        except asyncio.CancelledError:
            if os.getpid() != process:
                raise  # this is a forked child, and the thread exists only in its parent
            if not call.done():
                # A thread cannot be cancelled. Aborting the read that it waits for makes the call return.
                self.aborted = True
                self._abort()
            await wait_until_done(asyncio.wrap_future(call))
            raise


def _called(function: Callable[[], T]) -> T:
    """Call a function, and clear the variables from the traceback of an error.

    A traceback references the local variables of every frame in it. A packet among them
    keeps its codec and the codec's threads alive; if the error is part of a cycle, until
    the garbage collector runs.
    """
    try:
        return function()
    except BaseException as exc:
        _clear(exc)
        del function
        raise


def _clear(error: BaseException) -> None:
    """Clear the local variables in the tracebacks of an error and its causes. Running frames keep theirs."""
    for link in _chained(error):
        clear_frames(link.__traceback__)


def _chained(error: BaseException) -> list[BaseException]:
    """Return an error with all its causes and contexts."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        known = waiting.pop()
        if known is not None and known not in found:
            found.append(known)
            waiting += [known.__cause__, known.__context__]
    return found


# The queue holds at most this many bytes, but always at least one frame.
_QUEUE_BYTES = 256 * 1024 * 1024


class Job(Protocol):
    """Makes frames in bounded steps, as `asyncframes._requests.jobs.job.FrameJob` does."""

    is_under_way: bool

    def step(
        self,
        room: Callable[[], int],
        deliver: Callable[[list[Frame], bool], None],
        stopped: Callable[[], bool],
    ) -> bool:
        """Make and deliver frames while there is room. Return whether more may follow."""
        ...


@dataclass(frozen=True, slots=True)
class _Failure:
    error: BaseException


class Pump:
    """A task that steps a job and queues its frames until the job is done or the pump is closed.

    A step continues while the queue has room, and hands frames over without waiting for the
    event loop: with small frames, a thread that waited would be idle half the time. At most
    ``queue_maxsize + 1`` frames exist between job and consumer. Together they take at most
    256 MiB, unless a single frame is larger.

    Parameters
    ----------
    worker
        Steps the job.
    turn
        Held during each step.
    job
        Makes the frames.
    queue_maxsize
        How many frames may wait for the consumer.
    holds_turn
        Whether to hold the turn from the first frame to the last, for a consumer that
        never falls behind.
    image_bytes
        Size of an image if it is known, 0 until the first frame shows it.
    """

    def __init__(
        self,
        worker: Worker,
        turn: Turn,
        job: Job,
        queue_maxsize: int,
        *,
        holds_turn: bool = False,
        image_bytes: int = 0,
    ) -> None:
        self._worker = worker
        self._turn = turn
        self._job = job
        # The queue itself has no limit, because `_deliver` must never wait. `_room` enforces the limit.
        self._queue: asyncio.Queue[list[Frame] | _Failure | None] = asyncio.Queue()
        self._last: list[Frame] = []
        """The batch that a step ended with."""
        self._first: list[Frame] = []
        """The batch taken from the queue, last frame first."""
        # Pairs of counters rather than differences, so that no lock is needed: only the worker thread writes
        # `_delivered…`, and only the event loop writes `_taken…`.
        self._delivered = 0
        self._taken = 0
        self._delivered_bytes = 0
        self._taken_bytes = 0
        self._image_bytes = image_bytes
        self._maxsize = queue_maxsize
        self._holds_turn = holds_turn
        self._has_room = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._ended = False
        self._task: asyncio.Task[None] | None = begin(self._run(), "asyncframes decode")

    async def _run(self) -> None:
        end: _Failure | None = None
        try:
            more = True
            while more:
                # Room before turn: a request that waits for its consumer must not block the others.
                await self._wait_for_room()
                await self._turn.take()
                more = await self._step()
                # Not before the first frame: if requests took turns while they seek, all would start late.
                if more and self._job.is_under_way and not self._holds_turn:
                    self._turn.share()
        except Exception as exc:  # noqa: BLE001 - `get` raises it for the consumer
            end = _Failure(exc)
        # The consumer may still be reading the queue. If it closes the request within the grace period, the
        # next request gets this decoder along with the turn.
        self._loop.call_later(_GRACE_SECONDS, self._turn.end)
        self._queue.put_nowait(end)

    async def _step(self) -> bool:
        """Step the job, and queue the frames that the step ended with, even if it failed after them."""
        try:
            return await self._worker.run(self._job.step, self._room, self._deliver, lambda: self._stopped)
        finally:
            if self._last:
                self._queue.put_nowait(self._last)
                self._last = []

    async def _wait_for_room(self) -> None:
        while not self._room():
            if not self._holds_turn:
                self._turn.end()
            # No frame is taken between `_room` and `clear`: `get` runs on this loop, and nothing awaits here.
            self._has_room.clear()
            await self._has_room.wait()

    def _room(self) -> int:
        """Return how many more frames fit into the queue. Thread-safe.

        The result is 0 until half the queue is free, because a thread switch for each frame
        costs more than decoding a small frame.
        """
        queued = self._delivered - self._taken
        free = self._maxsize - queued
        if free < (self._maxsize + 1) // 2:
            return 0
        if not self._image_bytes:
            # The size of frames is unknown until the first one is delivered, so only one is safe.
            return 1
        fitting = (_QUEUE_BYTES - (self._delivered_bytes - self._taken_bytes)) // self._image_bytes
        return min(free, max(fitting, 0 if queued else 1))

    def _deliver(self, frames: list[Frame], ends_step: bool) -> None:
        self._image_bytes = frames[-1].image.nbytes
        self._delivered_bytes += sum(frame.image.nbytes for frame in frames)
        self._delivered += len(frames)
        if ends_step:
            # The end of the step wakes the event loop anyway.
            self._last = frames
        else:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, frames)

    async def get(self) -> Frame | None:
        """Return the next frame, or ``None`` after the last one.

        Raises
        ------
        AsyncFramesError
            The job ended with this error.
        ClosedError
            The pump is closed.
        """
        if not self._first:
            self._first = await self._next_batch()
        if not self._first:
            return None
        frame = self._first.pop()
        self._taken += 1
        self._taken_bytes += frame.image.nbytes
        if self._room():
            self._has_room.set()
        return frame

    async def _next_batch(self) -> list[Frame]:
        """Wait for more frames. Return them last one first, or an empty list at the end."""
        if self._ended:
            return []
        item = await self._queue.get()
        if isinstance(item, list):
            return item[::-1]
        self._ended = True
        if isinstance(item, _Failure):
            raise item.error
        return []

    async def aclose(self) -> None:
        """Stop at once, and wait until no thread works on the job."""
        self._stopped = True
        if (task := self._task) is not None:
            task.cancel()
            await wait_until_done(task)
            # The cancelled task's traceback references this pump. Keeping the task would make a cycle, and
            # decoders would stay alive until the garbage collector runs.
            self._task = None
        # A consumer that asks later gets the error below rather than frames from before the close.
        self._first.clear()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(_Failure(closed_in_the_middle()))


def closed_in_the_middle() -> ClosedError:
    """Return the error for a request whose video was closed."""
    return ClosedError("the video was closed while its frames were being read")


async def single_frame(frames: AsyncGenerator[Frame, None], what: str) -> Frame:
    """Return the only frame of a request; `what` names it in errors."""
    # Reads to the end, because abandoning a request while a thread works on it discards its decoder.
    found = [frame async for frame in frames]
    if found:
        return found[0]
    raise CorruptMediaError(f'{what} is damaged, and on_corrupt="skip" leaves damaged frames out')
