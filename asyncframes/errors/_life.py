"""Objects that are closed, belong to another process, or need another package."""

from __future__ import annotations

from typing import Any

from asyncframes.errors._base import AsyncFramesError


class ClosedError(AsyncFramesError, RuntimeError):
    """A source, video or writer was used after it was closed."""


class ForkedError(AsyncFramesError, RuntimeError):
    """A forked child used a video, source or iterator that its parent opened."""


class NoEventLoopError(AsyncFramesError, RuntimeError):
    """A video was opened with ``async`` where no event loop of asyncio runs, as under Trio."""


class NotPicklableError(AsyncFramesError, TypeError):
    """An object that belongs to one process was pickled: an open video, an open source, a stream."""


class MissingExtraError(AsyncFramesError, ImportError):
    """An optional package is missing.

    Attributes
    ----------
    extra
        Name of the extra that installs it.
    """

    def __init__(self, message: str = "", *, extra: str | None = None) -> None:
        super().__init__(message)
        self.extra = extra

    def __reduce__(self) -> tuple[Any, ...]:
        # `ImportError` stores these outside of `__dict__`.
        return *super().__reduce__(), {"msg": self.msg, "name": self.name, "path": self.path}
