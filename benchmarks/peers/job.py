"""The job of one process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any


@dataclass(frozen=True, slots=True)
class Clip:
    """A video, and what its header says."""

    path: str
    frames: int
    width: int
    height: int
    rate: str
    size: int

    @property
    def frame_bytes(self) -> int:
        return self.width * self.height * 3


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement.

    Attributes
    ----------
    address
        The path or URL of the video; for the SDK, the address of its server.
    url
        Where the video is also served, for probes.
    indices
        The frames to ask for.
    size
        Width and height of images that are scaled while they are read.
    clip_frames, at_once
        How many of `indices` make up a clip, and how many clips are read at the same time.
    directory, ext
        The folder for images, and their file extension.
    kept
        Which frames to keep for a comparison, by their place in the order of arrival.
    options
        The sizes of a probe.
    """

    address: str
    clip: Clip
    url: str = ""
    indices: list[int] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    clip_frames: int = 0
    at_once: int = 1
    directory: str = ""
    ext: str = ""
    kept: list[int] = field(default_factory=list)
    options: dict[str, float] = field(default_factory=dict)

    def seconds(self, index: int) -> float:
        """Return when frame `index` begins, in a video of constant rate."""
        return float(index / Fraction(self.clip.rate))

    def clips(self) -> list[list[int]]:
        """Return the frames of each clip."""
        starts = range(0, len(self.indices), self.clip_frames)
        return [self.indices[start : start + self.clip_frames] for start in starts]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        fields: dict[str, Any] = json.loads(text)
        return cls(**{**fields, "clip": Clip(**fields["clip"])})
