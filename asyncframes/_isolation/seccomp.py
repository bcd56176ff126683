"""seccomp: the kernel refuses all system calls but those that decoding needs."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from asyncframes._isolation.unavailable import INSTALL, UnavailableError

if TYPE_CHECKING:
    import seccompy

# What Python, NumPy, asyncio and FFmpeg call while they decode, whatever the arguments. All of it acts
# on this process, or on what is open. aarch64 lacks some of it.
ALLOWED = (
    # Bytes of open descriptors. ftruncate is missing: the parent would crash on a mapping that got shorter.
    "read", "readv", "pread64", "write", "writev", "pwrite64", "lseek", "close", "fstat",
    # Open sockets.
    "sendmsg", "recvmsg", "recvfrom", "shutdown", "getsockopt", "getsockname", "getpeername",
    # Event loops.
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
    "poll", "ppoll", "select", "pselect6",
    # Memory, except what makes it executable.
    "brk", "munmap", "mremap", "madvise",
    # Threads and their locks. glibc ends a process that may not call rseq.
    "futex", "set_robust_list", "rseq", "sched_yield",
    "sched_getaffinity", "sched_getscheduler", "sched_getparam", "exit", "exit_group",
    # Signals that arrive; `conditions` has those that it sends.
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
    # Clocks, randomness and facts about itself.
    "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "getrandom",
    "getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getcpu", "getrusage", "times",
    "sysinfo",
)  # fmt: skip

# Of linux/sched.h: a new process, a new namespace or a tracer.
_CLONE_THREAD = 0x00010000
_CLONE_REFUSED = 0x7E020000 | 0x00002000 | 0x00004000 | 0x00800000
_INT = 0xFFFFFFFF
_PROT_EXEC = 4
_PR_SET_NAME, _PR_GET_NAME = 15, 16
_AF_UNIX, _SOCK_STREAM, _SOCK_TYPE = 1, 1, 0xF
_F_DUPFD_CLOEXEC = 1030
_DESCRIPTOR_COMMANDS = (0, 1, 2, 3, 4, _F_DUPFD_CLOEXEC)
"""F_DUPFD to F_SETFL. F_SETOWN could have the kernel send signals to other processes."""
_FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX = 0x541B, 0x5421, 0x5450, 0x5451
_SCHED_OTHER, _SCHED_BATCH, _SCHED_IDLE = 0, 3, 5
_NULL = (0, 0xFFFFFFFFFFFFFFFF)

Condition = dict[int, tuple[int, int]]
"""For some arguments, by their places, the value of the bits under a mask: ``{place: (value, mask)}``."""


def conditions(pid: int) -> list[tuple[str, Condition]]:
    """Return the calls that are allowed with some arguments only.

    Masks keep to the 32 bits that the kernel reads of an integer: the others may hold anything.
    """
    own = {0: (pid, _INT)}
    return [
        ("clone", {0: (_CLONE_THREAD, _CLONE_THREAD | _CLONE_REFUSED)}),
        ("mmap", {2: (0, _PROT_EXEC)}),
        ("mprotect", {2: (0, _PROT_EXEC)}),
        ("tgkill", own),
        ("kill", own),
        # An address would lead elsewhere than the other end of the socket.
        ("sendto", {4: _NULL}),
        # asyncio wakes its loop by a pair of stream sockets. Datagram sockets could send to any name.
        ("socketpair", {0: (_AF_UNIX, _INT), 1: (_SOCK_STREAM, _SOCK_TYPE)}),
        ("prlimit64", {0: (0, _INT), 2: _NULL}),
        *(("prctl", {0: (option, _INT)}) for option in (_PR_SET_NAME, _PR_GET_NAME)),
        *(("fcntl", {1: (command, _INT)}) for command in _DESCRIPTOR_COMMANDS),
        *(("ioctl", {1: (request, _INT)}) for request in (_FIONREAD, _FIONBIO, _FIONCLEX, _FIOCLEX)),
        *(
            ("sched_setscheduler", {0: (0, _INT), 1: (policy, _INT)})
            for policy in (_SCHED_OTHER, _SCHED_BATCH, _SCHED_IDLE)
        ),
        ("setpriority", {0: (0, _INT), 1: (0, _INT)}),
    ]


def new_filter() -> seccompy.Filter:
    """Return a filter of all system calls but those that decoding needs, for `load_filter`.

    A refused call fails with ``EPERM``, so that what Python or FFmpeg merely tries fails softly. A
    call by the numbers of another architecture kills the process.

    Raises
    ------
    UnavailableError
        The kernel or the library lacks it.
    """
    if sys.platform != "linux":
        raise UnavailableError("seccomp is off: only Linux has it.")
    try:
        from seccompy import Action, CmpOp, Filter, FilterFlag, flag_supported
    except ImportError:
        raise UnavailableError(f"seccomp is off: seccompy is missing ({INSTALL}).") from None
    # Without the second flag, a thread that cannot be filtered is no error, and nothing is filtered.
    flags = FilterFlag.TSYNC | FilterFlag.TSYNC_ESRCH
    try:
        if not flag_supported(flags):
            raise UnavailableError("seccomp is off: the kernel cannot filter all threads of a process.")
        calls = Filter(Action.ERRNO | errno.EPERM, flags=flags)
        for name in ALLOWED:
            with suppress(ValueError):
                calls.allow(name)
        for name, condition in conditions(os.getpid()):
            calls.allow(name, args=[(place, CmpOp.MASKED_EQ, *bits) for place, bits in condition.items()])
        # glibc then starts threads by clone, whose flags a filter can see.
        calls.errno("clone3", errno.ENOSYS)
    except OSError as exc:
        raise _refused(exc) from None
    return calls


def load_filter(calls: seccompy.Filter) -> Literal["allow-list"]:
    """Apply the filter to all threads of this process, for good."""
    try:
        calls.load()
    except OSError as exc:
        raise _refused(exc) from None
    return "allow-list"


def _refused(exc: OSError) -> UnavailableError:
    return UnavailableError(f"seccomp is off: the kernel refused it ({exc.strerror or exc}).")
