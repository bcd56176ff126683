"""Errors as JSON values, checked when they are read back."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

from asyncframes import errors
from asyncframes._isolation.wire.messages import MalformedError
from asyncframes._isolation.wire.plain_values import LONGEST_TEXT, line, text
from asyncframes._model.quoting import shortened

# Errors of Python's that users may see, because an argument is wrong in a way that only decoding shows.
_BUILTIN = frozenset(
    {
        "ArithmeticError",
        "IndexError",
        "KeyError",
        "LookupError",
        "NotImplementedError",
        "OSError",
        "OverflowError",
        "RuntimeError",
        "TimeoutError",
        "TypeError",
        "ValueError",
    }
)


_MOST_VALUES = 20


def error_as_facts(error: BaseException) -> dict[str, Any]:
    """Return an error as JSON values: its type, its text and its attributes."""
    kept = {name: _plain(value) for name, value in vars(error).items() if _is_plain(value)}
    return {
        "type": _name_of(type(error)),
        "text": shortened(str(error), longest=LONGEST_TEXT // 2),
        "facts": kept,
    }


def _name_of(kind: type[BaseException]) -> str:
    """Return the name of the nearest class that the other side knows."""
    known = (one.__name__ for one in kind.__mro__ if getattr(errors, one.__name__, None) is one)
    return next(known, kind.__name__)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return shortened(value, longest=LONGEST_TEXT) if isinstance(value, str) else value


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) <= _MOST_VALUES and not any(map(_is_list, value)) and all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def error_from_facts(facts: Mapping[str, Any]) -> Exception | None:
    """Return the error that `error_as_facts` turned into JSON values; ``None`` if it is none for users.

    Raises
    ------
    MalformedError
        A value has another type.
    """
    name, message, given = text(facts.get("type")), line(facts.get("text")), facts.get("facts")
    if not isinstance(given, dict):
        raise MalformedError("the attributes of an error are not an object")
    if name in errors.__all__:
        error: Exception = getattr(errors, name)(message)
        for attribute in vars(error).keys() & given.keys():
            setattr(error, attribute, _attribute(given[attribute]))
        return error
    if name in _BUILTIN:
        builtin: Exception = getattr(builtins, name)(message)
        return builtin
    return None


def _attribute(value: Any) -> Any:
    if isinstance(value, list):
        if len(value) > _MOST_VALUES or any(isinstance(one, list) for one in value):
            raise MalformedError("an attribute of an error is too long")
        return tuple(map(_attribute, value))
    if isinstance(value, str):
        return line(value)
    if isinstance(value, dict):
        raise MalformedError("an attribute of an error is an object")
    return value
