"""Turns at decoding: a few requests of a video decode at once, and the others wait in order."""

from __future__ import annotations

import asyncio
import os

# More decoders side by side cost memory and threads, and bring little.
_MOST_AT_ONCE = 8


class Turns:
    """So many may decode at once; who comes first is served first.

    Parameters
    ----------
    at_once
        How many; as many as there are CPUs by default, from 2 to 8.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self.at_once = at_once or max(2, min(_MOST_AT_ONCE, os.cpu_count() or 1))
        self._free = asyncio.Semaphore(self.at_once)
        self._waiting = 0

    @property
    def are_awaited(self) -> bool:
        """Whether anybody waits."""
        return self._waiting > 0

    @property
    def are_all_taken(self) -> bool:
        """Whether a further one would wait."""
        return self._free.locked()

    async def take(self) -> None:
        """Wait for a turn."""
        self._waiting += 1
        try:
            await self._free.acquire()
        finally:
            self._waiting -= 1

    def give_back(self) -> None:
        """Let the next one decode."""
        self._free.release()


class Turn:
    """One decoder's turn.

    A request keeps it until its consumer is behind, so nobody waits for a consumer.
    Once it has delivered frames it lets others go first after each step.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._is_held = False

    async def take(self) -> None:
        """Wait for the turn; at once where it is held."""
        if not self._is_held:
            await self._turns.take()
            self._is_held = True

    def end(self) -> None:
        """Let others decode; nothing happens where the turn is not held."""
        if self._is_held:
            self._is_held = False
            self._turns.give_back()

    def share(self) -> None:
        """End the turn if others wait for one."""
        if self._turns.are_awaited:
            self.end()
