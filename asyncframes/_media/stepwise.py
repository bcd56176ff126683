"""Long work as generators: they yield between its parts, so that callers can pause or stop there."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")

# The caller looks at the clock this often. Reading the header of a packet takes some 10 us.
_AT_ONCE = 256


def mapped(function: Callable[[S], T], items: Iterable[S]) -> Generator[None, None, list[T]]:
    """Call a function with each item, in steps, and return the results."""
    left, results = iter(items), list[T]()
    while some := [*map(function, islice(left, _AT_ONCE))]:
        results += some
        yield
    return results


def finished(steps: Generator[None, None, T]) -> T:
    """Take all steps at once, and return the result."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: T = stop.value
            return result
