"""Long work in bounded steps: between them the worker thread serves other videos."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

from asyncframes._requests.pump import Worker
from asyncframes.errors import PolicyLimitError

T = TypeVar("T")

STEP_SECONDS = 0.1
"""Duration of a step, so that a thread serves many videos. A read that waits for bytes may exceed it."""


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    result: T


async def run_steps(worker: Worker, steps: Generator[None, None, T]) -> T:
    """Run a generator to its end and return its result.

    A cancellation, or CPU time that is used up, closes it after the current step.
    """
    process = os.getpid()
    try:
        while (done := await worker.run(_step, steps)) is None:
            pass
    except (asyncio.CancelledError, PolicyLimitError):
        worker.meter = None
        if os.getpid() == process:  # in a forked child the generator is the parent's
            # Closing the generator closes its container, which may block: do it in a worker thread.
            await worker.run(steps.close)
        raise
    return done.result


def _step(steps: Generator[None, None, T]) -> _Done[T] | None:
    """Resume the generator for a bounded time. Return ``None`` if it has more to do."""
    deadline = time.monotonic() + STEP_SECONDS
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return _Done(stop.value)
        if time.monotonic() >= deadline:
            return None
