"""The caller's frame indices and times as arrays; long iterables are read a few milliseconds at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from operator import index as as_integer
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import NDArray

from asyncframes._model.quoting import quoted_option
from asyncframes.errors import FrameIndexError

Entries: TypeAlias = NDArray[Any]
"""Read-only, one-dimensional: indices as ``int64``; times as ``float64``, or objects where some are exact."""

Convert: TypeAlias = Callable[[Sequence[Any] | Entries], Entries]

MOST_ENTRIES = 10_000_000
"""Most frames that one request may name, repeats included."""

# Converting this many entries takes a few milliseconds, even if they are fractions.
_AT_ONCE = 512

# Arrays of `_AT_ONCE` entries in a block.
_IN_BLOCK = 128

# While a long iterable is read, the caller gets its turn this often.
_SLICE_SECONDS = 0.002

# The caller's generator may be slow: the clock is checked after this many entries.
_BETWEEN_LOOKS = 64

_INT64 = np.iinfo(np.int64)

# Integers up to here are exact as floats.
_EXACT_IN_FLOATS = 2**53


class _Parts:
    """Arrays that become one.

    They are joined in blocks on the way: freeing 20,000 small arrays at once, as an error
    does, takes 40 ms.
    """

    def __init__(self) -> None:
        self._blocks: list[Entries] = []
        self._small: list[Entries] = []

    def append(self, part: Entries) -> None:
        self._small.append(part)
        if len(self._small) == _IN_BLOCK:
            self._blocks.append(np.concatenate(self._small))
            self._small.clear()

    def joined(self) -> Entries:
        return _frozen(np.concatenate([*self._blocks, *self._small]))


class Unread:
    """An iterable that is too long, or of unknown length, to be read at once.

    Parameters
    ----------
    name
        Of the argument, for errors.
    values
        Read once. A list is copied, so the caller may change it.
    convert
        Makes an array of some of its entries, and checks them.
    """

    def __init__(self, name: str, values: Iterable[Any], convert: Convert) -> None:
        self._name = name
        self._values = iter(values.copy() if isinstance(values, list) else values)
        self._convert = convert

    def read(self) -> Generator[None, None, Entries]:
        """Read all entries, a few milliseconds at a time.

        Yields
        ------
        None
            Whenever some time has passed, so that an event loop may go on.

        Raises
        ------
        TypeError, FrameIndexError
            An entry is not an integer, or is too large for any video.
        ValueError
            An entry is not a time, or there are more than `MOST_ENTRIES`.
        """
        parts = _Parts()
        due = time.monotonic() + _SLICE_SECONDS
        for part in self._parts():
            if part is not None:
                parts.append(part)
            if time.monotonic() >= due:
                yield
                due = time.monotonic() + _SLICE_SECONDS
        return parts.joined()

    def _parts(self) -> Iterator[Entries | None]:
        """Read some entries at a time.

        Yields
        ------
        ndarray or None
            Some entries; ``None`` where the clock is to be checked.
        """
        waiting: list[Any] = []
        count = 0
        while some := list(islice(self._values, _BETWEEN_LOOKS)):
            count += len(some)
            _refuse_too_many(self._name, count)
            waiting += some
            if len(waiting) >= _AT_ONCE:
                yield self._convert(waiting)
                waiting = []
            yield None
        yield self._convert(waiting)


def read_indices(values: Iterable[SupportsIndex] | Unread) -> Entries | Unread:
    """Read frame indices if that is quick, and leave others to be read later.

    Raises
    ------
    TypeError
        They are not integers, or not an iterable.
    FrameIndexError
        One is too large for any video.
    ValueError
        There are more than `MOST_ENTRIES`, or the array has several dimensions.
    """
    if isinstance(values, range):
        _refuse_too_many("indices", len(values))
        if all(abs(number) < _INT64.max // 2 for number in (values.start, values.stop, values.step)):
            return _frozen(np.arange(len(values), dtype=np.int64) * values.step + values.start)
    return _read("indices", values, _as_indices, "an iterable of integers")


def read_times(values: Iterable[float | Fraction] | Unread) -> Entries | Unread:
    """Read times in seconds if that is quick, and leave others to be read later.

    Raises
    ------
    TypeError
        They are not an iterable.
    ValueError
        One is not a finite number, there are more than `MOST_ENTRIES`, or the
        array has several dimensions.
    """
    return _read("times", values, _as_times, "an iterable of seconds")


def _read(name: str, values: Iterable[Any] | Unread, convert: Convert, expected: str) -> Entries | Unread:
    if isinstance(values, Unread):
        return values
    is_array = hasattr(values, "__array__")
    if is_array and (array := np.asarray(values)).ndim:
        return _of_array(name, array, convert)
    if is_array or isinstance(values, (str, bytes)) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name}={quoted_option(values)}: expected {expected}")
    if isinstance(values, (list, tuple)):
        _refuse_too_many(name, len(values))
        if len(values) <= _AT_ONCE:
            return _frozen(convert(values))
    return Unread(name, values, convert)


def _of_array(name: str, values: Entries, convert: Convert) -> Entries | Unread:
    if values.ndim != 1:
        raise ValueError(f"{name} is an array of {values.ndim} dimensions: expected one")
    _refuse_too_many(name, len(values))
    if values.dtype.kind == "b":
        raise TypeError(f"{name} is a boolean mask: pass numpy.flatnonzero(mask)")
    if values.dtype == object and len(values) > _AT_ONCE:
        return Unread(name, values.copy(), convert)
    # The caller may change an array later, except one that was read here before.
    is_ours = not values.flags.writeable and values.base is None
    return _frozen(convert(values if is_ours else values.copy()))


def _as_indices(values: Sequence[Any] | Entries) -> Entries:
    found = _as_array(values)
    if found is not None and (not found.size or _fits(found)):
        return found.astype(np.int64, copy=False)
    return np.array([_as_index(value) for value in values], np.int64)


def _as_index(value: Any) -> int:
    try:
        index = as_integer(value)
    except TypeError:
        raise TypeError(
            f"indices holds {quoted_option(value)}: expected integers; "
            "round floats first, for example with numpy.rint(values).astype(int)"
        ) from None
    if not _INT64.min <= index <= _INT64.max:
        raise FrameIndexError(
            f"frame {quoted_option(index)} is out of range: no video has as many", index=index
        )
    return index


def _fits(found: Entries) -> bool:
    return found.dtype.kind in "iu" and int(found.max()) <= _INT64.max


def _as_times(values: Sequence[Any] | Entries) -> Entries:
    found = _as_array(values)
    if found is None or found.dtype.kind not in "iuf" or _may_round(found):
        exact = np.empty(len(values), object)
        exact[:] = [as_seconds(value) for value in values]
        return exact
    seconds = found.astype(np.float64, copy=False)
    if not np.all(np.isfinite(seconds)):
        as_seconds(found[np.flatnonzero(~np.isfinite(seconds))[0]].item())
    return seconds


def as_seconds(value: Any) -> Fraction:
    """Return a time as it is meant, exactly.

    Raises
    ------
    ValueError
        It is not a finite number.
    """
    try:
        return Fraction(value)
    except (OverflowError, ValueError, TypeError, ZeroDivisionError):
        pass
    try:
        # `Fraction` does not take NumPy's floats of other precisions.
        return Fraction(float(value))
    except (OverflowError, ValueError, TypeError):
        text = quoted_option(value)
        raise ValueError(f"time {text}: expected a finite number of seconds") from None


def as_tolerance(seconds: Any) -> Fraction:
    """Return by how much times may be early, exactly.

    Raises
    ------
    ValueError
        It is not a finite number, or is less than 0.
    """
    try:
        tolerance = as_seconds(seconds)
    except ValueError:
        tolerance = Fraction(-1)
    if tolerance < 0:
        raise ValueError(
            f"tolerance_seconds={quoted_option(seconds)}: expected a finite number of seconds, 0 or more"
        )
    return tolerance


def _as_array(values: Sequence[Any] | Entries) -> Entries | None:
    """Return an array of numbers, ``None`` where the entries have to be converted one by one."""
    try:
        found = np.asarray(values)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.ndim == 1 and found.dtype.kind in "iuf" else None


def _may_round(found: Entries) -> bool:
    """Whether there are integers that floats cannot tell apart."""
    is_integer = found.dtype.kind in "iu" and bool(found.size)
    return is_integer and max(int(found.max()), -int(found.min())) > _EXACT_IN_FLOATS


def _frozen(values: Entries) -> Entries:
    values.flags.writeable = False
    return values


def _refuse_too_many(name: str, count: int) -> None:
    if count > MOST_ENTRIES:
        raise ValueError(f"{name} names more than {MOST_ENTRIES:,} frames: ask for fewer at a time")
