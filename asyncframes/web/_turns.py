"""Turns: how many requests work at once, and how many wait."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from asyncframes.web._limits import WebLimits
from asyncframes.web._problems import busy


class Turns:
    """Gives requests their turns in the order in which they came."""

    def __init__(self, limits: WebLimits) -> None:
        self._free = asyncio.Semaphore(limits.at_once)
        self._most_waiting = limits.max_queued
        self._most_streams = limits.max_streams
        self._most_of_client = limits.max_requests_per_client
        self._clients: Counter[str] = Counter()
        self.waiting = 0
        self.streams = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it for the duration of the block.

        Raises
        ------
        ProblemError
            As many requests wait as may.
        """
        if self._free.locked() and self.waiting >= self._most_waiting:
            raise busy("the server has too many requests: try again later")
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self._free.release()

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
