"""Chooses the blocks to request ahead of a reader. Pure: no event loop, no bytes."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Iterable

from asyncframes._model.ranges import ByteRange, block_span

NEVER = sys.maxsize
_FIRST_WINDOW_BYTES = 128 * 1024


class ReadAhead:
    """Follows one reader, or a plan.

    The first read requests nothing ahead. Each later step forward doubles the window, and
    a jump resets it. With a plan the window has its full size from the start, and only
    planned blocks are requested.

    Attributes
    ----------
    trigger
        The reader's position at which the next step is due.
    planned
        Whether there is a plan.
    """

    def __init__(self, *, block_size: int) -> None:
        self.trigger = 0
        self._block_size = block_size
        self._first_window = max(1, _FIRST_WINDOW_BYTES // block_size)
        self._window = 0
        self.planned = False
        self._coming: deque[range] = deque()
        self._ahead: deque[int] = deque()
        self._last: int | None = None

    def plan(self, ranges: Iterable[ByteRange]) -> None:
        """Request only these ranges from now on, in this order."""
        spans = (block_span(start, stop, block_size=self._block_size) for start, stop in ranges)
        self._coming = deque(span for span in spans if span)
        self._ahead.clear()
        self.planned = True

    def follow(self) -> None:
        """Remove the plan and start over."""
        self.planned = False
        self._last = None
        self.trigger = 0

    def step(self, start: int, stop: int) -> bool:
        """Note the reader's position, or the range it waits for.

        Returns
        -------
        bool
            Whether the reader jumped, so that earlier requests are useless.
        """
        blocks = block_span(start, max(stop, start + 1), block_size=self._block_size)
        jumped = not self.planned and not self._is_near(blocks.start)
        if jumped:
            self._coming = deque([range(blocks.stop, NEVER)])
            self._ahead.clear()
            self._window = 0
        else:
            self._pass(blocks[-1])
            self._window = max(self._first_window, 2 * self._window)
        self._last = blocks.start
        self.trigger = stop + 1
        return jumped

    def top_up(self, *, max_window: int, end: int | None) -> list[int]:
        """Choose the next blocks to request.

        Parameters
        ----------
        max_window
            Most bytes ahead of the reader.
        end
            Blocks that start at or after this byte are not requested; ``None`` for no limit.
        """
        most = -(-max_window // self._block_size)
        self._window = most if self.planned else min(self._window, most)
        last = NEVER if end is None else -(-end // self._block_size)
        chosen: list[int] = []
        # Half a window at a time; otherwise a reader that waits for each block would request each one alone.
        room = self._window - len(self._ahead) if len(self._ahead) <= self._window // 2 else 0
        while len(chosen) < room and (block := self._take(last)) is not None:
            self._ahead.append(block)
            chosen.append(block)
        if self._window:
            self._arm(last)
        return chosen

    def _arm(self, last: int) -> None:
        if self._next(last) is None:
            self.trigger = NEVER
        else:
            self.trigger = self._ahead[len(self._ahead) // 2] * self._block_size

    def _take(self, last: int) -> int | None:
        block = self._next(last)
        if block is not None:
            self._coming[0] = range(block + 1, self._coming[0].stop)
        return block

    def _next(self, last: int) -> int | None:
        while self._coming and (not self._coming[0] or (self.planned and self._coming[0].start >= last)):
            self._coming.popleft()
        if not self._coming or self._coming[0].start >= last:
            return None
        return self._coming[0].start

    def _is_near(self, block: int) -> bool:
        if self._last is None:
            return False
        return self._last - self._first_window <= block <= self._coming[0].start + self._first_window

    def _pass(self, block: int) -> None:
        """Remove blocks that the reader has passed from those ahead of it."""
        if block in self._ahead:
            while self._ahead[0] != block:
                self._ahead.popleft()
            return
        for skipped, span in enumerate(self._coming):
            if block in span:
                self._ahead.clear()
                for _ in range(skipped):
                    self._coming.popleft()
                self._coming[0] = range(block + 1, span.stop)
                return
