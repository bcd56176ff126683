"""How long callbacks keep an event loop from its other work."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass
class Callbacks:
    """What the callbacks of a loop took.

    Attributes
    ----------
    longest_seconds
        CPU time that the loop's thread spent in the longest one. Time that other
        threads and processes took meanwhile is not in it.
    longest
        What it was.
    """

    longest_seconds: float = 0.0
    longest: str = ""
    _since: float = 0.0

    def note(self, what: object) -> None:
        """Note what the thread did since the last note."""
        now = time.thread_time()
        if now - self._since > self.longest_seconds:
            self.longest_seconds, self.longest = now - self._since, repr(what)
        self._since = time.thread_time()


@contextmanager
def settled_heap() -> Iterator[None]:
    """Keep what other tests left from the collector, and from those who ask it what there is."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def paused_collector() -> Iterator[None]:
    """Collect nothing: a pass costs what the whole heap does, in whichever thread allocates next."""
    with settled_heap():
        gc.disable()
        try:
            yield
        finally:
            gc.enable()


@contextmanager
def measured_callbacks() -> Iterator[Callbacks]:
    """Measure every callback of the loop in this thread, also those in which the context opens and ends."""
    found = Callbacks()
    run = asyncio.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        found.note("before a callback")
        run(handle)
        found.note(handle)

    with paused_collector(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.Handle, "_run", measured)
        found._since = time.thread_time()
        yield found
        found.note("the callback that ends the measurement")
