"""Temporary files, each beside its final path and named after the process that writes it."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

STALE_SECONDS = 3600.0

# The process is optional: names from earlier releases lack it.
_NAME = re.compile(
    r"\.asyncframes-(?:(?P<host>[0-9a-f]{16})-(?P<pid>\d{1,10})-(?P<start>\d{1,20})-)?[0-9a-f]{32}(?:\..*)?",
    re.S,
)


def temporary_beside(path: Path) -> Path:
    """Choose a unique hidden path in the same directory, with the same suffix."""
    pid = os.getpid()
    return path.with_name(f".asyncframes-{_host()}-{pid}-{_start_of_own(pid)}-{uuid4().hex}{path.suffix}")


def sweep(directory: Path) -> None:
    """Remove the temporary files of processes that have ended.

    Whether a process on another machine, or from before this machine's last boot, has ended
    is unknown. Its files are removed an hour after they were last written to.

    Raises
    ------
    OSError
        The directory cannot be read.
    """
    with os.scandir(directory) as entries:
        for entry in entries:
            if (match := _NAME.fullmatch(entry.name)) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):  # another run may be sweeping too
                    has_ended = _has_ended(match)
                    if has_ended or (has_ended is None and _is_stale(entry)):
                        Path(entry.path).unlink()


def _has_ended(match: re.Match[str]) -> bool | None:
    """Whether the process in a file name has ended, ``None`` if that is unknown."""
    # On Windows, os.kill(pid, 0) sends Ctrl-C.
    if match["host"] != _host() or sys.platform == "win32":
        return None
    pid = int(match["pid"])
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        pass  # it runs as another user
    start = _start_of(pid)
    return start != int(match["start"]) if start else None


def _is_stale(entry: os.DirEntry[str]) -> bool:
    return entry.stat(follow_symlinks=False).st_mtime < time.time() - STALE_SECONDS


@cache
def _host() -> str:
    """Identify this boot of this machine, and the namespace of its process ids."""
    facts = [socket.gethostname()]
    for name in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        with suppress(OSError):
            facts.append(Path(name).read_text("ascii", "replace").strip())
    with suppress(OSError):
        facts.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.blake2b("\n".join(facts).encode(), digest_size=8).hexdigest()


@cache
def _start_of_own(pid: int) -> int:
    return _start_of(pid)


def _start_of(pid: int) -> int:
    """Return when a process started, in clock ticks since boot.

    The result is 0 if the system does not say, and -1 for a zombie.
    """
    try:
        # The second field is the program's name in brackets. It may contain spaces and brackets.
        facts = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return -1 if facts[0] in {b"Z", b"X"} else int(facts[19])
    except (OSError, IndexError, ValueError):
        return 0
