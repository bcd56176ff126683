"""Long work in a worker thread, in bounded steps, so that the thread serves other videos between them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

from asyncframes._requests.pump import Worker

T = TypeVar("T")

STEP_SECONDS = 0.1
"""How long a step lasts; a read that waits for bytes may make it longer."""


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    result: T


async def run_steps(worker: Worker, steps: Generator[None, None, T]) -> T:
    """Run a generator to its end and return its result; a cancellation ends it after the step under way."""
    process = os.getpid()
    try:
        while (done := await worker.run(_step, steps)) is None:
            pass
    except asyncio.CancelledError:
        if os.getpid() == process:  # in a forked child the generator is the parent's
            # What it has open, a container among others, is closed in a worker thread: that may block.
            await worker.run(steps.close)
        raise
    return done.result


def _step(steps: Generator[None, None, T]) -> _Done[T] | None:
    """Go on for a bounded time; ``None`` where there is more to do."""
    deadline = time.monotonic() + STEP_SECONDS
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return _Done(stop.value)
        if time.monotonic() >= deadline:
            return None
