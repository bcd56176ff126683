"""The main function of a decoding process: warms up, locks itself, and serves."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from pathlib import Path

from asyncframes._isolation.child.serving import serve
from asyncframes._isolation.child.warm_up import warm_up
from asyncframes._isolation.lock import LockLimits, lock
from asyncframes._isolation.privileges import die_with_parent

_DESCRIPTORS = Path("/dev/fd")

# A process serves many videos. The process of a video sets a lower limit for each request.
_CPU_SECONDS = 30 * 24 * 3600


def main(descriptor: int, parent: int, memory_bytes: int) -> None:
    """Serve until the process of the videos is gone, or closes its end of the socket.

    Parameters
    ----------
    descriptor
        The socket.
    parent
        The process of the videos.
    memory_bytes
        How much memory may be mapped, in addition to the code.
    """
    die_with_parent(parent)
    sock = socket.socket(fileno=descriptor)
    warm_up()
    # What remains is never collected, nor traversed again.
    gc.collect()
    gc.freeze()
    before = _open_descriptors()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    keep = {descriptor, *(_open_descriptors() - before)}
    report = lock(keep, LockLimits(address_space_bytes=memory_bytes, cpu_seconds=_CPU_SECONDS))
    loop.run_until_complete(serve(sock, report.as_dict()))
    # Threads that still decode are not waited for.
    os._exit(0)


def _open_descriptors() -> set[int]:
    listed = [int(each.name) for each in _DESCRIPTORS.iterdir()]
    # One of them was that of the directory.
    return {descriptor for descriptor in listed if _is_open(descriptor)}


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
