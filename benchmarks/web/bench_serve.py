"""Time frame requests of many clients that step through videos which ``asyncframes serve`` serves.

    python -m benchmarks.web.bench_serve [--clients N] [--videos N] [--seconds N] [--pace SECONDS] [--json]

The server runs in a process of its own, on the same CPUs. Each client asks for the next frame of its video
at its pace, half of them backwards, from a place of its own. A request that comes late because the one
before it took too long counts from when it was due.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiohttp
import av

from benchmarks.make_media import DEMO_CLIP

_ADDRESS = re.compile(r"http://\S+/")


@dataclass
class Result:
    """What came of it; times are in milliseconds, memory in MiB."""

    clients: int
    videos: int
    seconds: float
    pace: float
    width: int
    statuses: dict[str, int]
    wrong: int
    p50: float
    p90: float
    p99: float
    longest: float
    memory_before: float
    memory_middle: float
    memory_after: float


@dataclass
class Found:
    """What all clients received so far."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: int = 0


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[str, int]]:
    """Serve a directory, and yield the address and the process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asyncframes", "serve", str(folder), "--no-table-cache"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        found = _ADDRESS.search((await process.stdout.readline()).decode())
        assert found
        yield found[0], process.pid
    finally:
        process.terminate()
        await process.wait()


def memory_of(process: int) -> float:
    """Return the memory of a process in MiB."""
    text = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    return int(found[1]) / 1024 if found else 0.0


async def step(
    client: aiohttp.ClientSession,
    name: str,
    number: int,
    count: int,
    arguments: argparse.Namespace,
    found: Found,
) -> None:
    """Step through a video until the time is over."""
    await asyncio.sleep(arguments.ramp * number / arguments.clients)
    due = time.monotonic()
    end = due + arguments.seconds
    index, way = number * 37 % count, 1 if number % 2 else -1
    while due < end:
        async with client.get(f"v/{name}/frames/{index}.jpg?width={arguments.width}") as reply:
            await reply.read()
            found.statuses[str(reply.status)] += 1
            found.wrong += reply.status == 200 and reply.headers["X-Frame-Index"] != str(index)
        now = time.monotonic()
        found.milliseconds.append((now - due) * 1000)
        index = (index + way) % count
        due += arguments.pace
        await asyncio.sleep(max(0.0, due - now))


async def measure(arguments: argparse.Namespace, folder: Path) -> Result:
    """Run all clients."""
    names = [f"{number}.mp4" for number in range(arguments.videos)]
    for name in names:
        await asyncio.to_thread(shutil.copy, arguments.clip, folder / name)
    connector = aiohttp.TCPConnector(limit=0)
    found = Found()
    async with served(folder) as (url, process), aiohttp.ClientSession(url, connector=connector) as client:
        counts = {}
        for name in names:
            async with client.get(f"v/{name}/info") as reply:
                counts[name] = (await reply.json())["frame_count"]
        before = memory_of(process)
        async with asyncio.TaskGroup() as group:
            for number in range(arguments.clients):
                name = names[number % len(names)]
                group.create_task(step(client, name, number, counts[name], arguments, found))
            await asyncio.sleep(arguments.seconds / 2)
            middle = memory_of(process)
        after = memory_of(process)
    shares = statistics.quantiles(found.milliseconds, n=100, method="inclusive")
    return Result(
        clients=arguments.clients,
        videos=arguments.videos,
        seconds=arguments.seconds,
        pace=arguments.pace,
        width=arguments.width,
        statuses=dict(found.statuses),
        wrong=found.wrong,
        p50=shares[49],
        p90=shares[89],
        p99=shares[98],
        longest=max(found.milliseconds),
        memory_before=before,
        memory_middle=middle,
        memory_after=after,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--videos", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pace", type=float, default=1.0, help="seconds from one step to the next")
    parser.add_argument("--ramp", type=float, default=5.0, help="seconds until all clients have begun")
    parser.add_argument("--width", type=int, default=640, help="width of the images")
    parser.add_argument("--clip", type=Path, default=DEMO_CLIP, help="the video, of which each has a copy")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = asyncio.run(measure(arguments, Path(folder)))
    if arguments.json:
        print(json.dumps(asdict(result), indent=2))
        return
    machine = f"{platform.platform()}, {os.cpu_count()} CPUs"
    print(f"{machine}, Python {platform.python_version()}, PyAV {av.__version__}")
    for name, value in asdict(result).items():
        print(f"{name:<15}{value:.1f}" if isinstance(value, float) else f"{name:<15}{value}")


if __name__ == "__main__":
    main()
