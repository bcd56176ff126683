"""Readers of plain values from a process that may be hostile: each is of one type, and within bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

from asyncframes._isolation.wire.messages import MalformedError
from asyncframes._model.quoting import shortened
from asyncframes._model.table import Int64Array

T = TypeVar("T")

LONGEST_TEXT = 4000
_MOST_ENTRIES = 1000
_LARGEST = 2**63 - 1


def read_fields(readers: Mapping[str, Callable[[Any], Any]], facts: Any) -> dict[str, Any]:
    if not isinstance(facts, Mapping) or facts.keys() != readers.keys():
        raise MalformedError("facts with other names")
    return {name: reader(facts[name]) for name, reader in readers.items()}


def text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise MalformedError("a value is not a text, or is too long")
    return value


def line(value: Any) -> str:
    """Return a text for people, without what could act on a terminal or forge another line."""
    return shortened(text(value), longest=LONGEST_TEXT)


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise MalformedError("a value is neither true nor false")
    return value


def whole(value: Any, least: int = 0, most: int = _LARGEST) -> int:
    """Return an integer within bounds.

    Raises
    ------
    MalformedError
        The value is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise MalformedError("a value is not an integer, or is out of range")
    return value


def number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise MalformedError("a value is not a number")
    try:
        found = float(value)
    except OverflowError as exc:
        raise MalformedError("a number is too large") from exc
    if not math.isfinite(found):
        raise MalformedError("a number is not finite")
    return found


def fraction(value: Any) -> Fraction:
    over, _, under = text(value).partition("/")
    try:
        found = Fraction(int(over[:20]), int(under[:20]))
    except (ValueError, ZeroDivisionError) as exc:
        raise MalformedError("a value is not a fraction") from exc
    if found < 0:
        raise MalformedError("a fraction is negative")
    return found


def above_zero(value: Any) -> Fraction:
    if not (found := fraction(value)):
        raise MalformedError("a fraction is zero")
    return found


def side(value: Any) -> int:
    """Return a width or a height: 0 where no header and no picture tells."""
    return whole(value)


def moment(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(text(value))
    except ValueError as exc:
        raise MalformedError("a value is not a time") from exc


def or_none(reader: Callable[[Any], T]) -> Callable[[Any], T | None]:
    return lambda value: None if value is None else reader(value)


def one_of(*allowed: str | None) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, (list, dict)) or value not in allowed:
            raise MalformedError("a value is not among those known")
        return value

    return read


def many(reader: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    def read(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list) or len(value) > _MOST_ENTRIES:
            raise MalformedError("a value is not a list, or is too long")
        return tuple(reader(one) for one in value)

    return read


def indices_from(data: bytes, length: int) -> Int64Array:
    """Return frame indices below a length.

    Raises
    ------
    MalformedError
        One is not, or the bytes are cut short.
    """
    if len(data) % 8:
        raise MalformedError("frame indices are cut short")
    found = np.frombuffer(data, "<i8").astype(np.int64)
    if len(found) and not 0 <= found.min() <= found.max() < length:
        raise MalformedError("a frame index is out of range")
    return found
