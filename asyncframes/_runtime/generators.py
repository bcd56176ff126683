"""Generators on an event loop: run in turns, protected from the collector, and awaited at closing."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")


async def in_turns(steps: Generator[None, None, T]) -> T:
    """Run a generator to its end on the event loop, which goes on after each step; return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast("T", end.value)
        await asyncio.sleep(0)


_pinned: set[Pinned[Any]] = set()


class Departures:
    """Counts the requests that are open, and those that are closing."""

    def __init__(self) -> None:
        self._open = 0
        self._leaving = 0
        self._changed = asyncio.Event()

    @contextmanager
    def open_request(self) -> Iterator[None]:
        """Count a request as open while the context is."""
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    def begin(self) -> None:
        """Count a request that starts to close."""
        self._leaving += 1

    def end(self) -> None:
        """Count a request that has closed."""
        self._leaving -= 1
        self._changed.set()

    async def wait_for_all(self) -> None:
        """Wait until every closing request is closed, including requests that are about to close."""
        if not self._open and not self._leaving:
            return
        # The loop closes an abandoned generator in a task of its own, which starts two iterations later.
        await _rounds()
        while self._leaving:
            self._changed.clear()
            await self._changed.wait()
        await _rounds()


async def _rounds() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class Pinned(Generic[T]):
    """A context that only the generator that entered it may close.

    When the collector frees an abandoned generator together with the generators inside it,
    the event loop closes each in a task of its own. Two tasks may then step the inner
    generator at once ("asynchronous generator is already running"). A pinned context is
    never collected, so only closing the outer generator closes it.
    """

    def __init__(self, context: AbstractAsyncContextManager[T], departures: Departures | None = None) -> None:
        self._context = context
        self._departures = departures

    async def __aenter__(self) -> T:
        _pinned.add(self)
        try:
            return await self._context.__aenter__()
        except BaseException:
            _pinned.discard(self)
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
            _pinned.discard(self)
            if self._departures is not None:
                self._departures.end()
