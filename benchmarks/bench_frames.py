"""Frames by every common way, against a bare PyAV loop and OpenCV, in separate processes and in turn.

Each contestant of a workload runs in a process of its own, all of them in turn for some rounds; the first
round only warms the disk cache. Before anything is timed, the frames they give are compared.
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
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from contestants import CONTESTANTS, WORKLOADS
from counting_server import CountingServer

HERE = Path(__file__).parent


def measure(contestant: str, workload: str, address: str, count: int) -> dict[str, float]:
    """Run one workload in a new process."""
    command = [sys.executable, str(HERE / "contestants.py"), contestant, workload, address, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


async def compare(
    path: Path, workload: str, names: list[str], count: int, rounds: int
) -> dict[str, dict[str, Any]]:
    """Time a workload for all contestants, in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    fetched: dict[str, int] = {}
    server = CountingServer(path)
    async with server as url:
        address = url if workload == "remote_range" else str(path)
        for turn in range(rounds + 1):
            for name in names:
                before = server.bytes_sent
                found = await asyncio.to_thread(measure, name, workload, address, count)
                fetched[name] = server.bytes_sent - before
                if turn:
                    seconds[name].append(found["seconds"])
    return {name: summary(seconds[name], fetched[name]) for name in names}


def summary(seconds: list[float], fetched: int) -> dict[str, Any]:
    return {
        "median": statistics.median(seconds),
        "min": min(seconds),
        "max": max(seconds),
        "bytes": fetched,
    }


def versions() -> dict[str, str]:
    """Versions of what is compared, and facts of the machine."""
    found = {"python": platform.python_version(), "cpus": str(os.cpu_count()), "system": platform.platform()}
    for package in ("asyncframes-video", "av", "opencv-python-headless", "numpy"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def table(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Lay the results out as Markdown: medians, spread, and how many times as long as ours."""
    lines = [
        "| workload | " + " | ".join(CONTESTANTS[name]().name for name in next(iter(results.values()))) + " |"
    ]
    lines.append("|---" * (lines[0].count("|") - 1) + "|")
    for workload, rows in results.items():
        cells = []
        for name, row in rows.items():
            ratio = "" if name == "ours" else f", x {row['median'] / rows['ours']['median']:.2f}"
            sent = f", {row['bytes'] / 1e6:.1f} MB" if workload == "remote_range" else ""
            cells.append(f"{row['median']:.2f} s ({row['min']:.2f}-{row['max']:.2f}{ratio}{sent})")
        lines.append(f"| {WORKLOADS[workload]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, help="a video to use; by default one is made")
    parser.add_argument("--seconds", type=float, default=120, help="length of the video that is made")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=WORKLOADS, nargs="+", default=list(WORKLOADS))
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        report(arguments.media or long_clip(Path(scratch, "long.mp4"), arguments.seconds), arguments)


def long_clip(path: Path, seconds: float) -> Path:
    """Make a 1080p video of so many seconds, its header last."""
    command = [sys.executable, str(HERE / "make_media.py"), "long", str(path), "--seconds", str(seconds)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return path


def report(path: Path, arguments: argparse.Namespace) -> None:
    import asyncframes as af

    with af.sync.open_video(path) as video:
        info, count = video.info, video.count()
    names = ["ours", "pyav"] + (["opencv"] if versions()["opencv-python-headless"] != "absent" else [])
    print(f"{info.width}x{info.height} {info.codec}, {count} frames, {path.stat().st_size / 1e6:.0f} MB")
    print(", ".join(f"{name} {value}" for name, value in versions().items()))
    results = {
        workload: asyncio.run(compare(path, workload, names, count, arguments.rounds))
        for workload in arguments.only
    }
    print(table(results))
    if arguments.json:
        arguments.json.write_text(json.dumps({"versions": versions(), "results": results}, indent=2))


if __name__ == "__main__":
    main()
