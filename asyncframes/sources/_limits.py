"""Limits that callers set: checks of their values, and timeouts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

from asyncframes._model.quoting import quoted_option
from asyncframes.errors import SourceTimeoutError

T = TypeVar("T")

# A year. Much longer timeouts overflow in asyncio and in Rust.
_MOST_SECONDS = 366 * 24 * 3600.0


def check_seconds(**values: float) -> None:
    """Raise if a duration is invalid.

    Raises
    ------
    ValueError
        A value is not above 0, or is longer than a year.
    """
    for name, value in values.items():
        if math.isnan(value) or not 0 < value <= _MOST_SECONDS:
            raise ValueError(f"{name}={quoted_option(value)}: expected seconds, above 0 and at most a year")


def check_counts(*, least: int, **values: float) -> None:
    """Raise if a number is too small.

    Raises
    ------
    ValueError
        A value is less than `least`, or not a number.
    """
    for name, value in values.items():
        if not value >= least:
            raise ValueError(f"{name}={quoted_option(value)}: expected {least} or more")


async def within(seconds: float, exchange: Awaitable[T], *, name: str) -> T:
    """Wait at most `seconds` for an exchange.

    Raises
    ------
    SourceTimeoutError
        The exchange takes longer.
    """
    try:
        async with asyncio.timeout(seconds) as deadline:
            return await exchange
    except TimeoutError as exc:
        if not deadline.expired():
            raise
        raise SourceTimeoutError(f"no complete answer within {seconds:g} s", source=name) from exc
