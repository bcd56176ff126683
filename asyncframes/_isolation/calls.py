"""Calls to the decoding process that it has not answered yet, and the error for those that it never will."""

from __future__ import annotations

import asyncio
import signal
from collections import deque
from typing import Any

from asyncframes._isolation.wire.frame_records import FrameRecord
from asyncframes._model.rendering import Rendering
from asyncframes.errors import DecoderCrashedError


class Call:
    """A call that the decoding process has not answered yet.

    Attributes
    ----------
    result
        The facts and the body of its answer.
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
        self.is_left = False

    @property
    def waits_for_consumer(self) -> bool:
        return self.rendering is not None and not self.credit

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
