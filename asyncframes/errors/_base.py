"""The base class of all errors."""

from __future__ import annotations

from typing import Any

from asyncframes._model.quoting import shortened

_LONGEST_MESSAGE = 800


def _rebuild(cls: type[AsyncFramesError], args: tuple[Any, ...], context: dict[str, Any]) -> AsyncFramesError:
    # Of two builtin bases, Python lets only the one with attributes of its own make the object.
    error: AsyncFramesError = (OSError if issubclass(cls, OSError) else cls).__new__(cls, *args)
    error.args = args
    error.__dict__.update(context)
    return error


def with_source(message: str, source: str | None) -> str:
    """Return a message that ends with the name of a source, if there is one."""
    return f"{message} [{shortened(str(source))}]" if source else message


class AsyncFramesError(Exception):
    """Base class of the errors that asyncframes defines."""

    def __init__(self, message: str = "") -> None:
        # Messages quote names, paths and texts of other libraries, which may be arbitrarily long.
        super().__init__(shortened(str(message), longest=_LONGEST_MESSAGE))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.args, dict(self.__dict__))
