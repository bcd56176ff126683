"""A bounded pool of daemon threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

from asyncframes._runtime.life import is_exiting

__all__ = ["DaemonExecutor"]

P = ParamSpec("P")
T = TypeVar("T")


class DaemonExecutor(Executor):
    """Runs calls in threads that do not keep the interpreter alive.

    At exit, the interpreter joins the threads of a `concurrent.futures.ThreadPoolExecutor`.
    A thread that waits for bytes or hangs in a foreign call would delay the exit.

    Parameters
    ----------
    max_threads
        How many calls may run at once. Threads start on demand.
    name
        Prefix of the threads' names.
    """

    def __init__(self, max_threads: int, *, name: str) -> None:
        self.max_threads = max_threads
        self._name = name
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._free = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a call in the next free thread.

        Raises
        ------
        RuntimeError
            There is no thread, and the system refuses to start one.
        """
        future: Future[T] = Future()
        if self._claims_new_thread():
            self._start()
        self._calls.put(partial(_run, future, partial(fn, *args, **kwargs)))
        return future

    def _claims_new_thread(self) -> bool:
        with self._lock:
            if self._free > 0:
                self._free -= 1
                return False
            if self._threads == self.max_threads:
                return False
            self._threads += 1
            return True

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=f"{self._name}_{self._threads}", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            with self._lock:
                self._threads -= 1
                if not self._threads:
                    raise

    def _work(self) -> None:
        while True:
            call = self._calls.get()
            if is_exiting():
                return
            call()
            del call
            with self._lock:
                self._free += 1


def _run(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as exc:  # noqa: BLE001 - the waiter raises it
        future.set_exception(exc)
        # The error's traceback references this frame. A reference from here to the error would make a cycle.
        del future, call
    else:
        future.set_result(result)
