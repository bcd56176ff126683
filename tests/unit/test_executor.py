"""The pool of daemon threads."""

from __future__ import annotations

import gc
import threading
from weakref import ref

import pytest

from asyncframes._runtime.executor import DaemonExecutor


def test_results_and_errors_come_back() -> None:
    """A call gives what it returns, or raises."""
    executor = DaemonExecutor(2, name="test")
    assert executor.submit(divmod, 7, 3).result(10) == (2, 1)
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 7, 0).result(10)


def test_threads_are_bounded_and_used_again() -> None:
    """No thread is started while one is free, none beyond the bound, and every call runs."""
    executor = DaemonExecutor(3, name="bounded")
    for _ in range(20):
        assert executor.submit(threading.get_ident).result(10)

    def threads() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name.startswith("bounded")]

    assert len(threads()) <= 2
    gate = threading.Event()
    waiting = [executor.submit(gate.wait, 10) for _ in range(10)]
    assert len(threads()) == 3
    gate.set()
    assert all(future.result(10) for future in waiting)
    assert all(thread.daemon for thread in threads())


def test_a_call_is_never_left_behind_a_blocked_one() -> None:
    """While the bound allows it, calls that block do not keep others waiting."""
    executor = DaemonExecutor(8, name="blocked")
    gate = threading.Event()
    blocked = [executor.submit(gate.wait, 30) for _ in range(7)]
    for _ in range(20):
        assert executor.submit(abs, -1).result(10) == 1
    gate.set()
    assert all(future.result(10) for future in blocked)


def test_an_error_keeps_nothing_alive_but_itself() -> None:
    """Without the garbage collector, what a failed call worked on goes with its error."""

    class Thing:
        def fail(self) -> None:
            raise ValueError

    executor = DaemonExecutor(1, name="failed")
    gc.collect()
    gc.disable()
    try:
        thing = Thing()
        gone = ref(thing)
        future = executor.submit(thing.fail)
        assert isinstance(future.exception(10), ValueError)
        executor.submit(abs, 1).result(10)
        del thing, future
        assert gone() is None
    finally:
        gc.enable()


def test_a_cancelled_call_does_not_run() -> None:
    """As with any executor."""
    executor = DaemonExecutor(1, name="cancelled")
    gate = threading.Event()
    first = executor.submit(gate.wait, 10)
    second = executor.submit(pytest.fail)
    assert second.cancel()
    gate.set()
    assert first.result(10)
    assert executor.submit(abs, -2).result(10) == 2
