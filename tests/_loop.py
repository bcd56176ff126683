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


@contextmanager
def measured_callbacks() -> Iterator[Callbacks]:
    """Measure every callback of the loop in this thread while the context is open."""
    found = Callbacks()
    run = asyncio.Handle._run

    def measured(handle: asyncio.Handle) -> None:
        begin = time.thread_time()
        run(handle)
        seconds = time.thread_time() - begin
        if seconds > found.longest_seconds:
            found.longest_seconds, found.longest = seconds, repr(handle)

    # What other tests left is not collected at the cost of a callback.
    gc.collect()
    gc.freeze()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio.Handle, "_run", measured)
        try:
            yield found
        finally:
            gc.unfreeze()
