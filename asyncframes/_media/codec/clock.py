"""The CPU time of a codec's own threads."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress


class CodecClock:
    """Measures the CPU time of the threads that the codecs of one decoder start, on Linux.

    Of a thread that has ended, the time up to the last look at the clock counts.
    """

    def __init__(self) -> None:
        self._past = 0.0
        self._seconds: dict[int, float] = {}

    def watch(self, threads: Iterable[int]) -> None:
        """Measure other threads from now on, by the system's numbers: the codec was opened again."""
        # The system may give the numbers of threads that have ended to others.
        self._past += sum(self._seconds.values())
        self._seconds = dict.fromkeys(threads, 0.0)

    def seconds(self) -> float:
        """Return the time that all of these threads have used so far."""
        for thread in self._seconds:
            with suppress(OSError):
                self._seconds[thread] = thread_seconds(thread)
        return self._past + sum(self._seconds.values())


def thread_seconds(thread: int) -> float:
    """Return the CPU time of a thread of this process, by the system's number; `OSError` if there is none."""
    # The kernel's number for the clock of a thread; see clock_getcpuclockid(3).
    return time.clock_gettime((~thread << 3) | 6)
