"""One line in the log for all the frames that a request leaves out."""

from __future__ import annotations

import logging
import threading
from types import TracebackType

_log = logging.getLogger("asyncframes")


class LeftOut:
    """Counts the damaged frames that a request leaves out; the log is told when the context ends.

    The lanes of a request share one, and a frame that is met again counts once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: set[int] = set()
        self._first: tuple[int, str] | None = None

    def add(self, index: int, message: str) -> None:
        """Count a frame; from any thread."""
        with self._lock:
            self._seen.add(index)
            if self._first is None or index < self._first[0]:
                self._first = index, message

    def __enter__(self) -> None:
        return

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._first is not None:
            number = len(self._seen)
            told = "it was left out" if number == 1 else f"{number:,} such frames were left out"
            _log.warning("%s; %s", self._first[1], told)
