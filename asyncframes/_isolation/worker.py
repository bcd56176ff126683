"""A decoding process, as the process of the videos sees it."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing import spawn

from asyncframes._isolation.report import IsolationReport
from asyncframes._isolation.wire.messages import Kind, MalformedError, Messages
from asyncframes.errors import IsolationError

if sys.platform != "win32":
    import resource

_START_SECONDS = 60.0
_MOST_REPORT_BYTES = 64 * 1024
_CPU_GRACE_SECONDS = 1.0
# CPUCLOCK_PROF and CPUCLOCK_SCHED in the kernel's posix-timers.h. RLIMIT_CPU compares the first, which counts
# ticks of the clock and may be many seconds ahead of the other or behind it.
_LIMITED_CLOCK, _EXACT_CLOCK = 0, 2
# A limit takes effect at the next tick, which may come after it was raised.
_CPU_MARGIN_SECONDS = 2.0

# A process whose memory is large takes a while to end.
_EXIT_SECONDS = 5.0

MEMORY_BYTES = 4 * 1024**3
"""How much memory a decoding process may map."""

# Both packages import all sources. Without these, a process has no HTTP client, and starts in less time.
BARE_PACKAGES = """
import importlib.util
for name in ("asyncframes", "asyncframes.sources"):
    sys.modules[name] = importlib.util.module_from_spec(importlib.util.find_spec(name))
"""

_PROGRAM = f"""
import json, sys
path, descriptor, parent, memory = json.loads(sys.argv[1])
sys.path[:] = path
{BARE_PACKAGES}
from asyncframes._isolation.child.main import main
main(descriptor, parent, memory)
"""

# What libraries need to be found. Everything else in the environment may be a secret.
_KEPT_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH")


class Worker:
    """A decoding process that is locked and waits for a video.

    Attributes
    ----------
    socket
        Leads to the process.
    report
        What confines it.
    videos
        How many videos it has served.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], sock: socket.socket, report: IsolationReport
    ) -> None:
        self._process = process
        self.socket = sock
        self.report = report
        self.videos = 0
        self._most_cpu_seconds = math.inf

    @classmethod
    def start(cls) -> Worker:
        """Start a process, and wait until it is locked. Blocks.

        The thread that calls this must not end before the process does: the kernel takes its end
        for the end of the parent.

        Raises
        ------
        IsolationError
            It does not start.
        """
        python = _python()
        ours, theirs = socket.socketpair()
        arguments = json.dumps([_path(), theirs.fileno(), os.getpid(), MEMORY_BYTES])
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program
                [python, "-I", "-c", _PROGRAM, arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=_environment(),
                cwd="/",
                start_new_session=True,
            )
        except OSError as exc:
            ours.close()
            raise IsolationError(f"the decoding process does not start: {exc.strerror}") from exc
        finally:
            theirs.close()
        try:
            report = _report_from(ours)
        except (OSError, ValueError) as exc:
            _kill(process)
            ours.close()
            said = process.communicate()[1].decode(errors="replace").strip().rpartition("\n")[2]
            raise IsolationError(f"the decoding process does not start: {said or exc}") from exc
        if process.stderr is not None:
            process.stderr.close()
        return cls(process, ours, report)

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def cpu_seconds(self) -> float:
        """Return the CPU time that the process has used; 0 where the system does not tell."""
        return self._clock(_EXACT_CLOCK)

    def _clock(self, which: int) -> float:
        # The kernel's number for a clock of another process; see clock_getcpuclockid(3).
        with suppress(OSError):
            if sys.platform == "linux":
                return time.clock_gettime((~self.pid << 3) | which)
        return 0.0

    def limit_cpu(self, seconds: float | None) -> None:
        """Have the kernel end the process after some more seconds of CPU time, on Linux.

        Parameters
        ----------
        seconds
            How many, ``None`` for any number.
        """
        if sys.platform != "linux":
            return
        with suppress(OSError, ValueError):
            _soft, hard = resource.prlimit(self.pid, resource.RLIMIT_CPU)
            # The hard limit could not be raised again for the next request.
            most = hard if seconds is None else math.ceil(self._clock(_LIMITED_CLOCK) + seconds)
            self._most_cpu_seconds = math.inf if seconds is None else most
            resource.prlimit(self.pid, resource.RLIMIT_CPU, (most, hard))

    @property
    def ignores_cpu_limit(self) -> bool:
        """Whether the process has used more CPU time than it may, because it ignores the signal."""
        return self._clock(_LIMITED_CLOCK) > self._most_cpu_seconds + _CPU_GRACE_SECONDS

    @property
    def rests(self) -> bool:
        """Whether the process runs, has sent nothing, and is not about to reach its limit of CPU time.

        Between two videos, it has nothing to say, and nothing to do but to close the last one.
        """
        if self._clock(_LIMITED_CLOCK) > self._most_cpu_seconds - _CPU_MARGIN_SECONDS:
            return False
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return self.is_alive and not poll.poll(0)

    def kill(self) -> None:
        """End the process and its group at once. A second call does nothing."""
        _kill(self._process)

    def end(self) -> int:
        """Kill the process if it runs, wait for its end, and return its exit code: negative for a signal."""
        self.kill()
        code = self._process.wait()
        self.socket.close()
        return code

    def ended(self) -> tuple[int, bool]:
        """Wait for the process, which has closed its end of the socket; kill it if it goes on.

        Returns
        -------
        tuple
            Its exit code, and whether it had to be killed.
        """
        goes_on = False
        try:
            self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            goes_on = True
        return self.end(), goes_on

    def forget(self) -> None:
        """Close the socket in a forked child, to which the process does not belong."""
        self.socket.close()
        # A process that is not this one's child cannot be waited for.
        self._process.returncode = 0


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _python() -> str:
    """Return the path of the Python to start, which is that of `multiprocessing`.

    Raises
    ------
    IsolationError
        The program is frozen, or embeds Python: its executable would start the program again.
    """
    program = os.fsdecode(spawn.get_executable() or "")
    if not program or (getattr(sys, "frozen", False) and program == sys.executable):
        raise IsolationError(
            "the decoding process does not start, because the executable of this program is not Python: name "
            "a Python that has asyncframes with multiprocessing.set_executable(…)"
        )
    return program


def _path() -> list[str]:
    return [os.path.abspath(entry) for entry in sys.path]  # noqa: PTH100 - "" is the current directory


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    # OpenBLAS would start threads that a lock does not reach, and nothing here multiplies matrices.
    return {**kept, "OPENBLAS_NUM_THREADS": "1"}


def _report_from(sock: socket.socket) -> IsolationReport:
    """Wait for the first message: what confines the process.

    Raises
    ------
    OSError, ValueError
        The process has ended, is late, or sent something else.
    """
    sock.settimeout(_START_SECONDS)
    messages = Messages(_MOST_REPORT_BYTES)
    while data := sock.recv(_MOST_REPORT_BYTES):
        for message in messages.feed(data):
            if message.kind != Kind.READY:
                raise MalformedError("the first message is not a report")
            return IsolationReport.from_dict(message.facts())
    raise ConnectionError("it ended before it was locked")


__all__ = ["MEMORY_BYTES", "Worker"]
