"""Deadlines for requests, even while a decoder or a source is busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from typing import Any, TypeVar

from asyncframes._runtime.generators import Departures
from asyncframes._runtime.tasks import awaited, begin
from asyncframes._runtime.threads import wait_until_done
from asyncframes.errors import DeadlineError

T = TypeVar("T")

_leaving: set[asyncio.Task[None]] = set()


async def within_deadline(
    frames: AsyncGenerator[T, None], seconds: float, what: str, departures: Departures
) -> AsyncGenerator[T, None]:
    """Yield a generator's items until a deadline, counted from the request for the first item.

    A thread inside FFmpeg cannot be stopped, and this generator does not wait for it. The
    thread finishes its call and closes its decoder. Closing the video waits for that.

    Raises
    ------
    DeadlineError
        The deadline passed before the generator ended.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    is_late = False
    try:
        while True:
            step = begin(awaited(anext(frames, None)), "asyncframes step")
            try:
                if (left := end - loop.time()) > 0:
                    await asyncio.wait({step}, timeout=left)
            except asyncio.CancelledError:
                step.cancel()
                await wait_until_done(step)
                raise
            if not step.done():
                is_late = True
                departures.begin()
                leave_behind(_leave(step, frames, departures))
                raise _too_late(what, seconds)
            item = step.result()
            del step
            if item is None:
                return
            yield item
            del item
    finally:
        if not is_late:
            await frames.aclose()


async def done_within(
    work: Coroutine[Any, Any, T], seconds: float | None, what: str, departures: Departures
) -> T:
    """Wait for a coroutine, at most some seconds, and not for a thread inside FFmpeg; see `within_deadline`.

    Raises
    ------
    DeadlineError
        The time passed before the coroutine ended.
    """
    if seconds is None:
        return await work
    task = begin(work, "asyncframes request")
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        await wait_until_done(task)
        raise
    if task.done():
        try:
            return task.result()
        finally:
            del task  # an error's traceback refers to this frame: together they would keep a codec alive
    departures.begin()
    leave_behind(_drop(task, departures))
    raise _too_late(what, seconds)


def leave_behind(work: Coroutine[Any, Any, None]) -> None:
    """Let a coroutine end by itself, in a task that nobody waits for."""
    task = begin(work, "asyncframes late request")
    _leaving.add(task)
    task.add_done_callback(_leaving.discard)


async def all_left() -> None:
    """Wait until everything that was left behind on this loop has ended."""
    loop = asyncio.get_running_loop()
    for task in [task for task in _leaving if task.get_loop() is loop]:
        await wait_until_done(task)


def _too_late(what: str, seconds: float) -> DeadlineError:
    return DeadlineError(
        f"{what} did not finish within deadline_seconds={seconds:g}: "
        "request fewer frames, or pass a longer deadline",
        seconds=seconds,
    )


async def _drop(task: asyncio.Task[Any], departures: Departures) -> None:
    try:
        task.cancel()
        await wait_until_done(task)
    finally:
        departures.end()


async def _leave(
    step: asyncio.Future[T | None], frames: AsyncGenerator[T, None], departures: Departures
) -> None:
    try:
        step.cancel()
        await wait_until_done(step)
        await frames.aclose()
    finally:
        departures.end()
