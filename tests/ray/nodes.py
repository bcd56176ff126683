"""A Ray of two nodes on this machine, and ways to lose parts of it."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STORE_BYTES = 300 * 1000**2


@dataclass
class TwoNodes:
    """A running cluster, whose second node may be lost."""

    cluster: Any
    second: Any

    def lose_second(self) -> None:
        """Kill every process of the second node."""
        self.cluster.remove_node(self.second, allow_graceful=False)


@contextmanager
def two_nodes(*, cpus: int = 1, store_bytes: int = STORE_BYTES) -> Iterator[TwoNodes]:
    """Run two nodes, each with an object store of its own."""
    import ray
    from ray.cluster_utils import Cluster

    node = {"num_cpus": cpus, "object_store_memory": store_bytes}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    second = cluster.add_node(**node)
    ray.init(address=cluster.address, logging_level="error")
    try:
        yield TwoNodes(cluster, second)
    finally:
        ray.shutdown()
        cluster.shutdown()


def _command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def workers(doing: str = "ray::") -> list[int]:
    """Return the workers that the processes of this test have started, by what they say that they do."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if _command_of(pid).startswith(doing) and _descends_from(pid, os.getpid())]


def _descends_from(pid: int, ancestor: int) -> bool:
    while pid > 1:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return False
        found = re.search(r"^PPid:\s+(\d+)", status, re.M)
        pid = int(found[1]) if found else 0
        if pid == ancestor:
            return True
    return False


def kill_a_reader(timeout_seconds: float = 60) -> int:
    """Kill a worker that reads videos, once there is one."""
    deadline = time.monotonic() + timeout_seconds
    while not (found := workers("ray::ReadVideoFrames")):
        assert time.monotonic() < deadline, "no worker reads videos"
        time.sleep(0.01)
    os.kill(found[0], signal.SIGKILL)
    return found[0]


@dataclass
class Peaks:
    """The most memory that each worker has held, in bytes; shared memory of the object store apart."""

    of: dict[int, int] = field(default_factory=dict)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch workers in a thread."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.2):
                for pid in workers():
                    self.of[pid] = max(self.of.get(pid, 0), _own_bytes(pid))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _own_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^RssAnon:\s+(\d+) kB", status, re.M)
    return int(found[1]) * 1024 if found else 0
