"""Landlock: the kernel refuses files, connections and signals to other processes."""

from __future__ import annotations

import sys

from asyncframes._isolation.unavailable import INSTALL, UnavailableError

# From this version on, all threads of a process are restricted, not only the one that asks.
_ALL_THREADS = 8


def refuse_everything(*, alone: bool) -> int:
    """Refuse this process everything that the kernel's Landlock knows, and return its version.

    These are all accesses to files by name, and from later versions on TCP, devices, abstract
    sockets and signals to other processes. What is open stays usable.

    Parameters
    ----------
    alone
        Whether no other thread runs.

    Returns
    -------
    int
        The version of the interface.

    Raises
    ------
    UnavailableError
        The kernel or the library lacks it, or other threads run that it would not restrict.
    """
    if sys.platform != "linux":
        raise UnavailableError("Landlock is off: only Linux has it.")
    try:
        import landlockpy
    except ImportError:
        raise UnavailableError(f"Landlock is off: landlockpy is missing ({INSTALL}).") from None
    try:
        version = landlockpy.abi_version()
        with landlockpy.Ruleset(scoped=landlockpy.scope_for_abi(version)) as ruleset:
            ruleset.restrict(landlockpy.RestrictFlag.TSYNC)
    except OSError as exc:
        raise UnavailableError(f"Landlock is off: the kernel refused it ({exc.strerror or exc}).") from None
    if not alone and version < _ALL_THREADS:
        raise UnavailableError(f"Landlock {version} restricts one thread, and others of the process may run.")
    return version
