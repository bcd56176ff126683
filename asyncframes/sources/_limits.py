"""Bounds that callers give, checked where they are given."""

from __future__ import annotations

import math

from asyncframes._model.quoting import quoted

# A year; asyncio and Rust overflow somewhere beyond.
_MOST_SECONDS = 366 * 24 * 3600.0


def check_seconds(**values: float) -> None:
    """Refuse durations that nothing can last.

    Raises
    ------
    ValueError
        One is not above 0, or longer than a year.
    """
    for name, value in values.items():
        if math.isnan(value) or not 0 < value <= _MOST_SECONDS:
            raise ValueError(f"{name}={quoted(value)}: expected seconds, above 0 and at most a year")


def check_counts(*, least: int, **values: float) -> None:
    """Refuse numbers that are too small.

    Raises
    ------
    ValueError
        One is less than `least`, or no number.
    """
    for name, value in values.items():
        if not value >= least:
            raise ValueError(f"{name}={quoted(value)}: expected {least} or more")
