"""Items that are made as fast as possible for somebody who may take them slowly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Generic, TypeVar

from asyncframes._runtime.tasks import begin
from asyncframes._runtime.threads import wait_until_done

T = TypeVar("T")


class Ahead(Generic[T]):
    """Takes items from a generator in a task of its own, and keeps them until they are asked for.

    Parameters
    ----------
    items
        Makes the items, and bounds how many there are. It is closed.
    """

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._made: asyncio.Queue[T | Exception | None] = asyncio.Queue()
        self._task = begin(self._make(items), "asyncframes ahead")

    async def next(self) -> T | None:
        """Return the next item, or raise what the generator raises in its place; ``None`` after the last."""
        made = await self._made.get()
        if isinstance(made, Exception):
            raise made
        return made

    async def aclose(self) -> None:
        """Make no more items."""
        self._task.cancel()
        await wait_until_done(self._task)

    async def _make(self, items: AsyncGenerator[T, None]) -> None:
        end: Exception | None = None
        try:
            async with aclosing(items):
                async for item in items:
                    self._made.put_nowait(item)
        except Exception as exc:  # noqa: BLE001 - whoever takes the items gets it
            end = exc
        self._made.put_nowait(end)
