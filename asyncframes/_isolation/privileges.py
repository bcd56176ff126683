"""What a process may do as its user: capabilities, privileges of programs it starts, being traced."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from functools import cache
from pathlib import Path

from asyncframes._isolation.unavailable import UnavailableError

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_CAPABILITY_VERSION_3 = 0x20080522


def drop_privileges() -> bool:
    """Give up every capability, gain none by starting programs, and close the process to tracers.

    A tracer of the same user could read other people's videos. As root, the process keeps the
    access to files that their owner has. Threads that run already keep what they have.

    Returns
    -------
    bool
        True: no program that the process starts gains privileges.

    Raises
    ------
    UnavailableError
        The system lacks it.
    """
    if sys.platform != "linux":
        raise UnavailableError("Privileges are those of the program: only Linux can drop them here.")
    try:
        _prctl(_PR_SET_DUMPABLE, 0)
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _drop_capabilities()
    except OSError as exc:
        raise UnavailableError(f"Privileges are those of the program: {exc.strerror}.") from None
    return True


def runs_alone() -> bool:
    """Whether this process is known to have no thread but this one."""
    try:
        return len(list(Path("/proc/self/task").iterdir())) == 1
    except OSError:
        return False


def die_with_parent(parent_pid: int) -> bool:
    """Have the kernel kill this process when its parent ends, and end it now if that is so already.

    The parent is the thread that started this process: on Linux the process is killed when that
    thread ends, even if others of the program go on.

    Parameters
    ----------
    parent_pid
        The process that started this one, as it was told by it.

    Returns
    -------
    bool
        Whether the kernel does it. Only Linux does: elsewhere, the end of a socket has to say it.
    """
    try:
        if armed := sys.platform == "linux":
            _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except OSError:
        armed = False
    # The parent may have ended before the kernel was told.
    if os.getppid() != parent_pid:
        os._exit(1)
    return armed


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    # The kernel wants the unused arguments to be 0, in all of their bits.
    _checked(_libc().prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))))


def _drop_capabilities() -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    _checked(_libc().capset(header, none))


def _checked(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
