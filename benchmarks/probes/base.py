"""What a probe is: a measurement of asyncframes alone, beside a baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import asyncframes as af
from benchmarks.peers.job import Job

Found: TypeAlias = dict[str, float]

DEMO_CLIP = Path(af.__file__).parent / "data" / "bunny.mp4"


@dataclass(frozen=True, slots=True)
class Variant:
    """A function that runs in a process of its own, and its video."""

    function: Callable[[Job], Found]
    media: str | float

    @property
    def name(self) -> str:
        """The name by which the worker finds the function."""
        return f"{self.function.__module__}:{self.function.__name__}"


@dataclass(frozen=True, slots=True)
class Probe:
    """A measurement in several variants, in turn.

    Attributes
    ----------
    columns
        The heading and the unit of each figure.
    options
        The sizes that the variants need.
    """

    title: str
    variants: dict[str, Variant]
    columns: dict[str, tuple[str, str]]
    options: dict[str, float] = field(default_factory=dict)


async def warm_up() -> None:
    """Read a frame of another video, so that modules which are loaded late are not counted."""
    async for _ in af.stream_frames(DEMO_CLIP, 0, 0):
        pass


def process_facts() -> dict[str, int]:
    """Return the memory of this process now and at its peak, in bytes, and its threads."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except FileNotFoundError as exc:
        raise NotImplementedError("memory and threads are read from /proc, which is Linux's") from exc
    said = dict(line.split(":", 1) for line in lines)
    return {
        "rss": int(said["VmRSS"].split()[0]) * 1024,
        "peak": int(said["VmHWM"].split()[0]) * 1024,
        "threads": int(said["Threads"]),
    }
