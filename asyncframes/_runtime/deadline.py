"""Requests that end in time, whatever a decoder or a source is busy with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

from asyncframes._runtime.generators import Departures
from asyncframes._runtime.threads import finished
from asyncframes.errors import DeadlineError

T = TypeVar("T")

_leaving: set[asyncio.Task[None]] = set()


async def within_deadline(
    frames: AsyncGenerator[T, None], seconds: float, what: str, departures: Departures
) -> AsyncGenerator[T, None]:
    """Yield what a generator yields, for so long, counted from the first item asked for.

    A thread that is inside FFmpeg cannot be stopped. It is not waited for here: it
    finishes its call, and its decoder is closed then; closing the video waits for that.

    Raises
    ------
    DeadlineError
        The time is over and the generator is not.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    is_late = False
    try:
        while True:
            step = asyncio.ensure_future(anext(frames, None))
            try:
                if (left := end - loop.time()) > 0:
                    await asyncio.wait({step}, timeout=left)
            except asyncio.CancelledError:
                step.cancel()
                await finished(step)
                raise
            if not step.done():
                is_late = True
                departures.begin()
                leaving = loop.create_task(_leave(step, frames, departures), name="asyncframes late request")
                _leaving.add(leaving)
                leaving.add_done_callback(_leaving.discard)
                raise DeadlineError(
                    f"{what} was not done within deadline_seconds={seconds:g}; ask for less, or allow more",
                    seconds=seconds,
                )
            item = step.result()
            del step
            if item is None:
                return
            yield item
            del item
    finally:
        if not is_late:
            await frames.aclose()


async def _leave(
    step: asyncio.Future[T | None], frames: AsyncGenerator[T, None], departures: Departures
) -> None:
    try:
        step.cancel()
        await finished(step)
        await frames.aclose()
    finally:
        departures.end()
