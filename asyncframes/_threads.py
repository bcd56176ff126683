"""Blocking calls from coroutines, and waiting for those that cannot be stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import ParamSpec, TypeVar

__all__ = ["finished", "in_thread", "settled"]

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(
    executor: Executor | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> asyncio.Future[T]:
    """Call a blocking function in the executor, the event loop's own if ``None``."""
    return asyncio.get_running_loop().run_in_executor(executor, partial(function, *args, **kwargs))


async def settled(job: asyncio.Future[T]) -> T:
    """Wait for a job to its end, whoever cancels.

    A thread cannot be stopped, and what it does to files after its waiter has
    gone nobody would clean up. So a cancellation is kept until the job is
    done, and raised then in place of its result.
    """
    cancellation: asyncio.CancelledError | None = None
    while not job.done():
        try:
            await asyncio.wait([job])
        except asyncio.CancelledError as exc:
            cancellation = exc
    if cancellation is None:
        return job.result()
    if not job.cancelled():
        job.exception()  # looked at, or asyncio would log it as never retrieved
    raise cancellation


async def finished(job: asyncio.Future[T]) -> None:
    """Wait for a job to its end, whoever cancels and whatever comes of it."""
    while not job.done():
        try:
            await asyncio.wait([job])
        except asyncio.CancelledError:
            continue
    if not job.cancelled():
        job.exception()  # looked at, or asyncio would log it as never retrieved
