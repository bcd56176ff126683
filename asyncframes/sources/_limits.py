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
class ByteLimit:
    """The most bytes that a source, or a temporary file of its bytes, may have.

    Attributes
    ----------
    max_bytes
        The number, ``None`` for any.
    name
        Name of the option or of the field of a policy that sets it.
    """

    max_bytes: int | None = None
    name: str = "max_source_bytes"

    def limited_by(self, policy: Policy) -> ByteLimit:
        """Return the lower limit: this one, or the length of a source that a policy allows."""
        most = policy.max_source_bytes
        is_lower = most is not None and (self.max_bytes is None or most < self.max_bytes)
        return ByteLimit(most) if is_lower else self

    def check(self, size: int | None, source: str, what: str = "") -> None:
        """Refuse more bytes.

        Parameters
        ----------
        size
            How many there are at least; ``None`` while that is unknown.
        source
            Name of the source, for errors.
        what
            What the error says of them, before the limit.

        Raises
        ------
        SourceLimitError
            There are more.
        """
        if size is not None and self.max_bytes is not None and size > self.max_bytes:
            what = what or f"the source has {size} bytes or more: expected at most"
            raise SourceLimitError(
                f"{what} {self.name}={self.max_bytes}",
                source=source,
                limit=self.name,
                allowed=self.max_bytes,
                found=size,
            )
