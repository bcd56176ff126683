"""Turns: how many requests work at once, which of those that wait is next, and how many may wait."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from asyncframes.web._limits import WebLimits
from asyncframes.web._problems import busy


@dataclass(slots=True, eq=False)
class _Waiting:
    """Work that waits for its turn, or has it."""

    is_ahead: Callable[[], bool]
    is_admitted: bool
    turn: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    began_ahead: bool = False


def _never() -> bool:
    return False


class Turns:
    """Gives work its turns in the order in which it came, but first that for which somebody waits.

    Work that is done ahead gets no more than a quarter of the turns, so that a request which arrives
    need not wait for one.
    """

    def __init__(self, limits: WebLimits) -> None:
        self.free = limits.at_once
        self._free_ahead = max(1, limits.at_once // 4)
        self._queue: list[_Waiting] = []
        self._most_waiting = limits.max_queued
        self._most_streams = limits.max_streams
        self._most_of_client = limits.max_requests_per_client
        self._clients: Counter[str] = Counter()
        self.streams = 0

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return sum(not one.is_ahead() for one in self._queue)

    @asynccontextmanager
    async def turn(
        self, is_ahead: Callable[[], bool] = _never, *, is_admitted: bool = False
    ) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for the duration of the block.

        Parameters
        ----------
        is_ahead
            Whether nobody waits for the work yet. When that changes, call `give`.
        is_admitted
            Whether it is for an answer that has begun. It is never refused: `stream` bounds it.

        Raises
        ------
        ProblemError
            As much other work waits as may.
        """
        alike = sum(not one.is_admitted and one.is_ahead() == is_ahead() for one in self._queue)
        one = _Waiting(is_ahead, is_admitted)
        self._queue.append(one)
        self.give()
        try:
            if not one.turn.done() and not is_admitted and alike >= self._most_waiting:
                raise busy("the server has too many requests: try again later")
            await one.turn
            yield
        finally:
            self._end(one)

    def give(self) -> None:
        """Give the turns that are free."""
        while self.free and (one := self._next()) is not None:
            self._queue.remove(one)
            self.free -= 1
            self._free_ahead -= one.began_ahead
            one.turn.set_result(None)

    def _next(self) -> _Waiting | None:
        # A task that was cancelled removes its work from the queue only once it runs.
        waiting = [one for one in self._queue if not one.turn.cancelled()]
        for one in waiting:
            if not one.is_ahead():
                return one
        if not waiting or not self._free_ahead:
            return None
        waiting[0].began_ahead = True
        return waiting[0]

    def _end(self, one: _Waiting) -> None:
        if one in self._queue:
            self._queue.remove(one)
        else:
            self.free += 1
            self._free_ahead += one.began_ahead
        self.give()

    @contextmanager
    def stream(self) -> Iterator[None]:
        """Count an answer that lasts as long as its client reads.

        Raises
        ------
        ProblemError
            There are as many as there may be.
        """
        if self.streams >= self._most_streams:
            raise busy("the server has too many streams: try again later")
        self.streams += 1
        try:
            yield
        finally:
            self.streams -= 1

    @contextmanager
    def of_client(self, client: str | None) -> Iterator[None]:
        """Count a request of a client.

        Raises
        ------
        ProblemError
            It has as many as it may.
        """
        if client is None or self._most_of_client is None:
            yield
            return
        if self._clients[client] >= self._most_of_client:
            raise busy("too many requests at once from this address: try again later", status=429)
        self._clients[client] += 1
        try:
            yield
        finally:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
