"""The decoding processes of this program: started ahead, used again, bounded in number."""

from __future__ import annotations

import asyncio
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from typing import Any

from asyncframes._isolation.worker import Worker
from asyncframes._runtime.executor import DaemonExecutor
from asyncframes._runtime.life import on_fork
from asyncframes._runtime.threads import cpus, result_of
from asyncframes.errors import IsolationError

_log = logging.getLogger("asyncframes")

_MOST_VIDEOS = 100
"""How many videos a process serves before another one takes its place."""

_IDLE = 1
"""How many processes are started ahead."""

# With one more, videos in sequence use one process. Otherwise each would start one and end one.
_MOST_IDLE = _IDLE + 1


# For closing what the last video has left.
_IDLE_CPU_SECONDS = 5.0

# A video that waits longer than this may wait for others that nobody closes.
_LONG_WAIT_SECONDS = 10.0

_Holder = Callable[[], "asyncio.Task[Any] | None"]
"""Returns the task that has a process, `None` if it has ended."""


@dataclass(frozen=True)
class _Waiting:
    """Someone who waits for a process: where it is delivered, for which task, and how many may be at work."""

    asked: Future[Worker]
    task: _Holder
    most: int


class Workers:
    """Starts decoding processes, and lends each to one video at a time.

    One process is started ahead, and at most two wait. A process is used again if it served its
    last video without an error, and at most 100 times. Any thread and any event loop may take one.
    """

    def __init__(self) -> None:
        # One thread that never ends starts all processes: the kernel kills them when their thread ends.
        self._starter = DaemonExecutor(1, name="asyncframes workers")
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._waiting: deque[_Waiting] = deque()
        self._number = 0
        """How many processes run or are being started."""
        self._busy: dict[Worker, _Holder] = {}

    async def take(self, most: int | None) -> Worker:
        """Wait for a process, in the order of the calls.

        Parameters
        ----------
        most
            How many processes may be at work at once, ``None`` for the number of CPUs.

        Raises
        ------
        IsolationError
            It does not start, or the calling task itself holds all processes that may be at work.
        """
        task = asyncio.current_task()
        waiting = _Waiting(Future(), weakref.ref(task) if task else _no_task, most or cpus())
        with self._lock:
            holders = [holder() for holder in self._busy.values()]
            if task and len(holders) >= waiting.most and all(holder is task for holder in holders):
                raise IsolationError(
                    f"this task has {len(self._busy)} open videos, and would wait for itself to close one: "
                    f"close one first, or allow more than max_workers={waiting.most} at once",
                    limit="max_workers",
                    allowed=waiting.most,
                    found=len(self._busy) + 1,
                )
            self._waiting.append(waiting)
        self._serve()
        long_wait = asyncio.get_running_loop().call_later(_LONG_WAIT_SECONDS, self._tell_of, waiting.most)
        try:
            return await result_of(waiting.asked)
        except asyncio.CancelledError:
            if not waiting.asked.cancel() and waiting.asked.exception() is None:
                self.give_back(waiting.asked.result(), is_clean=True)
            raise
        finally:
            long_wait.cancel()

    def _tell_of(self, most: int) -> None:
        """Log that a video waits for others, which somebody may have forgotten to close."""
        if len(self._busy) >= most:
            _log.warning(
                "A video has waited %.0f s for a decoding process: max_workers=%d allows no more, and all of "
                "them have an open video. Close videos that are no longer used, or allow more.",
                _LONG_WAIT_SECONDS,
                most,
            )

    def give_back(self, worker: Worker, *, is_clean: bool) -> None:
        """Take a process back: keep it for the next video, or end it."""
        worker.videos += 1
        with self._lock:
            self._busy.pop(worker, None)
            is_kept = is_clean and worker.videos < _MOST_VIDEOS and worker.is_alive
            if is_kept and (self._waiting or len(self._idle) < _MOST_IDLE):
                # Its decoders have ended, unless a hostile video has left something running.
                worker.limit_cpu(_IDLE_CPU_SECONDS)
                self._idle.append(worker)
            else:
                is_kept = False
                self._number -= 1
        if not is_kept:
            self._starter.submit(worker.end)
        self._serve()

    def _serve(self) -> None:
        """Lend processes to those who wait, and start what is missing."""
        with self._lock:
            while self._waiting:
                first = self._waiting[0]
                if first.asked.cancelled():
                    self._waiting.popleft()
                elif len(self._busy) < first.most and (worker := self._next_idle()) is not None:
                    self._waiting.popleft()
                    if first.asked.set_running_or_notify_cancel():
                        worker.limit_cpu(None)
                        self._busy[worker] = first.task
                        first.asked.set_result(worker)
                    else:
                        self._idle.append(worker)
                else:
                    break
            most = self._waiting[0].most if self._waiting else cpus()
            wanted = (
                min(len(self._waiting) + _IDLE, most - len(self._busy)) if self._waiting or self._busy else 0
            )
            missing = wanted - (self._number - len(self._busy))
            self._number += max(missing, 0)
        for _ in range(missing):
            self._starter.submit(self._start)

    def _next_idle(self) -> Worker | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.rests:
                return worker
            self._number -= 1
            self._starter.submit(worker.end)
        return None

    def _start(self) -> None:
        try:
            worker = Worker.start()
        except BaseException as exc:  # noqa: BLE001 - who waits raises it
            with self._lock:
                self._number -= 1
                failed = self._waiting.popleft().asked if self._waiting else None
            if failed is None:
                return  # the next video tries again
            if failed.set_running_or_notify_cancel():
                failed.set_exception(exc)
            self._serve()
            return
        with self._lock:
            self._idle.append(worker)
        self._serve()

    def forget(self) -> None:
        """Close the sockets in a forked child: the processes are the parent's."""
        for worker in [*self._idle, *self._busy]:
            worker.forget()


def _no_task() -> None:
    """Return the task of a caller outside tasks, which asyncio allows."""


@cache
def workers() -> Workers:
    """Return the decoding processes of this program. A forked child has its own."""
    return Workers()


def _in_child() -> None:
    if workers.cache_info().currsize:
        workers().forget()
        workers.cache_clear()


on_fork(_in_child)
