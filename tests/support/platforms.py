"""Other systems, as far as Linux can be made to look like them: without what their Python lacks.

A program that begins with `AS_WINDOWS` or `AS_MACOS` first imports the package as it is, so that other
packages are there, then takes away what the system lacks, and forgets the package, to import it again.
File names and processes stay those of Linux.
"""

from __future__ import annotations

_FORGET = """
import importlib, pkgutil, sys

def modules():
    import asyncframes
    return [one.name for one in pkgutil.walk_packages(asyncframes.__path__, "asyncframes.", onerror=str)]

import asyncframes.cli, asyncframes.testing, asyncframes.web, anyio._backends._asyncio
import asyncio, fcntl, mmap, os, resource, select, signal, socket, time
for name in [name for name in sys.modules if name.partition(".")[0] == "asyncframes"]:
    del sys.modules[name]

def remove(module, *names):
    for name in names:
        vars(module).pop(name, None)
"""

AS_WINDOWS = (
    _FORGET
    + """
def unsupported(*_arguments):
    raise NotImplementedError

def refused(*arguments):
    raise SystemError(f"never call this on Windows: {arguments}")

os.kill = refused
sys.platform = "win32"
sys.modules.update(dict.fromkeys(["fcntl", "grp", "pwd", "resource", "termios", "pty", "tty", "syslog"]))
remove(
    os,
    *"fork register_at_fork pread preadv pwrite readv writev memfd_create killpg getpgid setsid".split(),
    *"getuid geteuid getgid getegid getgroups sysconf confstr uname nice getpriority setpriority".split(),
    *"mkfifo mknod chown fchown lchown fchdir posix_fadvise posix_fallocate posix_spawn sendfile".split(),
    *"getloadavg openpty ttyname chroot WNOHANG O_CLOEXEC O_NONBLOCK O_DIRECTORY O_NOFOLLOW".split(),
    *(name for name in vars(os) if name.startswith(("sched_", "SCHED_", "MFD_"))),
)
remove(mmap, *(name for name in vars(mmap) if name.startswith(("MAP_", "PROT_", "MADV_"))))
remove(select, "poll")
remove(signal, "SIGKILL", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGXCPU", "SIGUSR1", "SIGPIPE", "pthread_kill")
remove(socket, "send_fds", "recv_fds")
remove(time, "clock_gettime", "clock_gettime_ns", "pthread_getcpuclockid")
asyncio.SelectorEventLoop.add_signal_handler = unsupported
asyncio.SelectorEventLoop.add_reader = asyncio.SelectorEventLoop.add_writer = refused
"""
)

WITHOUT_LINUX = """
import mmap, os, sys, time
clock_gettime = time.clock_gettime

def own_clock(number):
    if number < 0:
        raise OSError(22, "Invalid argument")
    return clock_gettime(number)

time.clock_gettime = own_clock
sys.platform = "darwin"
for module, prefixes in (
    (os, ("memfd_create", "MFD_", "sched_", "SCHED_", "posix_fadvise")),
    (mmap, ("MADV_REMOVE", "MADV_DONTFORK", "MADV_HUGEPAGE")),
):
    for name in [name for name in vars(module) if name.startswith(prefixes) and name != "sched_yield"]:
        delattr(module, name)
"""
"""What macOS lacks, for a process that has imported the package."""

AS_MACOS = _FORGET + WITHOUT_LINUX + "remove(resource, 'prlimit')\n"
