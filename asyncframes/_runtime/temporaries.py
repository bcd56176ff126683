"""Temporary files beside those that they become, named after the process that writes them."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from uuid import uuid4

STALE_SECONDS = 3600.0

# An earlier release named no process.
_NAME = re.compile(
    r"\.asyncframes-(?:(?P<host>[0-9a-f]{16})-(?P<pid>\d{1,10})-(?P<start>\d{1,20})-)?[0-9a-f]{32}(?:\..*)?",
    re.S,
)


def temporary_beside(path: Path) -> Path:
    """Choose a hidden name that nobody else has, in the same directory and with the same suffix."""
    pid = os.getpid()
    return path.with_name(f".asyncframes-{_host()}-{pid}-{_start_of_own(pid)}-{uuid4().hex}{path.suffix}")


def sweep(directory: Path) -> None:
    """Remove the temporary files of processes that have ended.

    Of a process of another machine, or of this one before it was started again,
    it cannot be told whether it has ended: its files go once nobody has written
    to them for an hour.

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
    """Whether the process that a name tells of has ended, ``None`` where that is not known."""
    if match["host"] != _host() or os.name != "posix":
        return None
    pid = int(match["pid"])
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        pass  # it is another user's
    start = _start_of(pid)
    return start != int(match["start"]) if start else None


def _is_stale(entry: os.DirEntry[str]) -> bool:
    return entry.stat(follow_symlinks=False).st_mtime < time.time() - STALE_SECONDS


@cache
def _host() -> str:
    """Name this machine since it was started, and the namespace in which its process numbers count."""
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
    """Tell when a process was started, in clock ticks since the machine was.

    0 where the system does not say; -1 where only its exit status is left of it.
    """
    try:
        # The program's name comes second, in brackets, and may hold anything.
        facts = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return -1 if facts[0] in {b"Z", b"X"} else int(facts[19])
    except (OSError, IndexError, ValueError):
        return 0
