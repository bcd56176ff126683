"""Time single steps, short clips of many files, and batches, against OpenCV and a loop over PyAV.

    python -m benchmarks.bench_shapes [--rounds N] [--json]

Clips are made with x264: one of 1920x1080 with a keyframe every 60 frames, and one of 320x180 that lasts 10
seconds. In each round every library does each workload once, in turn; the medians of the rounds are printed.
A library that is not installed is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

import asyncframes as af
from tests.support.streams.clips import clip_bytes

RATE = 25
CLIP, STRIDE = 8, 4
FORWARD = range(90, 150)
BACKWARD = range(150, 90, -1)
JUMPS = random.Random(0).sample(range(180), 20)
STARTS = random.Random(0).sample(range(RATE * 10 - CLIP * STRIDE), 30)


def by_pyav(path: str, indices: Iterable[int]) -> NDArray[np.uint8]:
    """Seek to the first frame by its time, decode to the last, and convert those asked for."""
    wanted = list(indices)
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        assert stream.time_base is not None
        container.seek(round(wanted[0] / RATE / stream.time_base), stream=stream)
        images = []
        for frame in container.decode(stream):
            if frame.time is not None and round(frame.time * RATE) in wanted:
                images.append(frame.to_ndarray(format="rgb24"))
            if len(images) == len(wanted):
                break
    return np.stack(images)


def opencv_steps(path: str, indices: Iterable[int]) -> list[float]:
    """Step with VideoCapture: read on where the next frame is asked for, else set its place."""
    import cv2

    capture, at, times = cv2.VideoCapture(path), -1, []
    for index in indices:
        begin = time.perf_counter()
        if index != at:
            capture.set(cv2.CAP_PROP_POS_FRAMES, index)
        cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
        times.append(time.perf_counter() - begin)
        at = index + 1
    capture.release()
    return times


def our_steps(path: str, indices: Iterable[int]) -> list[float]:
    """Step with `frame`."""

    async def step() -> list[float]:
        times = []
        async with af.open_video(path) as video:
            await video.frame(0)
            for index in indices:
                begin = time.perf_counter()
                await video.frame(index)
                times.append(time.perf_counter() - begin)
        return times

    return asyncio.run(step())


def pyav_steps(path: str, indices: Iterable[int]) -> list[float]:
    """Open, seek and decode for each frame."""
    return [timed(partial(by_pyav, path, [index])) for index in indices]


def timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def our_clips(path: str) -> list[float]:
    """Open the file for each clip."""

    async def clips() -> list[float]:
        times = []
        for start in STARTS:
            begin = time.perf_counter()
            async with af.open_video(path, threads=1) as video:
                await video.batch(start, start + (CLIP - 1) * STRIDE, STRIDE)
            times.append(time.perf_counter() - begin)
        return times

    return asyncio.run(clips())


def pyav_clips(path: str) -> list[float]:
    """Open the file for each clip."""
    clips = [range(start, start + CLIP * STRIDE, STRIDE) for start in STARTS]
    return [timed(partial(by_pyav, path, indices)) for indices in clips]


def our_batch(path: str, *, is_stacked: bool) -> list[float]:
    """Read 64 frames of 224x224, as a batch or one by one."""
    with closing(af.sync.open_video(path, threads=1)) as video:
        video.frame(0)
        if is_stacked:
            return [
                timed(lambda: np.stack([frame.image for frame in video.frames(0, 63, resize=(224, 224))]))
            ]
        return [timed(lambda: video.batch(0, 63, resize=(224, 224)))]


def workloads(large: str, small: str) -> dict[str, dict[str, Callable[[], list[float]]]]:
    steps = {"step forward": FORWARD, "step backward": BACKWARD, "jump": JUMPS}
    found: dict[str, dict[str, Callable[[], list[float]]]] = {
        name: {
            "asyncframes": partial(our_steps, large, indices),
            "OpenCV": partial(opencv_steps, large, indices),
            "PyAV loop": partial(pyav_steps, large, indices),
        }
        for name, indices in steps.items()
    }
    found["random clip"] = {"asyncframes": lambda: our_clips(small), "PyAV loop": lambda: pyav_clips(small)}
    found["64 frames, 224x224"] = {
        "asyncframes": lambda: our_batch(small, is_stacked=False),
        "frames and np.stack": lambda: our_batch(small, is_stacked=True),
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with tempfile.TemporaryDirectory() as folder:
        large, small = Path(folder, "large.mp4"), Path(folder, "small.mp4")
        large.write_bytes(clip_bytes(frames=180, width=1920, height=1080, gop=60))
        small.write_bytes(clip_bytes(frames=RATE * 10, width=320, height=180, gop=50))
        for _ in range(options.rounds):
            for workload, calls in workloads(str(large), str(small)).items():
                for library, call in calls.items():
                    try:
                        times[workload][library].append(statistics.median(call()) * 1e3)
                    except ImportError:
                        continue
    report(times, as_json=options.json)


def report(times: dict[str, dict[str, list[float]]], *, as_json: bool) -> None:
    medians: dict[str, dict[str, Any]] = {
        workload: {library: statistics.median(rounds) for library, rounds in found.items()}
        for workload, found in times.items()
    }
    if as_json:
        print(json.dumps(medians))
        return
    for workload, found in medians.items():
        print(workload)
        for library, milliseconds in found.items():
            print(f"  {library:20} {milliseconds:7.1f} ms  {milliseconds / next(iter(found.values())):5.2f}x")


if __name__ == "__main__":
    main()
