"""Measure frames over a link of 50 ms and 100 Mbit/s: beside what the link allows, and PyAV on the same URL.

::

    python -m benchmarks.bench_network --only ours --jobs 0 1

Each measurement has a link and a process of its own; asyncframes and PyAV take turns. What the link allows is
``round trips x latency + bytes / bandwidth``, with the round trips and bytes that are needed. A whole pass is
compared with the link or the decoder (the same pass over the local file), whichever is slower.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.make_media import DEMO_CLIP

# Connecting, the file's first bytes, the header at its end, the media.
ROUND_TRIPS = 4


@dataclass(frozen=True)
class Need:
    """What a job cannot do without: bytes of the file, and its frames."""

    first: int
    middle: int
    frames: int


def make_film(path: Path, seconds: float) -> None:
    """Loop the shipped clip, of 640x360, header last."""
    command = [sys.executable, "-m", "benchmarks.make_media", "long", str(path), "--seconds", str(seconds)]
    subprocess.run([*command, "--source", str(DEMO_CLIP)], check=True, stdout=subprocess.DEVNULL)


def make_noise(path: Path, frames: int) -> None:
    """Encode noise as Motion JPEG of 1280x720: many bytes, little to decode."""
    random = np.random.default_rng(0)
    with av.open(path, "w", format="mov") as writer:
        stream = writer.add_stream("mjpeg", rate=25, options={"qmin": "3", "qmax": "3"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuvj420p"
        coarse = random.integers(0, 256, (90, 160, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        for index in range(frames):
            noise = random.integers(0, 40, coarse.shape, np.uint8)
            frame = av.VideoFrame.from_ndarray(np.minimum(coarse, 215) + noise, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode())


def needs(path: Path) -> Need:
    """Find out which bytes the first frame and ten frames from the middle take."""
    data = path.read_bytes()
    header = len(data) - data.rindex(b"moov") + 4
    with av.open(path) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
    starts = [place for place, packet in enumerate(packets) if packet.is_keyframe]
    middle = len(packets) // 2
    start = max(place for place in starts if place <= middle)
    stop = min((place for place in starts if place >= middle + 10), default=len(packets))
    media = sum(packet.size for packet in packets[start:stop])
    return Need(header + packets[0].size, header + media, len(packets))


async def ours(job: str, address: str, frames: int) -> int:
    """Do a job with asyncframes."""
    import asyncframes as af

    middle = frames // 2
    bounds = {"first": (0, 0), "middle": (middle, middle + 9), "pass": (0, None)}[job]
    async with af.open_video(address) as video:
        return len([frame.index async for frame in video.frames(*bounds)])


def pyav(job: str, address: str, frames: int) -> int:
    """Do a job with PyAV alone; ten frames from the middle are sought by time, as it has no index."""
    with av.open(address) as container:
        stream = container.streams.video[0]
        if job == "middle":
            assert stream.duration is not None
            container.seek(stream.duration // 2, stream=stream)
        wanted = {"first": 1, "middle": 10, "pass": frames}[job]
        count = 0
        for frame in container.decode(stream):
            count += job != "middle" or (frame.pts or 0) >= (stream.duration or 0) // 2
            frame.to_ndarray(format="rgb24")
            if count == wanted:
                break
        return count


def do(name: str, job: str, address: str, frames: int) -> None:
    """Do a job and print how long it took."""
    import asyncframes  # noqa: F401 - importing is not measured

    started = time.perf_counter()
    count = asyncio.run(ours(job, address, frames)) if name == "ours" else pyav(job, address, frames)
    print(json.dumps({"seconds": time.perf_counter() - started, "frames": count}))


def measure(name: str, job: str, address: str, frames: int) -> float:
    """Do a job in a new process."""
    command = [sys.executable, "-m", "benchmarks.bench_network", "--do", name, job, address, str(frames)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found["seconds"]


def over_link(
    path: Path, arguments: argparse.Namespace, call: Callable[[str], float]
) -> tuple[float, dict[str, int]]:
    """Call with the URL of a file behind a link; return the seconds and what went over it."""
    command = [sys.executable, "-m", "benchmarks.servers.shaped_link", str(path)]
    command += ["--latency", str(arguments.latency), "--megabits", str(arguments.megabits)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as link:
        assert link.stdout is not None
        seconds = call(link.stdout.readline().strip())
        rest, _ = link.communicate()
    return seconds, json.loads(rest.splitlines()[-1])


def compare(path: Path, job: str, frames: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure a job for both, in turn."""
    found: dict[str, list[tuple[float, dict[str, int]]]] = {name: [] for name in arguments.only}
    for _ in range(arguments.rounds):
        for name in found:
            found[name].append(over_link(path, arguments, lambda url: measure(name, job, url, frames)))  # noqa: B023 - called at once
    return {
        name: {
            "median": statistics.median(seconds for seconds, _ in runs),
            "spread": [min(seconds for seconds, _ in runs), max(seconds for seconds, _ in runs)],
            **runs[-1][1],
        }
        for name, runs in found.items()
    }


def allowed(job: str, path: Path, need: Need, arguments: argparse.Namespace) -> float:
    """Seconds that the link, or the decoder, cannot do without."""
    bandwidth = arguments.megabits * 1e6 / 8
    if job == "pass":
        link = path.stat().st_size / bandwidth + ROUND_TRIPS * arguments.latency
        runs = [measure("ours", job, str(path), need.frames) for _ in range(arguments.rounds)]
        return float(max(link, statistics.median(runs)))
    fetched = need.first if job == "first" else need.middle
    return float(ROUND_TRIPS * arguments.latency + fetched / bandwidth)


def report(arguments: argparse.Namespace) -> None:
    results: dict[str, Any] = {}
    print(f"{arguments.latency * 1000:g} ms, {arguments.megabits:g} Mbit/s; seconds (range), requests' bytes")
    print("| job | the link or decoder needs | " + " | ".join(arguments.only) + " | ours / needed |")
    print("|---" * (3 + len(arguments.only)) + "|")
    with tempfile.TemporaryDirectory() as scratch:
        film, noise = Path(scratch, "film.mp4"), Path(scratch, "noise.mov")
        make_film(film, arguments.seconds)
        make_noise(noise, arguments.noise_frames)
        jobs = [("first", film), ("middle", film), ("pass", film), ("pass", noise)]
        for job, path in [jobs[place] for place in arguments.jobs]:
            need = needs(path)
            least = allowed(job, path, need, arguments)
            found = compare(path, job, need.frames, arguments)
            results[f"{job} {path.name}"] = {"least": least, **found}
            cells = [
                f"{row['median']:.2f} ({row['spread'][0]:.2f}-{row['spread'][1]:.2f}), "
                f"{row['bytes'] / 1e6:.2f} MB, {row['connections']} connections"
                for row in found.values()
            ]
            ratio = f"{found['ours']['median'] / least:.2f}" if "ours" in found else ""
            print(f"| {job}, {path.name} | {least:.2f} | " + " | ".join(cells) + f" | {ratio} |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--do", nargs=4, metavar=("NAME", "JOB", "ADDRESS", "FRAMES"), help="used inside")
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--megabits", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=300.0, help="length of the film")
    parser.add_argument("--noise-frames", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=["ours", "pyav"], default=["ours", "pyav"])
    parser.add_argument("--jobs", nargs="+", type=int, choices=range(4), default=[0, 1, 2, 3])
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    if arguments.do:
        name, job, address, frames = arguments.do
        do(name, job, address, int(frames))
    else:
        report(arguments)


if __name__ == "__main__":
    main()
