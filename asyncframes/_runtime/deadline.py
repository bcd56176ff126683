"""Deadlines for requests, even while a decoder or a source is busy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeVar

from asyncframes._runtime.generators import Departures
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
            step = asyncio.ensure_future(anext(frames, None))
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
                leaving = loop.create_task(_leave(step, frames, departures), name="asyncframes late request")
                _leaving.add(leaving)
                leaving.add_done_callback(_leaving.discard)
                raise DeadlineError(
                    f"{what} did not finish within deadline_seconds={seconds:g}: "
                    "request fewer frames, or pass a longer deadline",
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
        await wait_until_done(step)
        await frames.aclose()
    finally:
        departures.end()
