"""Time the SDK's function and its drop-in on one video of a loopback server, over two links, in turn.

::

    nox -s supervisely-bench

Each measurement is a call of ``async_stream_video_frames`` with the SDK's ``Api`` object. The processes
start before, so imports are not counted. The first round only warms up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncframes as af
from benchmarks.servers.shaped_link import ShapedLink
from tests.proof._compare import DROP_IN, SDK, Worker
from tests.support.servers.supervisely_platform import Platform

VIDEO = 1
LINKS: dict[str, dict[str, float]] = {
    "local": {},
    "50 ms, 100 Mbit/s": {"round_trip_seconds": 0.05, "bits_per_second": 100e6},
}


@contextmanager
def link(port: int, shape: dict[str, float]) -> Iterator[str]:
    """Give the platform's address over a link, whose proxy runs in a thread of its own."""
    if not shape:
        yield f"http://127.0.0.1:{port}"
        return
    ready, address, loop = threading.Event(), [""], asyncio.new_event_loop()
    stop = asyncio.Event()

    async def run() -> None:
        shaped = ShapedLink(
            port,
            round_trip_seconds=shape["round_trip_seconds"],
            bytes_per_second=shape["bits_per_second"] / 8,
        )
        address[0] = f"http://127.0.0.1:{await shaped.start()}"
        ready.set()
        await stop.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    ready.wait()
    try:
        yield address[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def measure(
    server: Platform, shape: dict[str, float], ranges: dict[str, tuple[int, int | None]], rounds: int
) -> dict[str, dict[str, Any]]:
    """Time both on each range over one link, in turn."""
    found: dict[str, dict[str, Any]] = {
        name: {which: {"seconds": [], "bytes": 0, "requests": 0} for which in (SDK, DROP_IN)}
        for name in ranges
    }
    with (
        link(server.port, shape) as address,
        Worker(SDK, address) as sdk,
        Worker(DROP_IN, address) as ours,
    ):
        for name, (start, end) in ranges.items():
            for turn in range(rounds + 1):
                for which, worker in ((SDK, sdk), (DROP_IN, ours)):
                    row = found[name][which]
                    before = len(server.storage_requests)
                    answer = worker.do("stream", video_id=VIDEO, start=start, end=end)
                    row["frames"] = len(answer["indices"])
                    new = server.storage_requests[before:]
                    row["bytes"], row["requests"] = sum(request.bytes_sent for request in new), len(new)
                    if turn:
                        row["seconds"].append(answer["seconds"])
        for which, worker in ((SDK, sdk), (DROP_IN, ours)):
            found.setdefault("versions", {})[which] = worker.do("facts")
    return found


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Lay the results out as Markdown."""
    lines = [
        "| link | frames | SDK | asyncframes | ratio | SDK fetches | asyncframes fetches |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in results.items():
        for asked, row in rows.items():
            if asked == "versions":
                continue
            cells = [_seconds(row[which]["seconds"]) for which in (SDK, DROP_IN)]
            medians = [statistics.median(row[which]["seconds"]) for which in (SDK, DROP_IN)]
            fetched = [
                f"{row[which]['bytes'] / 1e6:.2f} MB in {row[which]['requests']}" for which in (SDK, DROP_IN)
            ]
            ratio = f"{medians[0] / medians[1]:.2f}"
            lines.append(f"| {name} | {asked} | {' | '.join(cells)} | {ratio} | {' | '.join(fetched)} |")
    return "\n".join(lines)


def _seconds(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f}-{max(seconds):.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--media", type=Path, help="a video to use; by default one is made")
    parser.add_argument("--seconds", type=float, default=60, help="length of the video that is made")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        media = arguments.media or Path(scratch, "long.mp4")
        if arguments.media is None:
            command = [
                sys.executable,
                "-m",
                "benchmarks.make_media",
                "long",
                str(media),
                "--seconds",
                str(arguments.seconds),
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        report(media, arguments)


def report(media: Path, arguments: argparse.Namespace) -> None:
    """Measure and print."""
    with af.sync.open_video(media) as video:
        info, count = video.info, video.count()
    ranges = {"first 10": (0, 9), "last 10": (count - 10, None), "all": (0, None)}
    print(f"{info.width}x{info.height} {info.codec}, {count} frames, {media.stat().st_size / 1e6:.0f} MB")
    with Platform() as server:
        server.add_video(VIDEO, media.read_bytes(), name=media.name)
        results = {name: measure(server, shape, ranges, arguments.rounds) for name, shape in LINKS.items()}
    for which, facts in results["local"]["versions"].items():
        print(f"{which}: supervisely {facts['sdk']}, PyAV {facts['av']}, FFmpeg {facts['ffmpeg']}")
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.platform()}")
    print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
