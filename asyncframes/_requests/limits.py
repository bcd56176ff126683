"""Limits on what one request may cost and deliver, and on the video that it is for."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from asyncframes._frames.frame import Frame
from asyncframes._model.rendering import Rendering
from asyncframes._model.table import FrameTable, Int64Array
from asyncframes._policy.policy import NEEDED, Policy
from asyncframes._types import VideoInfo
from asyncframes.errors import MediaLimitError, PolicyLimitError

T = TypeVar("T")


class CpuBudget:
    """The CPU time that one request may use, in all of its threads together.

    Parameters
    ----------
    seconds
        How much.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._spent = 0.0
        self._lock = threading.Lock()

    def spend(self, seconds: float) -> None:
        """Count time that was used. Thread-safe."""
        with self._lock:
            self._spent += seconds

    def check(self) -> None:
        """Refuse a further step once the time is used up.

        Raises
        ------
        PolicyLimitError
            It is.
        """
        if self._spent >= self._seconds:
            raise PolicyLimitError(
                f"decoding took {self._spent:.1f} s of CPU time: "
                f"expected at most cpu_seconds={self._seconds:g}",
                limit="cpu_seconds",
                allowed=self._seconds,
                found=self._spent,
            )


class Meter:
    """Charges the CPU time of calls on one decoder to a budget.

    Parameters
    ----------
    budget
        What is charged.
    codec_seconds
        Returns the CPU time that the codec's own threads have used so far.
    """

    def __init__(self, budget: CpuBudget, codec_seconds: Callable[[], float]) -> None:
        self.budget = budget
        self._codec_seconds = codec_seconds
        # Codec threads work on between two calls, which the second one pays for.
        self._seen: float | None = None

    def run(self, function: Callable[[], T]) -> T:
        """Call a function in this thread, and charge what it takes."""
        began = time.thread_time()
        if self._seen is None:
            self._seen = self._codec_seconds()
        try:
            return function()
        finally:
            seen, self._seen = self._seen, self._codec_seconds()
            self.budget.spend(time.thread_time() - began + max(0.0, self._seen - seen))


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Limits of a policy on a video and on each request for its frames.

    Attributes
    ----------
    policy
        The policy.
    source
        Name of the video, for errors.
    """

    policy: Policy
    source: str

    def check_info(self, info: VideoInfo) -> None:
        """Refuse a video that its header says is too long.

        Raises
        ------
        MediaLimitError
            It is.
        """
        seconds = info.duration_seconds_from_header
        if seconds is not None:
            self._check_duration(seconds, "the header claims")

    def check_count(self, table: FrameTable) -> None:
        """Refuse a frame table that is too long, which may have been stored under other limits.

        Raises
        ------
        MediaLimitError
            It is.
        """
        if len(table) > self.policy.max_frames:
            raise self._refused("max_frames", self.policy.max_frames, len(table), "frames in the frame table")

    @property
    def counts_bytes(self) -> bool:
        """Whether only the bytes that requests need may be read."""
        return self.policy.max_read_bytes == NEEDED

    @property
    def limits_times(self) -> bool:
        """Whether the times of frames are limited."""
        return self.policy.max_duration_seconds is not None or self.policy.max_fps is not None

    def check_times(self, table: FrameTable) -> None:
        """Refuse a video that its frame table shows has too long a duration or too high a rate.

        Raises
        ------
        MediaLimitError
            It has.
        """
        if len(table) < 2:
            return
        try:
            ticks = table.ticks()
        except ValueError:  # the container has neither times nor a rate
            return
        seconds = float((int(ticks[-1]) - int(ticks[0])) * table.time_base)
        self._check_duration(seconds, "the frame table has")
        most = self.policy.max_fps
        # Frames that are all shown at the same time have no rate.
        if most is not None and (rate := (len(table) - 1) / (seconds or math.inf)) > most:
            raise self._refused("max_fps", most, rate, "frames per second on average")

    def _check_duration(self, seconds: float, what: str) -> None:
        most = self.policy.max_duration_seconds
        if most is not None and seconds > most:
            raise MediaLimitError(
                f"{what} a duration of {seconds:g} s: expected at most max_duration_seconds={most:g}",
                source=self.source,
                limit="max_duration_seconds",
                allowed=most,
                found=seconds,
            )

    def _refused(self, limit: str, allowed: float, found: float, what: str) -> MediaLimitError:
        return MediaLimitError(
            f"the video has {found:g} {what}: expected at most {limit}={allowed:g}",
            source=self.source,
            limit=limit,
            allowed=allowed,
            found=found,
        )

    def budget(self) -> CpuBudget | None:
        """Return the CPU time of a new request, ``None`` for any."""
        seconds = self.policy.cpu_seconds
        return None if seconds is None else CpuBudget(seconds)

    def output(self, info: VideoInfo, rendering: Rendering) -> Output:
        """Start to count what one request delivers."""
        return Output(self, info, rendering)


class Output:
    """Counts the frames of one request, and the bytes of their images."""

    def __init__(self, limits: RequestLimits, info: VideoInfo, rendering: Rendering) -> None:
        self._policy = limits.policy
        self._source = limits.source
        self._info = info
        self._rendering = rendering
        self._is_limited = not (self._policy.max_output_frames is self._policy.max_output_bytes is None)
        self._frames = 0
        self._bytes = 0

    def expect(self, frames: int | None) -> None:
        """Refuse a request that asks for too much, before it is decoded.

        Parameters
        ----------
        frames
            How many frames it asks for, ``None`` if that is unknown.

        Raises
        ------
        PolicyLimitError
            It asks for too many frames, or too many bytes.
        """
        if frames is None:
            return
        self._check("max_output_frames", self._policy.max_output_frames, frames, "asks for")
        if self._policy.max_output_bytes is not None and frames:
            self._check(
                "max_output_bytes",
                self._policy.max_output_bytes,
                frames * image_bytes(self._info, self._rendering),
                "asks for",
            )

    def add(self, frame: Frame) -> Frame:
        """Count a frame that is about to be delivered, and return it.

        Raises
        ------
        PolicyLimitError
            It is one too many.
        """
        if not self._is_limited:
            return frame
        self._frames += 1
        self._bytes += frame.image.nbytes
        self._check("max_output_frames", self._policy.max_output_frames, self._frames, "would deliver")
        self._check("max_output_bytes", self._policy.max_output_bytes, self._bytes, "would deliver")
        return frame

    def _check(self, limit: str, most: int | None, found: int, what: str) -> None:
        if most is None or found <= most:
            return
        unit = "frames" if limit == "max_output_frames" else "bytes of images"
        raise PolicyLimitError(
            f"the request {what} {found:,} {unit}: expected at most {limit}={most:,}; "
            "ask for fewer or smaller frames",
            source=self._source,
            limit=limit,
            allowed=most,
            found=found,
        )


def share_needed(table: FrameTable, order: Int64Array) -> float:
    """Return which share of a video's packets a request decodes, more than 1 if it goes back and forth.

    Each run of frames that are decoded from the same keyframe is decoded once.
    """
    sizes = np.append(0, np.cumsum(table.packets.size))
    if not len(order) or not sizes[-1]:
        return 0.0
    starts, lasts = table.starts_for(order), table.last_packets_for(order)
    runs = np.flatnonzero(np.diff(starts, prepend=-1))
    taken = sizes[np.maximum.reduceat(lasts, runs) + 1] - sizes[starts[runs]]
    return float(np.maximum(taken, 0).sum() / sizes[-1])


def expected_shape(info: VideoInfo, rendering: Rendering) -> tuple[int, ...]:
    """Return the shape of images according to the header. If the size changes mid-stream, images differ."""
    turned = rendering.autorotate and bool(info.rotation % 180)
    framing = rendering.stored_framing_of(
        info.coded_width, info.coded_height, info.sample_aspect_ratio, turned=turned
    )
    return rendering.shape_of(framing.size)


def image_bytes(info: VideoInfo, rendering: Rendering) -> int:
    """Return how many bytes an image takes, according to the header."""
    return math.prod(expected_shape(info, rendering)) * rendering.dtype.itemsize
