"""The event loop behind the blocking API, in its own thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

import anyio
from anyio.from_thread import BlockingPortal

from asyncframes._runtime.life import ForkGuard, on_fork, watch

__all__ = ["Lease", "lease"]

# AnyIO imports its backend when a loop starts. A fork during that import would see a half-initialised module.
import_module("anyio._backends._asyncio")


@dataclass(eq=False)
class _Running:
    """A running loop.

    Attributes
    ----------
    held
        Objects that must be closed on the loop. Without this reference the collector could
        finalise them together with the objects that use them.
    """

    portal: BlockingPortal
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    leases: int = 0
    held: set[object] = field(default_factory=set)


class _Holder:
    def __init__(self) -> None:
        self.lock: threading.Lock = threading.Lock()
        self.running: _Running | None = None


_holder = _Holder()


def _forget_parent() -> None:
    """Drop the parent's loop: its thread does not run here, and its lock may never be released."""
    global _holder
    _holder = _Holder()


on_fork(_forget_parent)


def lease() -> Lease:
    """Start this process's loop if necessary, and keep it running until the lease is released."""
    holder = _holder
    with holder.lock:
        if holder.running is None:
            holder.running = _start()
        holder.running.leases += 1
        return Lease(holder, holder.running)


def _start() -> _Running:
    ready: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]] = Future()
    # A daemon thread: a lease that is never released must not block the interpreter's exit.
    thread = threading.Thread(target=_serve, args=(ready,), name="asyncframes loop", daemon=True)
    thread.start()
    running = _Running(*ready.result(), thread)
    watch(running)
    return running


def _serve(ready: Future[tuple[BlockingPortal, asyncio.AbstractEventLoop]]) -> None:
    async def serve() -> None:
        async with BlockingPortal() as portal:
            ready.set_result((portal, asyncio.get_running_loop()))
            await portal.sleep_until_stopped()

    try:
        anyio.run(serve, backend="asyncio")
    except BaseException as exc:
        if ready.done():
            raise
        ready.set_exception(exc)


class Lease:
    """Keeps the loop running. Releasing the last lease stops it."""

    _held: object = None

    def __init__(self, holder: _Holder, running: _Running) -> None:
        self._holder = holder
        self._running = running
        self.guard: ForkGuard = ForkGuard("this part of asyncframes.sync")

    @property
    def portal(self) -> BlockingPortal:
        """The portal that runs coroutines on the loop.

        Raises
        ------
        ForkedError
            This is a forked child, and the loop belongs to its parent.
        """
        self.guard.check()
        return self._running.portal

    def hold(self, thing: object) -> None:
        """Hold a reference to `thing` until the lease is released."""
        self._held = thing
        self._running.held.add(thing)

    def release(self) -> None:
        """Release the lease. The last one stops the loop and joins its thread. Never call it on the loop."""
        if (ended := self._give_up()) is not None:
            ended.portal.call(ended.portal.stop)
            ended.thread.join()

    def leave_to_loop(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Let the loop call `close` and release the lease. Safe in finalisers: it never waits or locks."""
        if not self.guard.is_forked:
            self._running.loop.call_soon_threadsafe(partial(self._begin, close))

    def _begin(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        task = self._running.loop.create_task(self._close(close), name="asyncframes close")
        # The loop holds only weak references to its tasks.
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    async def _close(self, close: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await close()
        finally:
            if (ended := self._give_up()) is not None:
                await ended.portal.stop()

    def _give_up(self) -> _Running | None:
        with self._holder.lock:
            self._running.held.discard(self._held)
            self._running.leases -= 1
            if self._running.leases:
                return None
            # Cleared under the lock: a new lease starts another loop while this one stops.
            self._holder.running = None
            return self._running


_closing: set[asyncio.Task[None]] = set()
