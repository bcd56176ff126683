"""Calls to the decoding process that it has not answered yet, and the error for those that it never will."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import deque
from dataclasses import replace
from typing import Any

from asyncframes._isolation.wire.frame_records import FrameRecord
from asyncframes._isolation.wire.messages import MalformedError
from asyncframes._isolation.wire.shared_memory import Memory
from asyncframes._isolation.worker import Worker
from asyncframes._model.rendering import Rendering
from asyncframes.errors import DecoderCrashedError

# A process that has used more of the time was not waiting for a busy system.
_BUSY_SHARE = 0.5


class Call:
    """A call that the decoding process has not answered yet.

    Attributes
    ----------
    result
        The facts and the body of its answer.
    most
        How many more frames its selection can have, ``None`` for any number.
    waits_for_consumer
        Whether it can do nothing until frames are taken.
    """

    def __init__(self, rendering: Rendering | None = None, credit: int = 0) -> None:
        self.result: asyncio.Future[tuple[dict[str, Any], bytes]] = asyncio.get_running_loop().create_future()
        self.answering: asyncio.Event = asyncio.Event()
        self.records: deque[FrameRecord] = deque()
        self.arrived: asyncio.Event = asyncio.Event()
        self.rendering = rendering
        self.credit = credit
        self.dropped = 0
        self.most: int | None = None
        self.is_left = False

    @property
    def waits_for_consumer(self) -> bool:
        return self.rendering is not None and not self.credit

    def take(self, record: FrameRecord) -> None:
        """Take a frame.

        Raises
        ------
        MalformedError
            It is one more than was asked for.
        """
        if not self.credit or self.most == 0:
            raise MalformedError("more frames than asked for")
        self.credit -= 1
        if self.most is not None:
            self.most -= 1
        self.records.append(record)

    def set_aside(self, memory: Memory) -> None:
        """Copy the images that nobody has taken and that are in the way of other requests.

        Raises
        ------
        MalformedError
            An image cannot be where the process says.
        """
        for at, record in enumerate(self.records):
            if self.rendering is not None and record.image is None and not memory.lends(record.offset):
                image = memory.take(record.offset, record.shape, self.rendering.dtype).copy()
                self.records[at] = replace(record, image=image)

    def settle(self, facts: dict[str, Any], body: bytes) -> None:
        """Take the answer."""
        self.answering.set()
        if not self.result.done():
            self.result.set_result((facts, body))
        self.arrived.set()

    def fail(self, error: BaseException) -> None:
        """Take an error for an answer."""
        self.answering.set()
        if not self.result.done():
            self.result.set_exception(error)
            self.result.exception()  # mark as retrieved: a call that was left has no reader
        self.arrived.set()


class Patience:
    """Waits for a process that may hang: less long if it computes, for then the system is not busy.

    Parameters
    ----------
    worker
        The process.
    latest_seconds
        How long to wait at most.
    """

    def __init__(self, worker: Worker, latest_seconds: float) -> None:
        self._worker = worker
        self._latest_seconds = latest_seconds
        self._since, self._used = time.monotonic(), worker.cpu_seconds()

    @property
    def is_over(self) -> bool:
        """Whether the process has computed for most of the time, or the time is over."""
        waited = time.monotonic() - self._since
        used = self._worker.cpu_seconds() - self._used
        return used > _BUSY_SHARE * waited or waited > self._latest_seconds


def failed(kind: str, text: str, name: str) -> DecoderCrashedError:
    """Return the error for a call that has raised what it should not."""
    if kind == "MemoryError":
        return DecoderCrashedError(
            "the decoding process needs more memory than it may have", source=name, limit="memory"
        )
    return DecoderCrashedError(f"the decoding process failed: {kind}: {text}", source=name)


def crashed(code: int, name: str) -> DecoderCrashedError:
    """Return the error for a process that has ended by itself."""
    if code >= 0:
        return DecoderCrashedError(
            f"the decoding process ended with exit code {code}", source=name, exit_code=code
        )
    try:
        by = signal.Signals(-code).name
    except ValueError:
        by = f"signal {-code}"
    limit = "cpu" if by == "SIGXCPU" else None
    return DecoderCrashedError(f"the decoding process was ended by {by}", source=name, signal=by, limit=limit)
