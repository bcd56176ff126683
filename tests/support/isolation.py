"""Decoding in a process of its own, where a test says nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asyncframes import _opening
from asyncframes._isolation import requests, worker
from asyncframes._isolation.workers import Workers, workers
from asyncframes._policy.policy import Isolation, limits_of
from asyncframes._requests.requests import Requests


def in_threads(video: Any) -> Requests:
    """Return the requests of a video that threads decode, to look into them."""
    requests = video._requests
    assert isinstance(requests, Requests)
    return requests


@contextmanager
def decoding_in(isolation: Isolation) -> Iterator[None]:
    """Have `open_video` decode in threads or in a process; afterwards, no idle process is left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            _opening,
            "limits_of",
            lambda *args, **kwargs: replace(limits_of(*args, **kwargs), isolation=isolation),
        )
        yield
    if isolation == "process":
        end_idle_processes()


@contextmanager
def processes_that_begin_with(code: str) -> Iterator[None]:
    """Have decoding processes run some code before they warm up. None that is idle survives this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "_PROGRAM", worker._PROGRAM.replace("\nmain(", f"\n{code}\nmain("))
        end_idle_processes()
        yield
    end_idle_processes()


@contextmanager
def own_processes(program: str | None = None) -> Iterator[Workers]:
    """Decode in processes that nothing else uses.

    With a program they run it, and none is started ahead: most of them would end unused.
    """
    own = Workers()
    with pytest.MonkeyPatch.context() as patch:
        if program is not None:
            patch.setattr(worker, "_PROGRAM", program)
            patch.setattr("asyncframes._isolation.workers._IDLE", 0)
        patch.setattr(requests, "workers", lambda: own)
        yield own
    end_idle_processes(own)


def end_idle_processes(lent: Workers | None = None) -> None:
    """End the processes that wait for a video, and wait for their end. Blocks."""
    if lent is None:
        if not workers.cache_info().currsize:
            return
        lent = workers()

    def end(lent: Workers) -> None:
        with lent._lock:
            idle, lent._idle = lent._idle, []
            lent._number -= len(idle)
        for one in idle:
            one.end()

    # Behind the starts that are under way.
    lent._starter.submit(end, lent).result()


def sockets_of_idle_processes() -> frozenset[str]:
    """Name the sockets of processes that wait for a video, as /proc/self/fd does. Blocks while any starts."""
    workers()._starter.submit(lambda: None).result()
    descriptors = [one.socket.fileno() for one in list(workers()._idle)]
    return frozenset(str(Path(f"/proc/self/fd/{descriptor}").readlink()) for descriptor in descriptors)
