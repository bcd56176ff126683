"""What a contestant is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from contest.job import Job

Take: TypeAlias = Callable[[Any], None]
"""Takes one RGB image, an array of ``(height, width, 3)``."""

NO_WRITER = "writes no image files"
NO_URLS = "opens no URLs"

JPEG_QUALITY = 95


class Contestant(ABC):
    """A way to get frames; its library is imported when it is made, so that this is not timed.

    Attributes
    ----------
    name
        What the tables call it.
    settings
        How it is asked, for the reader.
    lacks
        Workloads that it is not made for, and why.
    on_platform
        Whether it reads from a Supervisely server only, whose address it is given.
    """

    name: ClassVar[str]
    settings: ClassVar[str]
    lacks: ClassVar[dict[str, str]] = {}
    on_platform: ClassVar[bool] = False

    @abstractmethod
    def version(self) -> str:
        """Say which version this is, and of FFmpeg, where that can be found out."""

    @abstractmethod
    def sequence(self, job: Job, take: Take) -> None:
        """Give frames that follow each other."""

    @abstractmethod
    def scattered(self, job: Job, take: Take) -> None:
        """Give frames in the order asked."""

    @abstractmethod
    def last(self, job: Job, take: Take) -> int:
        """Find out the number of frames as this library does, give the last one, and return the number."""

    def to_files(self, job: Job) -> None:
        """Write frames from the first on as images, named so that they sort."""
        raise NotImplementedError(NO_WRITER)


def file_name(job: Job, index: int) -> str:
    """Path of an image file."""
    return str(Path(job.directory, f"{index:06d}.{job.ext}"))


def versions(*packages: str) -> str:
    """Name packages with their versions."""
    return ", ".join(f"{package} {version(package)}" for package in packages)
