"""Parses the values of options. Errors say what was expected."""

from __future__ import annotations

import argparse
import re
from fractions import Fraction
from typing import Any

from asyncframes._model.quoting import quoted_option

_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,2}):(\d{1,2}(?:\.\d*)?)", re.ASCII)


def header(text: str) -> tuple[str, str]:
    """Parse ``Name: value``. Errors never quote the value, which may be a secret."""
    name, colon, value = text.partition(":")
    if not colon or not re.fullmatch(r"[!#$%&'*+.^_`|~\w-]+", name, re.ASCII):
        raise argparse.ArgumentTypeError("expected 'Name: value'")
    return name, value.strip()


def integers(text: str) -> list[int]:
    """Parse comma-separated integers."""
    return _several(int, text, "integers such as 0,25,-1")


def seconds(text: str) -> list[float]:
    """Parse comma-separated times, each in seconds or as a clock shows it."""
    return _several(_time, text, "times such as 0.5,90,00:02:00.5")


def time_range(text: str) -> tuple[float | None, float | None]:
    """Parse two times separated by a dash, in seconds or as a clock shows them. Either may be missing."""
    begin, dash, stop = text.partition("-")
    try:
        if not dash:
            raise ValueError
        return _time(begin) if begin else None, _time(stop) if stop else None
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected times such as 2-5.5, 00:02:00.5-, or -5.5, not {quoted_option(text)}"
        ) from None


def _time(text: str) -> float:
    """Parse seconds, ``mm:ss`` or ``hh:mm:ss``, with or without decimals.

    Raises
    ------
    ValueError
        It is neither, or minutes or seconds are above 59.
    """
    if ":" not in text:
        return float(text)
    found = _CLOCK.fullmatch(text.strip())
    hours, minutes, rest = (found[1] or 0, int(found[2]), float(found[3])) if found else (0, 60, 0.0)
    if minutes > 59 or rest >= 60:
        raise ValueError
    return int(hours) * 3600 + minutes * 60 + rest


def rate(text: str) -> Fraction:
    """Parse frames per second, which may be a fraction."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise argparse.ArgumentTypeError(
            f"expected a rate such as 2, 0.5 or 30000/1001, not {quoted_option(text)}"
        ) from None


def positive(kind: type[int] | type[float]) -> Any:
    """Return a function that parses numbers above zero."""

    def read(text: str) -> int | float:
        try:
            value = kind(text)
        except ValueError:
            value = kind(0)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"expected a number above 0, not {quoted_option(text)}")
        return value

    return read


def _several(kind: Any, text: str, expected: str) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected {expected}, not {quoted_option(text)}") from None
