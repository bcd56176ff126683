"""The newest frame of a stream that arrives, for a consumer that may be slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from typing import Protocol

from asyncframes._frames.frame import Frame
from asyncframes._requests.pump import Pump
from asyncframes._runtime.life import GuardedFrames
from asyncframes._runtime.tasks import begin
from asyncframes._runtime.threads import in_thread, run_to_completion, wait_until_done


class Newest:
    """Holds the newest picture of a decoder until the consumer takes it.

    The decoder puts pictures from a worker thread and never waits. A picture becomes a frame
    only when it is taken, so that one which is dropped costs no conversion.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        # Of one place: a new picture drops the one before it. Appending and popping are atomic.
        self._waiting: deque[Callable[[], Frame]] = deque(maxlen=1)
        self._put = 0
        self._taken = 0
        self.arrived: asyncio.Event = asyncio.Event()

    def put(self, make: Callable[[], Frame]) -> None:
        """Hand over a picture, as what makes its frame; any thread."""
        self._put += 1
        self._waiting.append(make)
        self._loop.call_soon_threadsafe(self.arrived.set)

    def take(self) -> Callable[[], Frame] | None:
        """Take the newest picture; ``None`` if it was taken before."""
        try:
            make = self._waiting.pop()
        except IndexError:
            return None
        self._taken += 1
        return make

    @property
    def dropped(self) -> int:
        """How many pictures another one has replaced."""
        return max(self._put - self._taken - len(self._waiting), 0)


class CountsDropped(Protocol):
    """Counts the frames that a newer one has replaced."""

    @property
    def dropped(self) -> int: ...


class LatestFrames(GuardedFrames[Frame]):
    """Iterates over the newest frames of a stream, as `Video.latest` returns it."""

    def __init__(self, frames: AsyncGenerator[Frame, None], what: str, newest: CountsDropped) -> None:
        super().__init__(frames, what)
        self._newest = newest

    @property
    def dropped(self) -> int:
        """How many frames were dropped so far because a newer one came before they were asked for."""
        return self._newest.dropped


async def newest_frames(pump: Pump, newest: Newest, executor: Executor) -> AsyncGenerator[Frame, None]:
    """Yield the newest frame each time that one is asked for, until the pump ends.

    Raises
    ------
    AsyncFramesError
        The error that ended the pump, after the last frame.
    """
    end = begin(pump.get(), "asyncframes end of a pump")
    end.add_done_callback(lambda _end: newest.arrived.set())
    try:
        while True:
            await newest.arrived.wait()
            newest.arrived.clear()
            # Before the pictures: one that came before the end is delivered.
            has_ended = end.done()
            while (make := newest.take()) is not None:
                frame = await run_to_completion(in_thread(executor, make))
                del make
                yield frame
                del frame
            if has_ended:
                end.result()
                return
    finally:
        end.cancel()
        await wait_until_done(end)
