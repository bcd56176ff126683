"""Tasks that begin at the next turn of the event loop, whatever its task factory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def begin(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """Run a coroutine in a task that has not begun yet when this returns.

    With `asyncio.eager_task_factory`, a task of ``asyncio.create_task`` may even have ended by then, before
    its maker could store it.
    """
    return asyncio.Task(work, loop=asyncio.get_running_loop(), name=name)


async def awaited(awaitable: Awaitable[T]) -> T:
    """Make a coroutine of any awaitable, such as that of `anext`."""
    return await awaitable
