"""Tasks of asyncio: where they can run, and when they begin, whatever the loop's task factory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from asyncframes.errors import NoEventLoopError

T = TypeVar("T")


def check_event_loop() -> None:
    """Raise where coroutines of asyncio cannot run.

    Raises
    ------
    NoEventLoopError
        No event loop of asyncio runs in this thread.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise NoEventLoopError(
            "no event loop of asyncio runs here: expected asyncio.run(…), or a framework on asyncio; under "
            "Trio, call asyncframes.sync in trio.to_thread.run_sync(…)"
        ) from None


def begin(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Run a coroutine in a task that has not begun yet when this returns.

    With `asyncio.eager_task_factory`, a task of ``asyncio.create_task`` may even have ended by then, before
    its maker could store it.
    """
    return asyncio.Task(work, loop=asyncio.get_running_loop(), name=name)


async def awaited(awaitable: Awaitable[T]) -> T:
    """Make a coroutine of any awaitable, such as that of `anext`."""
    return await awaitable
