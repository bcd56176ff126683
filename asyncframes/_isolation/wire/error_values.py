"""Errors as JSON values, checked when they are read back."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any

from asyncframes import errors
from asyncframes._isolation.wire.messages import MalformedError
from asyncframes._isolation.wire.plain_values import LONGEST_TEXT, text
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


def error_as_facts(error: BaseException) -> dict[str, Any]:
    """Return an error as JSON values: its type, its text and its attributes."""
    kept = {name: value for name, value in vars(error).items() if _is_plain(value)}
    return {
        "type": type(error).__name__,
        "text": shortened(str(error), longest=LONGEST_TEXT // 2),
        "facts": kept,
    }


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) < 20 and all(_is_plain(one) for one in value)
    return value is None or isinstance(value, (bool, int, float, str))


def error_from_facts(facts: Mapping[str, Any]) -> Exception | None:
    """Return the error that `error_as_facts` turned into JSON values; ``None`` if it is none for users.

    Raises
    ------
    MalformedError
        A value has another type.
    """
    name, message, given = text(facts.get("type")), text(facts.get("text")), facts.get("facts")
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
        return tuple(_attribute(one) for one in value[:20])
    if isinstance(value, str):
        return text(value)
    if isinstance(value, dict):
        raise MalformedError("an attribute of an error is an object")
    return value
