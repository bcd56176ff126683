"""Blocking calls from coroutines, and waiting for those that cannot be stopped."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from contextvars import copy_context
from functools import cache, partial
from typing import ParamSpec, TypeVar

from asyncframes._runtime.executor import DaemonExecutor
from asyncframes._runtime.life import on_fork

__all__ = [
    "finished",
    "in_own_thread",
    "in_thread",
    "lanes_for",
    "reading_executor",
    "settled",
    "shared_executor",
    "threads_of_each",
]

P = ParamSpec("P")
T = TypeVar("T")

# Further threads of one decoder cost memory and bring little.
_MOST_THREADS = 4

_MOST_READS = 32


@cache
def shared_executor() -> DaemonExecutor:
    """Return the process-wide executor, made on first use; a forked child makes its own.

    Decoders wait in it for bytes, so nothing that bringing bytes depends on may run there.
    """
    return DaemonExecutor(min(32, (os.cpu_count() or 1) + 4), name="asyncframes")


@cache
def reading_executor() -> DaemonExecutor:
    """Return the process-wide executor for blocking reads, made on first use; a forked child makes its own.

    The loop's own would be waited for when the loop ends, and again when the
    interpreter exits, however long a pipe or a server is silent.
    """
    return DaemonExecutor(_MOST_READS, name="asyncframes read")


on_fork(shared_executor.cache_clear)
on_fork(reading_executor.cache_clear)


def threads_of_each(at_once: int) -> int:
    """Choose the threads of each decoder where so many decode at once.

    A decoder that is alone has two more than there are CPUs: some of its threads
    wait while a picture is converted.
    """
    cpus = os.cpu_count() or 1
    return min(_MOST_THREADS, cpus + 2) if at_once == 1 else max(1, min(_MOST_THREADS, cpus // at_once))


def lanes_for(threads: int) -> int:
    """Choose how many decoders work side by side for one request that may use so many threads."""
    return min(threads, os.cpu_count() or 1)


def in_thread(
    executor: Executor | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> asyncio.Future[T]:
    """Call a blocking function in the executor, the event loop's own if ``None``."""
    return asyncio.get_running_loop().run_in_executor(executor, partial(function, *args, **kwargs))


def in_own_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Call a blocking function that may hang, in a thread that nothing waits for.

    Threads of an executor are joined on the loop's and the interpreter's way
    out. Where a foreign call has no timeout, that would never end; this thread
    is left to itself when its result is no longer awaited.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    call = partial(copy_context().run, function, *args, **kwargs)

    def tell(settle: Callable[[], None]) -> None:
        if not future.done():
            settle()

    def run() -> None:
        try:
            outcome = partial(future.set_result, call())
        except BaseException as exc:  # noqa: BLE001 - the waiter raises it
            outcome = partial(future.set_exception, exc)
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(tell, outcome)

    threading.Thread(target=run, name="asyncframes call", daemon=True).start()
    return future


async def settled(job: asyncio.Future[T]) -> T:
    """Wait for a job to its end, whoever cancels.

    A thread cannot be stopped, and what it does to files after its waiter has
    gone nobody would clean up. So a cancellation is kept until the job is
    done, and raised then in place of its result.
    """
    cancellation: asyncio.CancelledError | None = None
    process = os.getpid()
    while not job.done():
        try:
            await asyncio.wait([job])
        except asyncio.CancelledError as exc:
            if os.getpid() != process:
                raise  # the thread is the parent's
            cancellation = exc
    if cancellation is None:
        return job.result()
    if not job.cancelled():
        job.exception()  # looked at, or asyncio would log it as never retrieved
    raise cancellation


async def finished(job: asyncio.Future[T]) -> None:
    """Wait for a job to its end, whoever cancels and whatever comes of it."""
    process = os.getpid()
    while not job.done():
        try:
            await asyncio.wait([job])
        except asyncio.CancelledError:
            if os.getpid() != process:
                raise  # the thread is the parent's
    if not job.cancelled():
        job.exception()  # looked at, or asyncio would log it as never retrieved
