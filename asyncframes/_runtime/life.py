"""Open objects at the interpreter's exit and in forked children.

Neither an exiting process nor a forked child frees a watched object. Freeing a decoder waits
for its threads, which do not exist in a child. Freeing an open generator wakes an event loop,
which belongs to the parent.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Coroutine
from functools import partial
from typing import Any, Generic, Self, TypeVar
from weakref import WeakSet

from asyncframes._model.quoting import shortened
from asyncframes.errors import ForkedError, NotPicklableError

__all__ = ["ForkGuard", "GuardedFrames", "OneProcess", "Opened", "is_exiting", "on_fork", "watch"]

T = TypeVar("T")

# Weak references: watching an object does not keep it alive while the process runs.
_watched: WeakSet[Any] = WeakSet()
_resets: list[Callable[[], None]] = []
_exiting = False


def watch(thing: object) -> None:
    """Never free `thing` in a forked child or at exit; warn at exit if it is still open."""
    _watched.add(thing)


def on_fork(reset: Callable[[], None]) -> None:
    """Call `reset` in each forked child. It must not wait, take a lock or start a thread."""
    _resets.append(reset)


def is_exiting() -> bool:
    """Return whether the interpreter is exiting."""
    return _exiting


def _never_free() -> None:
    # Nothing releases these references, so the objects' finalisers never run in this process.
    for thing in list(_watched):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _in_child() -> None:
    _never_free()
    # The parent reports its unclosed objects, so the child must not.
    _watched.clear()
    for reset in _resets:
        reset()


def _at_exit() -> None:
    global _exiting
    # Set before anything else: idle worker threads and finalisers check it.
    _exiting = True
    for thing in list(_watched):
        if isinstance(thing, Opened) and (name := thing._unclosed()) is not None:
            warnings.warn(f"unclosed {name}", ResourceWarning, source=thing, stacklevel=1)
    _never_free()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class ForkGuard:
    """Remembers which process opened an object.

    Parameters
    ----------
    what
        Description of the object, for the error.
    remedy
        What the error advises the child to do.
    """

    __slots__ = ("_process", "_remedy", "_what")

    def __init__(self, what: str, *, remedy: str = "open it again in the child") -> None:
        self._what = shortened(what)
        self._remedy = remedy
        self._process = os.getpid()

    @property
    def is_forked(self) -> bool:
        """Whether this process is a child of the one that opened the object."""
        return os.getpid() != self._process

    def check(self) -> None:
        """Raise in a forked child.

        Raises
        ------
        ForkedError
            Another process opened the object.
        """
        if self.is_forked:
            raise ForkedError(
                f"{self._what} was opened in process {self._process}, and this is its forked child "
                f"{os.getpid()}: {self._remedy}"
            )


class Opened:
    """Base of objects that one process opens and must close.

    Parameters
    ----------
    kind, name
        How warnings and errors refer to the object: ``"video"`` and the video's name, for example.
    """

    def __init__(self, kind: str, name: str) -> None:
        self._kind = kind
        self._name = shortened(name)
        self._opened = False
        self._closed = False
        self._may_stay_open = False
        """Whether nobody has to close the object, so that leaving it open is not warned about."""
        self._guard = ForkGuard(f"the {kind} {name}")
        watch(self)

    def __del__(self) -> None:
        if not _exiting and (name := self._unclosed()) is not None:
            warnings.warn(f"unclosed {name}", ResourceWarning, source=self, stacklevel=1)

    def _unclosed(self) -> str | None:
        """Return how to refer to the object if this process has it open and must close it."""
        is_open = self._opened and not self._closed and not self._guard.is_forked
        return f"{self._kind} {self._name}" if is_open and not self._may_stay_open else None


class OneProcess(ABC):
    """Mixin for sources that belong to the process that opens them: its forked children cannot use them.

    A source that was never opened is pickled as the arguments that it was made from.
    """

    _process: ForkGuard | None = None
    _closed: bool
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Remember the arguments, for pickling."""
        source = super().__new__(cls)
        source._arguments = args, kwargs
        return source

    def __reduce__(self) -> tuple[Any, ...]:
        if self._process is not None or self._closed:
            raise NotPicklableError(
                f"{self!r} has been opened and belongs to this process: pickle a source before it is opened, "
                "or make another one from the same arguments"
            )
        args, kwargs = self._arguments
        return partial(type(self), *args, **kwargs), ()

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the source."""

    def _bind_to_process(self) -> None:
        """Remember the process that opens the source, and raise in a forked child of it.

        Raises
        ------
        ForkedError
            The parent process opened the source.
        """
        if self._process is None:
            self._process = ForkGuard(f"the source {self.name}")
            watch(self)
        self._process.check()

    @property
    def _is_forked(self) -> bool:
        return self._process is not None and self._process.is_forked


class GuardedFrames(AsyncGenerator[T, None], Generic[T]):
    """An async generator that raises `ForkedError` in a forked child."""

    def __init__(self, frames: AsyncGenerator[T, None], what: str) -> None:
        self._frames = frames
        self._guard = ForkGuard(what)
        watch(frames)

    @property
    def ag_running(self) -> bool:
        """Whether a step of the generator is running."""
        return bool(getattr(self._frames, "ag_running", False))

    def __anext__(self) -> Coroutine[Any, Any, T]:
        self._guard.check()
        return self._frames.__anext__()

    def asend(self, value: None, /) -> Coroutine[Any, Any, T]:
        """Resume the generator; see `agen.asend`."""
        self._guard.check()
        return self._frames.asend(value)

    def athrow(self, *error: Any) -> Coroutine[Any, Any, T]:
        """Raise inside the generator; see `agen.athrow`."""
        self._guard.check()
        return self._frames.athrow(*error)

    async def aclose(self) -> None:
        """End the request. In a forked child do nothing, because the request belongs to the parent."""
        if not self._guard.is_forked:
            await self._frames.aclose()
