"""Asynchronous generators inside others: kept from the collector, and waited for when a video closes."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")

_open: set[Kept[Any]] = set()


class Departures:
    """Counts the requests that are being closed."""

    def __init__(self) -> None:
        self._leaving = 0
        self._changed = asyncio.Event()

    def begin(self) -> None:
        """Count a request whose closing begins."""
        self._leaving += 1

    def end(self) -> None:
        """Count a request as closed."""
        self._leaving -= 1
        self._changed.set()

    async def all_gone(self) -> None:
        """Wait for what is being closed, by tasks that the event loop is about to start included."""
        # The loop closes a generator that was left early in a task, which takes two rounds to begin.
        await _rounds()
        while self._leaving:
            self._changed.clear()
            await self._changed.wait()
        await _rounds()


async def _rounds() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class Kept(Generic[T]):
    """A context that a generator entered; nothing but the generator closes it.

    Where an abandoned generator is collected in a reference cycle together with those
    inside it, the event loop closes each of them in a task of its own, and they meet in
    the inner one ("asynchronous generator is already running"). What is kept here
    outlives the outer generator, whose closing closes it.
    """

    def __init__(self, context: AbstractAsyncContextManager[T], departures: Departures | None = None) -> None:
        self._context = context
        self._departures = departures

    async def __aenter__(self) -> T:
        _open.add(self)
        try:
            return await self._context.__aenter__()
        except BaseException:
            _open.discard(self)
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self._departures is not None:
            self._departures.begin()
        try:
            return await self._context.__aexit__(exc_type, exc, traceback)
        finally:
            _open.discard(self)
            if self._departures is not None:
                self._departures.end()
