"""What outlives a call, at the interpreter's exit and in forked children.

Whatever is watched here is never freed by a process that ends or was forked: to
free a decoder is to wait for its threads, which a child does not have, and to free
an open generator is to wake a loop that is the parent's.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import warnings
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from asyncframes._model.quoting import shortened
from asyncframes.errors import ForkedError

__all__ = ["ForkGuard", "GuardedFrames", "Opened", "is_exiting", "on_fork", "watch"]

T = TypeVar("T")

_watched: WeakSet[Any] = WeakSet()
_resets: list[Callable[[], None]] = []
_exiting = False


def watch(thing: object) -> None:
    """Never free this in a forked child or once the interpreter exits; warn then if it is still open."""
    _watched.add(thing)


def on_fork(reset: Callable[[], None]) -> None:
    """Call this in each forked child; it may neither wait, nor lock, nor start anything."""
    _resets.append(reset)


def is_exiting() -> bool:
    """Tell whether the interpreter is on its way out."""
    return _exiting


def _keep_for_good() -> None:
    for thing in list(_watched):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _in_child() -> None:
    _keep_for_good()
    _watched.clear()
    for reset in _resets:
        reset()


def _at_exit() -> None:
    global _exiting
    _exiting = True
    for thing in list(_watched):
        if isinstance(thing, Opened) and (name := thing._unclosed()) is not None:
            warnings.warn(f"unclosed {name}", ResourceWarning, source=thing, stacklevel=1)
    _keep_for_good()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


class ForkGuard:
    """Knows the process that opened something.

    Parameters
    ----------
    what
        What was opened, for the error.
    remedy
        What to do in the child.
    """

    __slots__ = ("_process", "_remedy", "_what")

    def __init__(self, what: str, *, remedy: str = "open it again in the child") -> None:
        self._what = shortened(what)
        self._remedy = remedy
        self._process = os.getpid()

    @property
    def is_forked(self) -> bool:
        """Whether this process is a child of the one that opened it."""
        return os.getpid() != self._process

    def check(self) -> None:
        """Refuse to go on in a forked child.

        Raises
        ------
        ForkedError
            It was opened in another process.
        """
        if self.is_forked:
            raise ForkedError(
                f"{self._what} was opened in process {self._process}, and this is its forked child "
                f"{os.getpid()}: {self._remedy}"
            )


class Opened:
    """What is opened once, for one process, and has to be closed.

    Parameters
    ----------
    kind, name
        What it is, and which.
    """

    def __init__(self, kind: str, name: str) -> None:
        self._kind = kind
        self._name = shortened(name)
        self._opened = False
        self._closed = False
        self._guard = ForkGuard(f"the {kind} {name}")
        watch(self)

    def __del__(self) -> None:
        if not _exiting and (name := self._unclosed()) is not None:
            warnings.warn(f"unclosed {name}", ResourceWarning, source=self, stacklevel=1)

    def _unclosed(self) -> str | None:
        """Name it if it is open in this process."""
        is_open = self._opened and not self._closed and not self._guard.is_forked
        return f"{self._kind} {self._name}" if is_open else None


class GuardedFrames(AsyncGenerator[T, None], Generic[T]):
    """An async generator that refuses to go on in a forked child."""

    def __init__(self, frames: AsyncGenerator[T, None], what: str) -> None:
        self._frames = frames
        self._guard = ForkGuard(what)
        watch(frames)

    @property
    def ag_running(self) -> bool:
        """Whether a step of the generator is on its way."""
        return bool(getattr(self._frames, "ag_running", False))

    def __anext__(self) -> Coroutine[Any, Any, T]:
        self._guard.check()
        return self._frames.__anext__()

    def asend(self, value: None, /) -> Coroutine[Any, Any, T]:
        """Go on, as an async generator does."""
        self._guard.check()
        return self._frames.asend(value)

    def athrow(self, *error: Any) -> Coroutine[Any, Any, T]:
        """Raise inside, as an async generator does."""
        self._guard.check()
        return self._frames.athrow(*error)

    async def aclose(self) -> None:
        """End the request; in a forked child it is the parent's, and stays as it is."""
        if not self._guard.is_forked:
            await self._frames.aclose()
