"""Progress bars on stderr."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Literal, Self

from asyncframes._saving.progress import Bar, ending, finish, stop


class Progress:
    """The bars of one command: one for a pass over the packets, if there is one, then one for frames.

    Parameters
    ----------
    arguments
        Bars are shown if its ``progress`` is true; if it is ``None``, only on a terminal, and not if its
        ``quiet`` is true.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        by_default = sys.stderr.isatty() and not arguments.quiet
        self.is_shown: bool = by_default if arguments.progress is None else bool(arguments.progress)
        self._scan: Bar | None = None

    def count_packet(self, phase: Literal["index", "decode"], total: int | None) -> None:
        """Count a packet; for the ``packet_progress`` of `open_video`, which calls it in a worker thread."""
        if phase != "index":
            return
        if self._scan is None:
            self._scan = self._bar("packets", total, label="scan")
        self._scan.update()

    @contextmanager
    def frames(self, total: int | None) -> Iterator[Callable[[int], None]]:
        """Show how many frames are done. Yields a function to call with the number of new frames."""
        self._end_scan()
        with ending(self._bar("frames", total, label=None)) as bar:

            def advance(frames: int) -> None:
                bar.update(frames)

            yield advance

    def say(self, line: str) -> None:
        """Print a line on stderr, above the bar."""
        Bar.write(line, file=sys.stderr)

    def _bar(self, unit: str, total: int | None, *, label: str | None) -> Bar:
        return Bar(
            desc=label,
            total=total,
            unit=f" {unit}",
            dynamic_ncols=True,
            disable=not self.is_shown,
            file=sys.stderr,
        )

    def _end_scan(self, *, early: bool = False) -> None:
        if self._scan is not None:
            (stop if early else finish)(self._scan)
            self._scan.close()
            self._scan = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end_scan(early=exc is not None)
