"""What a peer is: one way to get frames, adapted once for the speed and the exactness programs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.job import Job

RgbImage: TypeAlias = NDArray[np.uint8]
"""An image of shape ``(height, width, 3)``."""

Take: TypeAlias = Callable[[RgbImage], None]
"""Takes one image."""

NO_WRITER = "writes no image files"
NO_READER = "is not asked for frames one by one"

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
        Workloads that it cannot do, and why.
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

    def to_files(self, job: Job) -> None:
        """Write frames from the start as images, named so that they sort."""
        raise NotImplementedError(NO_WRITER)


def file_name(job: Job, index: int) -> str:
    """Return the path of an image file."""
    return str(Path(job.directory, f"{index:06d}.{job.ext}"))


def versions(*packages: str) -> str:
    """Return packages with their versions, as text."""
    return ", ".join(f"{package} {version(package)}" for package in packages)
