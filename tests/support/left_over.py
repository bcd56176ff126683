"""What a process holds: descriptors, shared memory, child processes, threads and tasks."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from asyncframes._isolation.workers import Workers
from tests.support.isolation import end_idle_processes

_SECONDS = 60

# Shared executors keep their threads, and start them as they are needed.
_KEPT_THREADS = re.compile(r"asyncframes( read| workers)?_\d+|asyncio_\d+|pytest_timeout.*|AnyIO.*")


@dataclass(frozen=True)
class Held:
    """What a process holds, apart from what is kept for later use.

    Attributes
    ----------
    descriptors
        How many there are of each kind.
    memory
        Maps of shared memory.
    processes
        Child processes.
    threads, tasks
        Their names.
    """

    descriptors: Counter[str]
    memory: Counter[str]
    processes: frozenset[int]
    threads: Counter[str]
    tasks: Counter[str]

    @classmethod
    def now(cls) -> Held:
        """Return what this process holds."""
        gc.collect()
        names = [thread.name for thread in threading.enumerate() if not _KEPT_THREADS.fullmatch(thread.name)]
        tasks = asyncio.all_tasks() if asyncio._get_running_loop() else set()
        return cls(_descriptors(), _memory(), children(), Counter(names), Counter(map(_of_task, tasks)))

    def grown_since(self, before: Held) -> dict[str, object]:
        """Return what there is more of than before."""
        return {
            field.name: grown
            for field in fields(self)
            if (grown := getattr(self, field.name) - getattr(before, field.name))
        }


def _of_task(task: asyncio.Task[object]) -> str:
    return repr(task.get_coro())


def _descriptors() -> Counter[str]:
    found: Counter[str] = Counter()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[entry.readlink().as_posix().partition(":[")[0]] += 1
        except OSError:
            continue  # that of the folder itself
    return found


def _memory() -> Counter[str]:
    lines = Path("/proc/self/maps").read_text().splitlines()
    return Counter("shared memory" for line in lines if "memfd:asyncframes" in line)


def children() -> frozenset[int]:
    """Return the child processes of this process, also those that have ended and were not waited for."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields_of = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields_of[1]) == os.getpid():
                found.add(int(entry.name))
    return frozenset(found)


async def check_nothing_is_left(before: Held, lent: Workers) -> None:
    """Wait until this process holds no more than before, once its idle decoding processes have ended."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _SECONDS
    while True:
        end_idle_processes(lent)
        if not (grown := Held.now().grown_since(before)):
            return
        assert loop.time() < end, grown
        await asyncio.sleep(0.2)


@asynccontextmanager
async def nothing_left(lent: Workers) -> AsyncIterator[None]:
    """Check that no process, shared memory, descriptor, thread or task is left, within a generous time."""
    end_idle_processes(lent)
    before = Held.now()
    async with asyncio.timeout(2 * _SECONDS):
        yield
    await check_nothing_is_left(before, lent)
