"""Measure datasets of Ray Data: rows a second and bytes, one long video on more CPUs, and the cost of a task.

::

    python -m benchmarks.bench_ray --videos 40 --seconds 20

It reads the same generated videos with ``asyncframes.ray.read_frames``, ``ray.data.read_videos`` (decord)
and ``map_batches`` over torchcodec, each in a process and a Ray of its own, as far as they are installed.
Times are of local files. Bytes are counted while the same job reads over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import importlib.util
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import av

from benchmarks.make_media import DEMO_CLIP, encode, loop
from benchmarks.servers.counting import CountingFolder

SIDE = 224
NEAR_END = 10
WORKLOADS = ("whole", "1 fps", "10 near the end")

# What a cluster of 100 nodes has, for the arithmetic of the scheduler's cost.
NODES, CPUS_OF_A_NODE = 100, 16


def ours(addresses: list[str], workload: str) -> Any:
    """Read with asyncframes."""
    import asyncframes.ray as afr

    selections: dict[str, dict[str, Any]] = {
        "whole": {},
        "1 fps": {"fps": 1},
        "10 near the end": {"start": -NEAR_END},
    }
    return afr.read_frames(addresses, resize=(SIDE, SIDE), include=["image", "index"], **selections[workload])


def decord(addresses: list[str], workload: str) -> Any:
    """Read with Ray's own datasource, which decodes whole files."""
    import ray

    fps = 1 if workload == "1 fps" else None
    frames = ray.data.read_videos(addresses, resize=(SIDE, SIDE), fps=fps)
    if workload != "10 near the end":
        return frames
    # All videos are of one length, which a job would have to find out.
    with av.open(addresses[0]) as container:
        least = container.streams.video[0].frames - NEAR_END
    return frames.filter(lambda row: row["frame_index"] >= least)


def torchcodec(addresses: list[str], workload: str) -> Any:
    """Decode with torchcodec in tasks, a video each."""
    import ray

    def decode(batch: dict[str, Any]) -> Any:
        import torch

        decoders: Any = importlib.import_module("torchcodec.decoders")
        for address in batch["item"].tolist():
            decoder = decoders.VideoDecoder(str(address), num_ffmpeg_threads=1, dimension_order="NCHW")
            count = len(decoder)
            rate = decoder.metadata.average_fps or 25
            indices = {
                "whole": range(count),
                "1 fps": [round(second * rate) for second in range(int(count / rate))],
                "10 near the end": range(count - NEAR_END, count),
            }[workload]
            chosen = [*indices]
            for begin in range(0, len(chosen), 64):
                part = chosen[begin : begin + 64]
                images = decoder.get_frames_at(part).data
                small = torch.nn.functional.interpolate(images.float(), (SIDE, SIDE), mode="bilinear").byte()
                yield {"index": part, "image": small.permute(0, 2, 3, 1).contiguous().numpy()}

    return ray.data.from_items(addresses, override_num_blocks=len(addresses)).map_batches(
        decode, batch_size=1
    )


CONTESTANTS: dict[str, tuple[str, Callable[[list[str], str], Any]]] = {
    "asyncframes": ("asyncframes", ours),
    "ray.data.read_videos": ("decord", decord),
    "map_batches, torchcodec": ("torchcodec", torchcodec),
}


def start_ray(cpus: int) -> None:
    """Start a Ray of this process' own."""
    import ray

    ray.init(num_cpus=cpus, include_dashboard=False, logging_level="error", object_store_memory=600 * 1000**2)
    ray.data.DataContext.get_current().enable_progress_bars = False


def consume(dataset: Any) -> int:
    """Count the rows of a dataset, without keeping them."""
    return sum(batch.num_rows for batch in dataset.iter_batches(batch_size=None, batch_format="pyarrow"))


def measure(contestant: str, addresses: list[str], workload: str, cpus: int) -> dict[str, Any]:
    """Run one job."""
    start_ray(cpus)
    _, read = CONTESTANTS[contestant]
    consume(read(addresses[:1], "10 near the end"))  # starts the workers
    begun = time.perf_counter()
    rows = consume(read(addresses, workload))
    return {"rows": rows, "seconds": time.perf_counter() - begun}


def cost_of_a_task(cpus: int, tasks: int) -> dict[str, Any]:
    """Measure what Ray takes for a read task that does nothing."""
    import pyarrow as pa
    import ray
    from ray.data.block import BlockMetadata
    from ray.data.datasource import Datasource, ReadTask

    class Nothing(Datasource):  # type: ignore[misc, unused-ignore]  # Ray may be absent
        def estimate_inmemory_data_size(self) -> int:
            return tasks

        def get_read_tasks(self, *_args: Any, **_options: Any) -> list[Any]:
            facts = BlockMetadata(num_rows=1, size_bytes=8, input_files=None, exec_stats=None)
            return [ReadTask(lambda: [pa.table({"n": [1]})], facts) for _ in range(tasks)]

    start_ray(cpus)
    consume(ray.data.read_datasource(Nothing(), override_num_blocks=tasks))
    begun = time.perf_counter()
    consume(ray.data.read_datasource(Nothing(), override_num_blocks=tasks))
    return {"seconds": (time.perf_counter() - begun) / tasks}


async def in_own_process(*arguments: str) -> dict[str, Any]:
    """Run this program for one measurement."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.bench_ray", *arguments, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    if process.returncode:
        return {"error": f"exit status {process.returncode}"}
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


async def compare(folder: Path, names: list[str], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Run every contestant on every workload: local for time, and over HTTP for bytes."""
    found = []
    for workload in WORKLOADS:
        for contestant, (package, _) in CONTESTANTS.items():
            if importlib.util.find_spec(package) is None:
                continue
            job = ("--job", contestant, workload, str(arguments.cpus))
            runs = [
                await in_own_process(*job, *(f"{folder}/{name}" for name in names))
                for _ in range(arguments.repeats)
            ]
            async with (server := CountingFolder(folder)) as root:
                remote = await in_own_process(*job, *(f"{root}/{name}" for name in names))
            found.append(
                {
                    "workload": workload,
                    "contestant": contestant,
                    "rows": runs[0].get("rows"),
                    "seconds": [run["seconds"] for run in runs if "seconds" in run],
                    "bytes": None if "error" in remote else server.bytes_sent,
                }
            )
            print(row_of(found[-1]), flush=True)
    return found


def row_of(result: dict[str, Any]) -> str:
    """Return a row of the table."""
    seconds = result["seconds"]
    if not seconds or not result["rows"]:
        return f"| {result['workload']} | {result['contestant']} | failed | | |"
    rate = result["rows"] / statistics.median(seconds)
    spread = f"{min(seconds):.2f}-{max(seconds):.2f} s"
    read = "not measured" if result["bytes"] is None else f"{result['bytes'] / 1e6:.2f} MB"
    return f"| {result['workload']} | {result['contestant']} | {rate:.0f} rows/s | {spread} | {read} |"


async def long_video(path: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Read one long video on 1 and on 2 CPUs."""
    found: dict[str, Any] = {}
    for cpus in (1, 2):
        runs = [
            await in_own_process("--job", "asyncframes", "1 fps", str(cpus), str(path))
            for _ in range(arguments.repeats)
        ]
        found[str(cpus)] = [run.get("seconds") for run in runs]
    return found


def arithmetic(seconds: float) -> str:
    """Say how long tasks have to be for a large cluster to stay busy."""
    cpus = NODES * CPUS_OF_A_NODE
    return (
        f"A task costs the driver {seconds * 1000:.2f} ms, so it starts {1 / seconds:.0f} a second. {NODES} "
        f"nodes of {CPUS_OF_A_NODE} CPUs run {cpus} tasks at a time, and stay busy if a task takes at least "
        f"{cpus} x {seconds * 1000:.2f} ms = {cpus * seconds:.1f} s."
    )


def make_videos(scratch: Path, arguments: argparse.Namespace) -> list[str]:
    """Make the videos, and return the names of the short ones."""
    seed, folder = scratch / "seed.mp4", scratch / "videos"
    folder.mkdir()
    encode(DEMO_CLIP, seed, width=640, height=360, options={"preset": "veryfast", "crf": "23"})
    names = [f"{number:03d}.mp4" for number in range(arguments.videos)]
    for name in names:
        loop(seed, folder / name, arguments.seconds)
    loop(seed, scratch / "film.mp4", arguments.film_minutes * 60)
    return names


async def run(scratch: Path, names: list[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    print("| workload | contestant | speed | least-most | over HTTP |\n|---|---|--:|--:|--:|")
    compared = await compare(scratch / "videos", names, arguments)
    split = await long_video(scratch / "film.mp4", arguments)
    print(f"\nOne video of {arguments.film_minutes} minutes, 1 fps, on 1 and on 2 CPUs: {split}")
    cost = await in_own_process("--cost", str(arguments.cpus), str(arguments.tasks))
    if "seconds" in cost:
        print(arithmetic(cost["seconds"]))
    return {
        "compared": compared,
        "long": split,
        "task": cost,
        "versions": versions(),
        "machine": platform.platform(),
    }


def versions() -> dict[str, str]:
    """Return the versions of what is compared."""
    found = {}
    for name in ("asyncframes-video", "ray", "decord", "torchcodec", "torch", "av"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--videos", type=int, default=40, help="how many videos")
    parser.add_argument("--seconds", type=float, default=20, help="length of each")
    parser.add_argument("--film-minutes", type=float, default=120, help="length of the long one")
    parser.add_argument("--cpus", type=int, default=2, help="CPUs of each Ray")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each job")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--job", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--tasks", type=int, default=2000, help="empty tasks, to measure what one costs")
    parser.add_argument("--cost", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.job:
        contestant, workload, cpus, *addresses = arguments.job
        print(json.dumps(measure(contestant, addresses, workload, int(cpus))))
    elif arguments.cost:
        print(json.dumps(cost_of_a_task(*arguments.cost)))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            names = make_videos(Path(scratch), arguments)
            results = asyncio.run(run(Path(scratch), names, arguments))
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
