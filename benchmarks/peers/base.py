"""What a peer is: one way to get frames, adapted once for the speed and the exactness programs."""

from __future__ import annotations

import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.job import Job

RgbImage: TypeAlias = NDArray[np.uint8]
"""An image of shape ``(height, width, 3)``."""

Images: TypeAlias = NDArray[np.uint8]
"""Images of shape ``(n, height, width, 3)``."""

Take: TypeAlias = Callable[[RgbImage], None]
"""Takes one image."""

Figures: TypeAlias = dict[str, float]
"""What a workload measures itself; ``seconds`` replaces the time of the whole call."""

NO_WRITER = "writes no image files"
NO_READER = "is not asked for frames one by one"
NO_CLIPS = "is not asked for clips"
NO_SIZE = "is not asked for another size"

NO_SHAPES = dict.fromkeys(
    ("resized", "opened", "steps", "clips", "loader"), "is timed where one request gives many frames"
)
"""What `Peer.lacks` of a library for long requests."""

JPEG_QUALITY = 95


class Reader(ABC):
    """An open file that gives frames by index, as the library's documentation shows."""

    @abstractmethod
    def count(self) -> int:
        """Return the number of frames that the library claims."""

    @abstractmethod
    def frame(self, index: int) -> RgbImage:
        """Return the frame at `index`."""

    def close(self) -> None:  # noqa: B027 - some have nothing to close
        """Release the file."""


class Peer(ABC):
    """A library or program that gives frames.

    Creating a peer imports its library, so that importing is not timed.

    Attributes
    ----------
    name
        What the tables of speed call it.
    package
        The distribution that is installed; empty for a program.
    settings
        How it is called, for the reader of the tables.
    lacks
        Workloads or methods that it cannot do, and why.
    on_platform
        Whether it reads only from a Supervisely server, whose address it is given.
    """

    name: ClassVar[str]
    package: ClassVar[str] = ""
    settings: ClassVar[str]
    lacks: ClassVar[dict[str, str]] = {}
    on_platform: ClassVar[bool] = False

    @abstractmethod
    def version(self) -> str:
        """Return the version of the library, and of its FFmpeg where that can be found out."""

    def read(self, path: str, pts: list[int | None]) -> Reader:
        """Open a file to ask for frames by index; `pts` has the true pts of every frame."""
        raise NotImplementedError(NO_READER)

    @abstractmethod
    def sequence(self, job: Job, take: Take) -> None:
        """Give consecutive frames."""

    @abstractmethod
    def scattered(self, job: Job, take: Take) -> None:
        """Give frames in the order asked."""

    @abstractmethod
    def last(self, job: Job, take: Take) -> int:
        """Count the frames the library's own way, give the last one, and return the count."""

    def resized(self, job: Job, take: Take) -> None:
        """Give ascending frames in the size of the job."""
        raise NotImplementedError(NO_SIZE)

    def stepping(self, job: Job) -> Reader:
        """Open a file to step through it."""
        return self.read(job.address, [])

    def opened(self, job: Job, take: Take) -> Figures:
        """Give the first frame asked for; time it without opening the file."""
        with closing(self.stepping(job)) as reader:
            return stepped(reader, job.indices, take)

    def steps(self, job: Job, take: Take) -> Figures:
        """Give frames one after another; time each, after the first frame of the file."""
        with closing(self.stepping(job)) as reader:
            reader.frame(0)
            return stepped(reader, job.indices, take)

    def clip(self, job: Job, indices: list[int]) -> Images:
        """Open the file for a few frames of it, in ascending order, with one codec thread."""
        raise NotImplementedError(NO_CLIPS)

    def clips(self, job: Job, take: Take) -> Figures:
        """Give clips, some in threads at the same time; time them after the first, which warms up."""
        clips, one = job.clips(), partial(self.clip, job)
        one(clips[0])
        began = time.perf_counter()
        with ThreadPoolExecutor(job.at_once) if job.at_once > 1 else nullcontext() as pool:
            found: Iterable[Images] = map(one, clips) if pool is None else pool.map(one, clips)
            for images in found:
                take_all(images, take)
        return {"seconds": (time.perf_counter() - began) / len(clips)}

    def loader(self, job: Job, take: Take) -> Figures:
        """Give clips that the workers of PyTorch's ``DataLoader`` read; time the second epoch."""
        from benchmarks.peers.loading import Clips, loaded

        return loaded(Clips(self, job), range(len(job.clips())), job, take)

    def to_files(self, job: Job) -> None:
        """Write frames from the start as images, named so that they sort."""
        raise NotImplementedError(NO_WRITER)


def stepped(reader: Reader, indices: Iterable[int], take: Take) -> Figures:
    """Ask for frames one by one; return the median time of one, and the longest."""
    seconds = []
    for index in indices:
        began = time.perf_counter()
        image = reader.frame(index)
        seconds.append(time.perf_counter() - began)
        take(image)
    return step_figures(seconds)


def step_figures(seconds: list[float]) -> Figures:
    """Return the median of the steps, and the longest."""
    return {"seconds": statistics.median(seconds), "longest": max(seconds)}


def take_all(images: Images, take: Take) -> None:
    """Take each of several images."""
    for image in images:
        take(image)


def file_name(job: Job, index: int) -> str:
    """Return the path of an image file."""
    return str(Path(job.directory, f"{index:06d}.{job.ext}"))


def versions(*packages: str) -> str:
    """Return packages with their versions, as text."""
    return ", ".join(f"{package} {version(package)}" for package in packages)
