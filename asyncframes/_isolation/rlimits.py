"""Resource limits of a process."""

from __future__ import annotations

import math
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from asyncframes._isolation.unavailable import UnavailableError

# An event loop that starts later opens three.
_SPARE_DESCRIPTORS = 8
# Between the signal that tells why and the one that cannot be ignored.
_CPU_GRACE_SECONDS = 1
_RLIMITS = {
    "address_space": "RLIMIT_AS",
    "cpu_seconds": "RLIMIT_CPU",
    "file_size": "RLIMIT_FSIZE",
    "core_size": "RLIMIT_CORE",
    "descriptors": "RLIMIT_NOFILE",
    "processes": "RLIMIT_NPROC",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LockLimits:
    """What a locked process may use.

    Attributes
    ----------
    address_space_bytes
        Memory that it may map beyond what it has mapped. Each thread maps its stack and a heap of
        its own, 8 and 64 MiB as a rule, and touches little of them.
    cpu_seconds
        CPU time of all of its threads from now on. ``SIGXCPU`` ends it.
    """

    address_space_bytes: int
    cpu_seconds: int


def limit_resources(limits: LockLimits, highest_descriptor: int) -> tuple[tuple[str, int], ...]:
    """Limit the resources of this process for good, and return the limits by name.

    A limit that is lower already stays.

    Parameters
    ----------
    limits
        Memory and time.
    highest_descriptor
        Highest number that is open. A few more can be opened.

    Returns
    -------
    tuple of pairs
        Name and value of each limit that took effect.

    Raises
    ------
    UnavailableError
        The system has none.
    """
    if sys.platform == "win32":
        raise UnavailableError("Resources are not limited: Windows has no limits of this kind.")
    wanted = _wanted(limits, highest_descriptor)
    return tuple((name, value) for name, most in wanted.items() if (value := _lower(name, most)) is not None)


def _wanted(limits: LockLimits, highest_descriptor: int) -> dict[str, int]:
    wanted = {
        "cpu_seconds": math.ceil(time.process_time()) + limits.cpu_seconds,
        "file_size": 0,
        "core_size": 0,
        "descriptors": highest_descriptor + 1 + _SPARE_DESCRIPTORS,
    }
    if sys.platform == "linux":
        # There are no limits on processes here: Linux counts the threads of all processes of the user.
        with suppress(OSError):
            wanted["address_space"] = _mapped_bytes() + limits.address_space_bytes
    elif sys.platform == "darwin":
        # macOS counts processes, and does not enforce a limit on address space.
        wanted["processes"] = 0
    return wanted


def _mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")


def _lower(name: str, most: int) -> int | None:
    import resource  # Windows has none

    number: int = getattr(resource, _RLIMITS[name])
    soft, hard = (
        math.inf if value == resource.RLIM_INFINITY else value for value in resource.getrlimit(number)
    )
    lowered = int(min(most, soft, hard))
    grace = _CPU_GRACE_SECONDS if name == "cpu_seconds" else 0
    with suppress(OSError, ValueError):
        resource.setrlimit(number, (lowered, int(min(lowered + grace, hard))))
        return lowered
    return None
