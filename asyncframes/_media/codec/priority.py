"""Codec threads that run at a low priority, so that they do not delay the event loop."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext

from asyncframes._media.codec.clock import thread_seconds
from asyncframes._runtime.life import on_fork

_THREADS = Path("/proc/self/task")
_NEAR = 128

# Held while a codec opens whose threads are searched for, so that threads of no other such codec are new.
_opening = threading.Lock()


def _in_child() -> None:
    # A thread of the parent may have held the lock during the fork.
    global _opening
    _opening = threading.Lock()


on_fork(_in_child)


def open_with_modest_threads(codec: VideoCodecContext, *, idle: bool, counted: bool) -> frozenset[int]:
    """Open a codec so that its threads do not interrupt others when they wake. Only Linux supports this.

    Under ``SCHED_BATCH`` of sched(7) they get the same share of the CPU as under the
    default policy. Threads inherit the policy of the thread that starts them. Since that
    thread may not be allowed to restore its own policy, a temporary one opens the codec.

    Parameters
    ----------
    idle
        Whether to run them only while nothing else needs the CPU (``SCHED_IDLE``).
    counted
        Whether to find them, so that their CPU time can be counted.

    Returns
    -------
    frozenset of int
        The system's numbers of the threads, if they are counted and found.
    """
    if sys.platform != "linux":
        return frozenset()
    found = set[int]()
    work = partial(_open_and_find, codec, found, idle=idle) if idle or counted else partial(_open, codec)
    starter = threading.Thread(target=work, name="asyncframes codec")
    starter.start()
    starter.join()
    return frozenset(found)


def _open(codec: VideoCodecContext) -> None:
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        codec.open(strict=False)
    except (OSError, av.FFmpegError):
        # A sandbox may forbid the policy: the codec then opens under the default one, when it first decodes.
        # A codec that cannot be opened raises its error again at that point.
        pass


def _open_and_find(codec: VideoCodecContext, found: set[int], *, idle: bool) -> None:
    """Open a codec, and find its threads.

    Their policy becomes idle afterwards: a thread that is idle on a busy machine holds the GIL long.
    """
    with _opening:
        before = _batch_threads()
        _open(codec)
        found |= _batch_threads() - before - {threading.get_native_id()}
    for thread in found if idle else ():
        # A thread of another codec may have ended by now.
        with suppress(OSError):
            os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))


def _batch_threads() -> set[int]:
    threads = set()
    for thread in _own_threads():
        with suppress(OSError):
            if os.sched_getscheduler(thread) == os.SCHED_BATCH:
                threads.add(thread)
    return threads


def _own_threads() -> list[int]:
    """List the threads of this process, or where it may not, at least those that this thread started last."""
    try:
        return [int(entry.name) for entry in _THREADS.iterdir()]
    except OSError:
        # The system gives numbers in turn, and other processes may take some in between.
        own = threading.get_native_id()
        return [thread for thread in range(own, own + _NEAR) if _is_own(thread)]


def _is_own(thread: int) -> bool:
    try:
        thread_seconds(thread)
    except OSError:
        return False
    return True
