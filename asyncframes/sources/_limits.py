"""Limits that callers set: checks of their values, and timeouts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from asyncframes._model.quoting import quoted_option
from asyncframes._policy.policy import Policy
from asyncframes.errors import SourceLimitError, SourceTimeoutError

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


@dataclass(frozen=True, slots=True)
class SourceSize:
    """The most bytes that a source may have.

    Attributes
    ----------
    max_bytes
        The number, ``None`` for any.
    """

    max_bytes: int | None = None

    def limited_by(self, policy: Policy) -> SourceSize:
        """Return the lower limit: this one, or that of a policy."""
        limits = [limit for limit in (self.max_bytes, policy.max_source_bytes) if limit is not None]
        return SourceSize(min(limits, default=None))

    def check(self, size: int | None, name: str) -> None:
        """Refuse a longer source.

        Parameters
        ----------
        size
            Length, or a lower bound of it; ``None`` while it is unknown.
        name
            Name of the source, for errors.

        Raises
        ------
        SourceLimitError
            The source is longer.
        """
        if size is not None and self.max_bytes is not None and size > self.max_bytes:
            raise SourceLimitError(
                f"the source has {size} bytes or more: expected at most max_source_bytes={self.max_bytes}",
                source=name,
                limit="max_source_bytes",
                allowed=self.max_bytes,
                found=size,
            )
