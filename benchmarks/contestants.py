"""What is compared: one class for each way to get frames, one method for each workload.

Run as a script, it times one workload of one contestant in its own process and prints the result as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
from av.video.reformatter import VideoReformatter

import asyncframes as af

try:
    import cv2
except ImportError:
    cv2 = None  # type: ignore[assignment]  # tested for before it is used

SEQUENTIAL_FRAMES = 240
SCATTERED_FRAMES = 20
RANGE_FRAMES = 10
WRITTEN_FRAMES = 60


def near_end(count: int) -> int:
    """First frame of the range near the end."""
    return count - 5 * RANGE_FRAMES


def scattered(count: int) -> list[int]:
    """Frames far apart, in random order."""
    return random.Random(7).sample(range(count), min(SCATTERED_FRAMES, count))


class Ours:
    """asyncframes, its blocking helpers left aside."""

    name = "asyncframes"

    def sequential(self, path: str, _count: int) -> int:
        async def run() -> int:
            return sum(
                [image.shape[2] // 3 async for _, image in af.stream_frames(path, 0, SEQUENTIAL_FRAMES - 1)]
            )

        return asyncio.run(run())

    def scattered(self, path: str, count: int) -> int:
        async def run() -> int:
            return len([index async for index, _ in af.stream_frames(path, indices=scattered(count))])

        return asyncio.run(run())

    def near_end(self, path: str, count: int) -> int:
        async def run() -> int:
            start = near_end(count)
            return len([index async for index, _ in af.stream_frames(path, start, start + RANGE_FRAMES - 1)])

        return asyncio.run(run())

    remote_range = near_end

    def to_png(self, path: str, _count: int) -> int:
        return self._to_dir(path, "png")

    def to_jpeg(self, path: str, _count: int) -> int:
        return self._to_dir(path, "jpg")

    def _to_dir(self, path: str, ext: str) -> int:
        async def run(out: str) -> int:
            return len(await af.stream_frames_to_dir(path, out, 0, WRITTEN_FRAMES - 1, ext=ext))

        with tempfile.TemporaryDirectory() as out:
            return asyncio.run(run(out))


class BarePyav:
    """The loop one writes by hand: seek by time, decode to the first frame that is not before it."""

    name = "PyAV loop"

    def _open(self, path: str) -> tuple[Any, Any, Any]:
        container = av.open(path)
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return container, stream, VideoReformatter()

    def _rgb(self, reformatter: Any, frame: Any) -> Any:
        return reformatter.reformat(frame, format="rgb24", threads=1).to_ndarray()

    def sequential(self, path: str, _count: int) -> int:
        container, stream, reformatter = self._open(path)
        taken = 0
        for frame in container.decode(stream):
            self._rgb(reformatter, frame)
            taken += 1
            if taken == SEQUENTIAL_FRAMES:
                break
        container.close()
        return taken

    def _at(self, path: str, indices: list[int], following: int) -> int:
        container, stream, reformatter = self._open(path)
        taken = 0
        for index in indices:
            target = round(index / stream.average_rate / stream.time_base) + (stream.start_time or 0)
            container.seek(target, stream=stream)
            wanted = following
            for frame in container.decode(stream):
                if frame.pts >= target:
                    self._rgb(reformatter, frame)
                    taken += 1
                    wanted -= 1
                    if not wanted:
                        break
        container.close()
        return taken

    def scattered(self, path: str, count: int) -> int:
        return self._at(path, scattered(count), 1)

    def near_end(self, path: str, count: int) -> int:
        return self._at(path, [near_end(count)], RANGE_FRAMES)

    remote_range = near_end

    def _to_dir(self, path: str, ext: str) -> int:
        container, stream, _ = self._open(path)
        with tempfile.TemporaryDirectory() as out:
            for taken, frame in enumerate(container.decode(stream)):
                if taken == WRITTEN_FRAMES:
                    break
                frame.to_image().save(
                    Path(out, f"{taken:06d}.{ext}"), **({"quality": 95} if ext == "jpg" else {})
                )
        container.close()
        return WRITTEN_FRAMES

    def to_png(self, path: str, _count: int) -> int:
        return self._to_dir(path, "png")

    def to_jpeg(self, path: str, _count: int) -> int:
        return self._to_dir(path, "jpg")


class Opencv:
    """cv2.VideoCapture, set to a frame by CAP_PROP_POS_FRAMES, and cv2.imwrite."""

    name = "OpenCV"

    def _open(self, path: str) -> tuple[Any, Any]:
        return cv2, cv2.VideoCapture(path)

    def _read(self, cv2: Any, capture: Any, count: int) -> int:
        for taken in range(count):
            there, image = capture.read()
            if not there:
                return taken
            cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        return count

    def sequential(self, path: str, _count: int) -> int:
        return self._read(*self._open(path), SEQUENTIAL_FRAMES)

    def scattered(self, path: str, count: int) -> int:
        cv2, capture = self._open(path)
        taken = 0
        for index in scattered(count):
            capture.set(cv2.CAP_PROP_POS_FRAMES, index)
            taken += self._read(cv2, capture, 1)
        return taken

    def near_end(self, path: str, count: int) -> int:
        cv2, capture = self._open(path)
        capture.set(cv2.CAP_PROP_POS_FRAMES, near_end(count))
        return self._read(cv2, capture, RANGE_FRAMES)

    remote_range = near_end

    def _to_dir(self, path: str, ext: str) -> int:
        cv2, capture = self._open(path)
        with tempfile.TemporaryDirectory() as out:
            for index in range(WRITTEN_FRAMES):
                cv2.imwrite(str(Path(out, f"{index:06d}.{ext}")), capture.read()[1])
        return WRITTEN_FRAMES

    def to_png(self, path: str, _count: int) -> int:
        return self._to_dir(path, "png")

    def to_jpeg(self, path: str, _count: int) -> int:
        return self._to_dir(path, "jpg")


CONTESTANTS: dict[str, Callable[[], Any]] = {"ours": Ours, "pyav": BarePyav, "opencv": Opencv}
WORKLOADS = {
    "sequential": f"{SEQUENTIAL_FRAMES} frames from the start",
    "scattered": f"{SCATTERED_FRAMES} scattered frames",
    "near_end": f"{RANGE_FRAMES} frames near the end",
    "remote_range": f"{RANGE_FRAMES} frames near the end over HTTP",
    "to_png": f"{WRITTEN_FRAMES} PNG files",
    "to_jpeg": f"{WRITTEN_FRAMES} JPEG files, quality 95",
}


def main(contestant: str, workload: str, address: str, count: str) -> None:
    """Time one workload."""
    work = getattr(CONTESTANTS[contestant](), workload)
    began = time.perf_counter()
    frames = work(address, int(count))
    print(json.dumps({"seconds": time.perf_counter() - began, "frames": frames}))


if __name__ == "__main__":
    main(*sys.argv[1:5])
