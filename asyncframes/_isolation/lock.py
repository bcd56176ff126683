"""The lock of a process that decodes other people's bytes; see the functions it calls for what it refuses."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from asyncframes._isolation.landlock import refuse_everything
from asyncframes._isolation.privileges import drop_privileges, runs_alone
from asyncframes._isolation.report import IsolationReport
from asyncframes._isolation.rlimits import LockLimits, limit_resources
from asyncframes._isolation.seccomp import load_filter, new_filter
from asyncframes._isolation.unavailable import UnavailableError

__all__ = ["LockLimits", "lock"]

T = TypeVar("T")

_STANDARD = (0, 1, 2)
# What a system can have open that does not list it.
_MOST_DESCRIPTORS = 65_536
_EXPECTED_LIMITS = ("address_space", "cpu_seconds", "file_size", "core_size", "descriptors")


def lock(keep: Collection[int], limits: LockLimits) -> IsolationReport:
    """Take from this process, for good, all that decoding does not need.

    Everything that decoding imports must have been imported: a file cannot be opened afterwards.
    No other thread should run, or Landlock may not restrict it and does not count. NumPy starts
    threads unless ``OPENBLAS_NUM_THREADS=1`` is in the environment, and PyAV's conversions keep
    theirs unless they are given ``threads=1``.

    Afterwards the process can start threads, but no process. It can read, write, send and receive
    through what is open, map memory, and run event loops. Everything else fails with
    `PermissionError`.

    Parameters
    ----------
    keep
        Descriptors that stay open. Of the others, 0, 1 and 2 become the null device, and the rest
        are closed. Sockets must be of a pair of streams, since a datagram socket can send to any
        name. None may be one that the parent uses too, since flags such as ``O_NONBLOCK`` are
        shared.
    limits
        Memory and time.

    Returns
    -------
    IsolationReport
        What took effect, and what did not and why. A measure that is missing is no error here.
    """
    _close_others(keep)
    notes: list[str] = []
    # Imports, and looks for libraries in a process: before limits, and before files are refused.
    alone, calls = runs_alone(), _noted(notes, new_filter)
    rlimits = _noted(notes, lambda: limit_resources(limits, max({*keep, *_STANDARD}))) or ()
    # The kernel asks for this before it takes rules from a process without privileges.
    dropped = _noted(notes, drop_privileges)
    abi = _noted(notes, lambda: refuse_everything(alone=alone))
    seccomp = _noted(notes, lambda: load_filter(calls)) if calls else None
    if rlimits:
        notes += _missing_limits(dict(rlimits), processes=seccomp is not None)
    return IsolationReport(
        mode="process",
        pid=os.getpid(),
        uid=None if sys.platform == "win32" else os.getuid(),
        # A filter of system calls carries this over to all threads.
        no_new_privileges=bool(dropped) and (alone or seccomp is not None),
        rlimits=tuple(sorted(rlimits)),
        landlock_abi=abi,
        seccomp=seccomp,
        notes=tuple(notes),
    )


def _noted(notes: list[str], measure: Callable[[], T]) -> T | None:
    try:
        return measure()
    except UnavailableError as exc:
        notes.append(str(exc))
        return None


def _missing_limits(limits: dict[str, int], *, processes: bool) -> list[str]:
    missing = [name for name in _EXPECTED_LIMITS if name not in limits]
    notes = [f"The limit {name} is missing: the system refused it." for name in missing]
    if not processes and "processes" not in limits:
        notes.append("Processes are not limited: the system would count all threads of the user.")
    return notes


def _close_others(keep: Collection[int]) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in _STANDARD:
        if descriptor not in keep:
            os.dup2(null, descriptor)
    kept = sorted({*_STANDARD, *keep})
    for below, above in zip(kept, [*kept[1:], _highest() + 1], strict=True):
        os.closerange(below + 1, above)


def _highest() -> int:
    try:
        return max(int(entry.name) for entry in Path("/dev/fd").iterdir())
    except OSError:
        return _MOST_DESCRIPTORS
