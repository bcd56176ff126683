"""Blocking calls from coroutines, and how to wait for calls that cannot be stopped."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from concurrent.futures import Future as ConcurrentFuture
from contextlib import suppress
from contextvars import copy_context
from functools import cache, partial
from typing import ParamSpec, TypeVar

from asyncframes._runtime.executor import DaemonExecutor
from asyncframes._runtime.life import on_fork

__all__ = [
    "cpus",
    "in_own_thread",
    "in_thread",
    "lanes_for",
    "reading_executor",
    "result_of",
    "run_to_completion",
    "shared_executor",
    "threads_per_decoder",
    "wait_until_done",
]

P = ParamSpec("P")
T = TypeVar("T")

# More threads for one decoder cost memory and gain little.
_MOST_THREADS = 4

_MOST_READS = 32


@cache
def shared_executor() -> DaemonExecutor:
    """Return the process-wide executor, created on first use. A forked child creates its own.

    Its threads wait for bytes. A call that delivers bytes must run elsewhere, or a full pool
    would deadlock.
    """
    return DaemonExecutor(min(32, cpus() + 4), name="asyncframes")


@cache
def reading_executor() -> DaemonExecutor:
    """Return the process-wide executor for blocking reads, created on first use.

    A forked child creates its own. The event loop's default executor would not do: it is
    joined when the loop closes and when the interpreter exits, and a silent pipe or server
    would delay both.
    """
    return DaemonExecutor(_MOST_READS, name="asyncframes read")


on_fork(shared_executor.cache_clear)
on_fork(reading_executor.cache_clear)


@cache
def cpus() -> int:
    """Return the number of CPUs. The system takes as long to tell as to decode a small frame."""
    return os.cpu_count() or 1


def threads_per_decoder(at_once: int) -> int:
    """Choose the number of threads for each of `at_once` decoders.

    A single decoder gets two more threads than there are CPUs, because some wait while
    a picture is converted.
    """
    return min(_MOST_THREADS, cpus() + 2) if at_once == 1 else max(1, min(_MOST_THREADS, cpus() // at_once))


def lanes_for(threads: int) -> int:
    """Choose how many decoders serve one request that may use `threads` threads."""
    return min(threads, cpus())


def in_thread(
    executor: Executor | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> asyncio.Future[T]:
    """Call a blocking function in an executor, by default the event loop's own."""
    return asyncio.get_running_loop().run_in_executor(executor, partial(function, *args, **kwargs))


def result_of(call: ConcurrentFuture[T]) -> asyncio.Future[T]:
    """Return a future for the result of a call in an executor. Cancelling it leaves the call running.

    `asyncio.wrap_future` would cancel the call, or need `asyncio.shield` and another round of the loop.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def tell(call: ConcurrentFuture[T]) -> None:
        with suppress(RuntimeError):  # the loop is closed: no caller is left
            loop.call_soon_threadsafe(_settle, result, call)

    call.add_done_callback(tell)
    return result


def _settle(result: asyncio.Future[T], call: ConcurrentFuture[T]) -> None:
    if result.done():
        return
    if call.cancelled():
        result.cancel()
    elif (error := call.exception()) is not None:
        result.set_exception(error)
    else:
        result.set_result(call.result())


def in_own_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Call a blocking function that may hang, in a daemon thread of its own.

    When the loop or the interpreter ends, it joins the threads of its executors. A foreign
    call without a timeout would block that forever. Nothing ever joins this thread.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    call = partial(copy_context().run, function, *args, **kwargs)

    def report(resolve: Callable[[], None]) -> None:
        if not future.done():
            resolve()

    def run() -> None:
        try:
            outcome = partial(future.set_result, call())
        except BaseException as exc:  # noqa: BLE001 - the waiter raises it
            outcome = partial(future.set_exception, exc)
        with suppress(RuntimeError):  # the loop is closed: no caller is left
            loop.call_soon_threadsafe(report, outcome)

    threading.Thread(target=run, name="asyncframes call", daemon=True).start()
    return future


async def run_to_completion(job: asyncio.Future[T]) -> T:
    """Wait until a job is done, then return its result, or raise the cancellation that arrived meanwhile.

    A thread cannot be stopped. If its caller left early, nothing would clean up the files
    that the thread is still writing.
    """
    cancellation: asyncio.CancelledError | None = None
    process = os.getpid()
    while not job.done():
        try:
            await asyncio.wait([job])
        except asyncio.CancelledError as exc:
            if os.getpid() != process:
                raise  # in a forked child: the thread is the parent's
            cancellation = exc
    if cancellation is None:
        return job.result()
    if not job.cancelled():
        job.exception()  # mark as retrieved, or asyncio logs it
    raise cancellation


async def wait_until_done(job: asyncio.Future[T]) -> None:
    """Wait until a job is done. Ignore its outcome, and cancellations meanwhile."""
    process = os.getpid()
    while not job.done():
        try:
            await asyncio.wait([job])
        except asyncio.CancelledError:
            if os.getpid() != process:
                raise  # in a forked child: the thread is the parent's
    if not job.cancelled():
        job.exception()  # mark as retrieved, or asyncio logs it
