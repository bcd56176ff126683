"""Measure where the time of a sequential decode goes: each row does what the one before does, and more.

Each measurement runs in a process of its own, all in turn in each round. Figures are medians of wall and CPU
seconds; they include opening, not importing. A second table has the cost of saving a frame, in one thread.

::

    python -m benchmarks.bench_layers FILE --frames 240
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

import asyncframes as af
from asyncframes._media.codec.decoder import Decoder
from asyncframes._media.container.opening import ContainerOptions
from asyncframes._media.describe import pixel_shape_of
from asyncframes._media.files.media_files import DirectFile
from asyncframes._media.image.convert import Converter
from asyncframes._model.rendering import Rendering
from asyncframes._requests.jobs.forward import ForwardJob
from asyncframes._requests.jobs.job import JobOptions
from asyncframes._runtime.threads import threads_per_decoder
from asyncframes.writers import encode_jpeg, encode_png

THREADS = threads_per_decoder(1)


def pictures(path: Path) -> Iterator[VideoFrame]:
    """Decode with PyAV alone."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "AUTO", THREADS
        yield from container.decode(stream)


def opened(path: Path, _frames: int) -> None:
    """Open with FFmpeg, which decodes the first pictures to find out what they are."""
    av.open(path).close()


def first_picture(path: Path, _frames: int) -> None:
    """Decode the first one too: the codec outputs it once each thread has one."""
    next(pictures(path))


def decoded(path: Path, frames: int) -> None:
    """Decode, in FFmpeg's threads."""
    for _ in islice(pictures(path), frames):
        pass


def converted(path: Path, frames: int) -> None:
    """Convert to RGB: the loop over PyAV that the goals speak of."""
    reformatter = VideoReformatter()
    for picture in islice(pictures(path), frames):
        reformatter.reformat(picture, format="rgb24", threads=1).to_ndarray()


def checked(path: Path, frames: int) -> None:
    """Do the same with the library's own job, without a thread or a loop."""
    with path.open("rb") as file:
        source = DirectFile(file, path.stat().st_size, path.name)
        options = ContainerOptions(stream_index=None, threads=THREADS, max_pixels=2**28)
        with closing(Decoder(source, options)) as decoder:
            wanted = JobOptions(rendering=Rendering(), on_corrupt="raise", held_bytes=0)
            converter = Converter(wanted.rendering, pixel_shape_of(decoder.stream), path.name)
            job = ForwardJob(decoder, converter, wanted, (0, frames - 1, 1), None)
            while job.step(lambda: 32, lambda *_: None, lambda: False):
                pass
            job.close()


def streamed(path: Path, frames: int) -> None:
    """Hand frames over to a consumer on an event loop: `stream_frames`."""

    async def run() -> None:
        async for _ in af.stream_frames(path, 0, frames - 1):
            pass

    asyncio.run(run())


LAYERS: dict[str, Callable[[Path, int], None]] = {
    layer.__name__: layer for layer in (opened, first_picture, decoded, converted, checked, streamed)
}


def measure(layer: str, path: Path, frames: int) -> tuple[float, float]:
    """Run a layer in a new process, and return its wall and CPU seconds."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.bench_layers",
        str(path),
        "--frames",
        str(frames),
        "--do",
        layer,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    wall, cpu = json.loads(done.stdout)
    return wall, cpu


def layers(path: Path, frames: int, rounds: int) -> None:
    """Print what each layer takes."""
    found: dict[str, list[tuple[float, float]]] = {layer: [] for layer in LAYERS}
    for _ in range(rounds):
        for layer, runs in found.items():
            runs.append(measure(layer, path, frames))
    print(f"{path.name}, {frames} frames, {THREADS} codec threads, medians of {rounds}")
    print("| layer | wall | CPU |\n|---|--:|--:|")
    for layer, runs in found.items():
        wall, cpu = (statistics.median(figures) for figures in zip(*runs, strict=True))
        print(f"| {layer} | {wall:.3f} s | {cpu:.3f} s |")


def encoders(path: Path, rounds: int) -> None:
    """Print what saving a frame costs, in one thread."""
    shown = list(islice(pictures(path), 10))
    reformatter = VideoReformatter()
    images = [reformatter.reformat(picture, format="rgb24", threads=1).to_ndarray() for picture in shown]
    steps: dict[str, Callable[[], object]] = {
        "to RGB": lambda: [reformatter.reformat(picture, format="rgb24", threads=1) for picture in shown],
        "PNG": lambda: [encode_png(image) for image in images],
        "JPEG, quality 96": lambda: [encode_jpeg(image, quality=96) for image in images],
    }
    print("| a frame | CPU |\n|---|--:|")
    for name, step in steps.items():
        runs = []
        for _ in range(rounds):
            began = time.thread_time()
            step()
            runs.append((time.thread_time() - began) / len(shown))
        print(f"| {name} | {statistics.median(runs) * 1000:.2f} ms |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--frames", type=int, default=240)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--do", choices=LAYERS, help="used inside")
    arguments = parser.parse_args()
    if arguments.do:
        wall, cpu = time.perf_counter(), time.process_time()
        LAYERS[arguments.do](arguments.file, arguments.frames)
        print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
        return
    layers(arguments.file, arguments.frames, arguments.rounds)
    encoders(arguments.file, arguments.rounds)


if __name__ == "__main__":
    main()
