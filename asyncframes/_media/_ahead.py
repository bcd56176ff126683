"""One image made in another thread, while the decoder goes on to the next picture."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future

from asyncframes._media._pictures import Picture
from asyncframes._types import Frame

MakeFrame = Callable[[int, Picture], "Frame | None"]

# Smaller images are made in less time than a hand-over takes.
_LEAST_PIXELS = 300_000


class FrameAhead:
    """Makes frames, one at a time, in an executor whose threads may all be taken.

    Parameters
    ----------
    executor
        Where frames are made.
    make
        Makes a frame of a picture and its index, or ``None`` where it is left out.
    """

    def __init__(self, executor: Executor, make: MakeFrame) -> None:
        self._executor = executor
        self._make = make
        self._order: tuple[int, Picture] | None = None
        self._coming: Future[Frame | None] | None = None

    @staticmethod
    def is_worth_it(picture: Picture) -> bool:
        """Whether a picture is large enough."""
        return picture.frame.width * picture.frame.height >= _LEAST_PIXELS

    def begin(self, index: int, picture: Picture) -> None:
        """Begin to make a frame, after the one before was taken."""
        self._order = index, picture
        self._coming = self._executor.submit(self._make, index, picture)

    def take(self) -> Frame | None:
        """Return the frame that was begun, if there is one; here and now if no thread was free for it."""
        coming, order = self._coming, self._order
        self._coming = self._order = None
        if coming is None or order is None:
            return None
        return self._make(*order) if coming.cancel() else coming.result()

    def drop(self) -> bool:
        """Give up the frame that was begun; whether nobody works on it."""
        coming = self._coming
        self._coming = self._order = None
        return coming is None or coming.cancel() or coming.done()
